//! Connections: made into adapters, and kept when an admin changes them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use breezeway_api::Connections;
use breezeway_auth::Sealer;
use breezeway_core::{Clock, Secret, SettingsStore, StoreError};
use breezeway_ollama::OllamaUpstream;
use breezeway_registry::{
    Connection, ConnectionKind, Connector, Error, Flavour, Registry, Upstream, UpstreamError,
};
use breezeway_upstream::{
    AnthropicUpstream, Endpoint, HttpClient, OpenAiUpstream, answered, json_object, within,
};
use serde_json::{Map, Value, json};

/// How long a connection that is tried may take, whatever those in use may.
const VERIFY_WAIT: Duration = Duration::from_secs(10);

/// The name under which changed connections are kept.
const SETTING: &str = "connections";

/// Makes the adapter that a connection's kind asks for.
pub(crate) fn connector(client: HttpClient, clock: Clock) -> Connector {
    Arc::new(move |connection| adapter(connection, client.clone(), clock.clone()))
}

fn adapter(connection: &Connection, client: HttpClient, clock: Clock) -> Result<Arc<dyn Upstream>, Error> {
    Ok(match connection.kind {
        ConnectionKind::OpenAi => match connection.flavour() {
            Flavour::Anthropic { .. } => Arc::new(AnthropicUpstream::new(connection, client, clock)?),
            Flavour::Plain | Flavour::Azure { .. } => Arc::new(OpenAiUpstream::new(connection, client)?),
        },
        ConnectionKind::Ollama => Arc::new(OllamaUpstream::new(connection, client, clock)?),
    })
}

/// How long connections may take that do not say so themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// Longest wait for a whole answer, if there is a limit.
    pub timeout: Option<Duration>,
    /// Longest wait between two pieces of a stream, if there is a limit.
    pub idle_timeout: Option<Duration>,
}

/// Applies changed connections and keeps them, their keys sealed.
pub(crate) struct Keeper {
    pub(crate) registry: Registry,
    pub(crate) settings: Arc<dyn SettingsStore>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) client: HttpClient,
    pub(crate) waits: Waits,
}

impl Keeper {
    /// The connections kept earlier, if any were.
    pub(crate) async fn kept(
        settings: &dyn SettingsStore,
        sealer: &Sealer,
        waits: Waits,
    ) -> Result<Option<Vec<Connection>>, StoreError> {
        let Some(text) = settings.setting(SETTING).await? else { return Ok(None) };
        let unreadable = || StoreError::Unreadable { what: "setting", value: SETTING.into() };
        let list: Vec<Map<String, Value>> = serde_json::from_str(&text).map_err(|_| unreadable())?;
        list.iter()
            .map(|entry| read(entry, sealer, waits))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(unreadable)
            .map(Some)
    }
}

impl Keeper {
    /// Keep connections again as they were read, so that their keys are sealed under the current secret.
    pub(crate) async fn seal_anew(
        settings: &dyn SettingsStore,
        sealer: &Sealer,
        connections: &[Connection],
    ) -> Result<(), StoreError> {
        let kept: Result<Vec<Value>, _> =
            connections.iter().map(|connection| write(connection, sealer)).collect();
        let kept = kept.map_err(|error| StoreError::failed("seal a connection", error))?;
        settings.put_setting(SETTING, &Value::from(kept).to_string()).await
    }

    async fn ollama_version(&self, connection: &Connection) -> Result<Value, UpstreamError> {
        let endpoint =
            Endpoint::of(connection).map_err(|error| UpstreamError::Unreachable(error.to_string()))?;
        let response = answered(self.client.send(endpoint.get("/api/version")?).await?).await?;
        Ok(json_object(&self.client.whole(response.into_body()).await?)?.into())
    }
}

