//! Tool servers: kept when an admin changes them.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use breezeway_api::{ToolKeeper, ToolKeeperError, tool_server};
use breezeway_auth::Sealer;
use breezeway_core::{Secret, SettingsStore, StoreError};
use breezeway_tools::{ToolServer, ToolServers};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

/// The name under which changed tool servers are kept.
const SETTING: &str = "tool_servers";

/// Applies changed tool servers and keeps them, their secrets sealed.
pub(crate) struct Shed {
    pub(crate) servers: ToolServers,
    pub(crate) settings: Arc<dyn SettingsStore>,
    pub(crate) sealer: Arc<Sealer>,
    /// Held by whoever changes them, so that what is kept is what is used.
    pub(crate) turn: Mutex<()>,
}

impl Shed {
    /// The servers kept earlier, if any were.
    pub(crate) async fn kept(
        settings: &dyn SettingsStore,
        sealer: &Sealer,
    ) -> Result<Option<Vec<ToolServer>>, StoreError> {
        let Some(text) = settings.setting(SETTING).await? else { return Ok(None) };
        let unreadable = || StoreError::Unreadable { what: "setting", value: SETTING.into() };
        let list: Vec<Map<String, Value>> = serde_json::from_str(&text).map_err(|_| unreadable())?;
        let servers = list.into_iter().map(|entry| read(entry, sealer)).collect::<Option<Vec<_>>>();
        servers.ok_or_else(unreadable).map(Some)
    }

    /// Keep servers.
    pub(crate) async fn keep(
        settings: &dyn SettingsStore,
        sealer: &Sealer,
        servers: &[ToolServer],
    ) -> Result<(), StoreError> {
        let kept: Result<Vec<Value>, _> = servers.iter().map(|server| write(server, sealer)).collect();
        let kept = kept.map_err(|error| StoreError::failed("seal a tool server", error))?;
        settings.put_setting(SETTING, &Value::from(kept).to_string()).await
    }
}

#[async_trait]
impl ToolKeeper for Shed {
    async fn replace(&self, servers: Vec<ToolServer>) -> Result<(), ToolKeeperError> {
        let _turn = self.turn.lock().await;
        // Applied first: what cannot be used is refused before it is kept.
        self.servers.set(servers.clone())?;
        Self::keep(self.settings.as_ref(), &self.sealer, &servers).await?;
        Ok(())
    }
}

/// A server as it is kept: what was sent, with its secrets sealed.
fn write(server: &ToolServer, sealer: &Sealer) -> Result<Value, breezeway_auth::Error> {
    let seal = |name: &str, secret: &Secret| {
        sealer.seal(&place(&server.url, name), secret).map(|sealed| Value::from(STANDARD.encode(sealed)))
    };
    let mut kept = server.sent.clone();
    if let Some(key) = &server.key {
        kept.insert("key".into(), seal("key", key)?);
    }
    let headers = server
        .headers
        .iter()
        .map(|(name, value)| Ok((name.clone(), seal(name, value)?)))
        .collect::<Result<Map<String, Value>, breezeway_auth::Error>>()?;
    kept.insert("headers".into(), headers.into());
    Ok(kept.into())
}

fn read(mut kept: Map<String, Value>, sealer: &Sealer) -> Option<ToolServer> {
    let url = kept.get("url")?.as_str()?.trim().trim_end_matches('/').to_owned();
    let open = |name: &str, sealed: &Value| {
        let sealed = STANDARD.decode(sealed.as_str()?).ok()?;
        Some(Value::from(sealer.open(&place(&url, name), &sealed).ok()?.expose()))
    };
    if let Some(key) = kept.get_mut("key").filter(|key| !key.is_null()) {
        *key = open("key", key)?;
    }
    for (name, value) in kept.get_mut("headers").and_then(Value::as_object_mut).into_iter().flatten() {
        *value = open(name, value)?;
    }
    tool_server(kept).ok()
}

fn place(url: &str, name: &str) -> String {
    format!("tool_server/{url}/{name}")
}

#[cfg(test)]
mod tests {
    use breezeway_core::MemorySettings;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn servers_read_back_as_they_were_kept_and_their_secrets_are_sealed() {
        let settings = MemorySettings::default();
        let sealer = Sealer::new(&"a secret".into(), &[]).unwrap();
        let sent = json!({"url": "http://h/", "key": "sk-plain", "headers": {"x-a": "plain-too"}, "more": 1});
        let bare = json!({"url": "http://other", "type": "mcp"});
        let servers = [sent, bare].map(|sent| tool_server(sent.as_object().unwrap().clone()).unwrap());

        Shed::keep(&settings, &sealer, &servers).await.unwrap();

        assert_eq!(Shed::kept(&settings, &sealer).await.unwrap(), Some(servers.to_vec()));
        let text = settings.setting(SETTING).await.unwrap().unwrap();
        assert!(!text.contains("plain"), "{text}");
        let other = Sealer::new(&"another".into(), &[]).unwrap();
        assert!(Shed::kept(&settings, &other).await.is_err());
    }
}