#[async_trait]
impl Connections for Keeper {
    async fn replace(&self, connections: Vec<Connection>) -> Result<(), Error> {
        let connections: Vec<Connection> = connections
            .into_iter()
            .map(|connection| Connection {
                timeout: connection.timeout.or(self.waits.timeout),
                idle_timeout: connection.idle_timeout.or(self.waits.idle_timeout),
                ..connection
            })
            .collect();
        let kept: Vec<Value> = connections
            .iter()
            .map(|connection| write(connection, &self.sealer))
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Store(StoreError::failed("seal a connection", error)))?;
        // Applied first: what cannot be used is refused before it is kept.
        self.registry.set_connections(connections)?;
        self.settings.put_setting(SETTING, &Value::from(kept).to_string()).await?;
        Ok(())
    }

    async fn verify(&self, connection: &Connection) -> Result<Value, UpstreamError> {
        let upstream = adapter(connection, self.client.clone(), self.registry.clock().clone())
            .map_err(|error| UpstreamError::Unreachable(error.to_string()))?;
        within(Some(VERIFY_WAIT), async {
            if connection.kind == ConnectionKind::Ollama {
                return self.ollama_version(connection).await;
            }
            let models = upstream.catalog().await?;
            let data: Vec<Value> = models.into_iter().map(|entry| entry.details.into()).collect();
            Ok(json!({"object": "list", "data": data}))
        })
        .await
    }
}

/// A connection as it is kept. The shape is ours alone.
fn write(connection: &Connection, sealer: &Sealer) -> Result<Value, breezeway_auth::Error> {
    let seal = |name: &str, secret: &Secret| {
        sealer
            .seal(&format!("connection/{}/{name}", connection.url), secret)
            .map(|sealed| STANDARD.encode(sealed))
    };
    let key = connection.key.as_ref().map(|key| seal("key", key)).transpose()?;
    let headers = connection
        .headers
        .iter()
        .map(|(name, value)| Ok((name.clone(), seal(name, value)?.into())))
        .collect::<Result<Map<String, Value>, breezeway_auth::Error>>()?;
    Ok(json!({
        "kind": kind(connection.kind),
        "index": connection.index,
        "url": connection.url,
        "key": key,
        "enabled": connection.enabled,
        "prefix": connection.prefix,
        "model_ids": connection.model_ids,
        "tags": connection.tags,
        "connection_type": connection.connection_type,
        "provider": connection.provider,
        "headers": headers,
        "other": connection.other,
    }))
}

fn read(entry: &Map<String, Value>, sealer: &Sealer, waits: Waits) -> Option<Connection> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    let list = |name: &str| entry.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let url = text("url")?;
    let open = |name: &str, sealed: &str| {
        let sealed = STANDARD.decode(sealed).ok()?;
        sealer.open(&format!("connection/{url}/{name}"), &sealed).ok()
    };
    let key = match entry.get("key").and_then(Value::as_str) {
        Some(sealed) => Some(open("key", sealed)?),
        None => None,
    };
    let headers = entry.get("headers").and_then(Value::as_object).cloned().unwrap_or_default();
    let connection = Connection {
        kind: match text("kind")?.as_str() {
            "openai" => ConnectionKind::OpenAi,
            "ollama" => ConnectionKind::Ollama,
            _ => return None,
        },
        index: usize::try_from(entry.get("index")?.as_u64()?).ok()?,
        key,
        enabled: entry.get("enabled")?.as_bool()?,
        prefix: text("prefix"),
        model_ids: list("model_ids").iter().filter_map(|id| id.as_str().map(str::to_owned)).collect(),
        tags: list("tags"),
        connection_type: text("connection_type"),
        provider: text("provider").unwrap_or_default(),
        headers: headers
            .iter()
            .map(|(name, sealed)| Some((name.clone(), open(name, sealed.as_str()?)?)))
            .collect::<Option<_>>()?,
        other: entry.get("other").and_then(Value::as_object).cloned().unwrap_or_default(),
        timeout: waits.timeout,
        idle_timeout: waits.idle_timeout,
        url,
        ..Connection::new(ConnectionKind::OpenAi, 0, "")
    };
    // One that was kept by a program with other rules still connects.
    Some(connection.clone().configured().unwrap_or(connection))
}

fn kind(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::OpenAi => "openai",
        ConnectionKind::Ollama => "ollama",
    }
}
