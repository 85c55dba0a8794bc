//! `/openai/config`, `/ollama/config` and their like: connections, changed at run time by admins.

use std::collections::BTreeMap;

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_core::Secret;
use breezeway_registry::{BadOption, Connection, ConnectionKind};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Json, Trail},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(openai))
        .routes(routes!(change_openai))
        .routes(routes!(verify_openai))
        .routes(routes!(ollama))
        .routes(routes!(change_ollama))
        .routes(routes!(verify_ollama))
}

/// The OpenAI-compatible connections. An empty key beside an address that is already known leaves
/// that address its key.
#[derive(Deserialize, ToSchema)]
#[expect(non_snake_case, reason = "these are the names clients send")]
struct OpenAiForm {
    #[serde(default)]
    ENABLE_OPENAI_API: Option<bool>,
    OPENAI_API_BASE_URLS: Vec<String>,
    OPENAI_API_KEYS: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    OPENAI_API_CONFIGS: Map<String, Value>,
}

/// The Ollama connections.
#[derive(Deserialize, ToSchema)]
#[expect(non_snake_case, reason = "these are the names clients send")]
struct OllamaForm {
    #[serde(default)]
    ENABLE_OLLAMA_API: Option<bool>,
    OLLAMA_BASE_URLS: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    OLLAMA_API_CONFIGS: Map<String, Value>,
}

/// A connection to try.
#[derive(Deserialize, ToSchema)]
struct VerifyForm {
    url: String,
    #[serde(default)]
    key: Option<String>,
    /// Its options, as in the settings.
    #[serde(default)]
    #[schema(value_type = Object)]
    config: Option<Map<String, Value>>,
}

/// The OpenAI-compatible connections, keys hidden but for their last four signs.
#[utoipa::path(
    get, path = "/openai/config", tag = "configs",
    responses((status = 200, description = "the connections"), (status = "4XX", description = "refused")),
)]
async fn openai(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Value> {
    JsonAnswer(openai_view(&state))
}

/// Replace the OpenAI-compatible connections.
#[utoipa::path(
    post, path = "/openai/config/update", tag = "configs", request_body = OpenAiForm,
    responses((status = 200, description = "the connections"), (status = "4XX", description = "refused")),
)]
async fn change_openai(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    Json(form): Json<OpenAiForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let known = state.registry.connections(ConnectionKind::OpenAi);
    let enabled = form.ENABLE_OPENAI_API.unwrap_or(true);
    let new = form.OPENAI_API_BASE_URLS.iter().enumerate().map(|(index, url)| {
        let url = url.trim_end_matches('/').to_owned();
        let given = form.OPENAI_API_KEYS.get(index).map(String::as_str).unwrap_or_default();
        let old = known.iter().find(|connection| connection.url == url);
        let key = key_of(given, old.and_then(|old| old.key.clone()))?;
        let options = options(&form.OPENAI_API_CONFIGS, index);
        new_connection(ConnectionKind::OpenAi, index, url, key, options, enabled, old)
    });
    replace(&state, ConnectionKind::OpenAi, new.collect::<ApiResult<_>>()?).await?;
    report(&trail, &state, ConnectionKind::OpenAi, "openai").await;
    Ok(JsonAnswer(openai_view(&state)))
}

/// Try an OpenAI-compatible connection.
#[utoipa::path(
    post, path = "/openai/verify", tag = "configs", request_body = VerifyForm,
    responses((status = 200, description = "its models"), (status = "4XX", description = "refused")),
)]
async fn verify_openai(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Json(form): Json<VerifyForm>,
) -> ApiResult<JsonAnswer<Value>> {
    verify(&state, ConnectionKind::OpenAi, form).await
}

/// The Ollama connections.
#[utoipa::path(
    get, path = "/ollama/config", tag = "configs",
    responses((status = 200, description = "the connections"), (status = "4XX", description = "refused")),
)]
async fn ollama(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Value> {
    JsonAnswer(ollama_view(&state))
}

/// Replace the Ollama connections.
#[utoipa::path(
    post, path = "/ollama/config/update", tag = "configs", request_body = OllamaForm,
    responses((status = 200, description = "the connections"), (status = "4XX", description = "refused")),
)]
async fn change_ollama(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    Json(form): Json<OllamaForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let known = state.registry.connections(ConnectionKind::Ollama);
    let enabled = form.ENABLE_OLLAMA_API.unwrap_or(true);
    let new = form.OLLAMA_BASE_URLS.iter().enumerate().map(|(index, url)| {
        let url = url.trim_end_matches('/').to_owned();
        let options = options(&form.OLLAMA_API_CONFIGS, index);
        let old = known.iter().find(|connection| connection.url == url);
        let given = options.get("key").and_then(Value::as_str).unwrap_or_default();
        let key = key_of(given, old.and_then(|old| old.key.clone()))?;
        new_connection(ConnectionKind::Ollama, index, url, key, options, enabled, old)
    });
    replace(&state, ConnectionKind::Ollama, new.collect::<ApiResult<_>>()?).await?;
    report(&trail, &state, ConnectionKind::Ollama, "ollama").await;
    Ok(JsonAnswer(ollama_view(&state)))
}

/// Try an Ollama connection.
#[utoipa::path(
    post, path = "/ollama/verify", tag = "configs", request_body = VerifyForm,
    responses((status = 200, description = "its version"), (status = "4XX", description = "refused")),
)]
async fn verify_ollama(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Json(form): Json<VerifyForm>,
) -> ApiResult<JsonAnswer<Value>> {
    verify(&state, ConnectionKind::Ollama, form).await
}

async fn verify(state: &ApiState, kind: ConnectionKind, form: VerifyForm) -> ApiResult<JsonAnswer<Value>> {
    let key = form.key.filter(|key| !key.is_empty()).map(Secret::from);
    let url = form.url.trim_end_matches('/').to_owned();
    let connection = connection(kind, 0, url, key, form.config.unwrap_or_default(), true)
        .map_err(|bad| refused(&["body", "config", bad.field], &bad))?;
    let answer = state.connections.verify(&connection).await.map_err(|error| match error {
        answered @ breezeway_registry::UpstreamError::Answered { .. } => ApiError::from(answered),
        // The text that clients show when an address does not work.
        _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Open WebUI: Server Connection Error"),
    })?;
    Ok(JsonAnswer(answer))
}

async fn replace(state: &ApiState, kind: ConnectionKind, new: Vec<Connection>) -> ApiResult<()> {
    let other = match kind {
        ConnectionKind::OpenAi => ConnectionKind::Ollama,
        ConnectionKind::Ollama => ConnectionKind::OpenAi,
    };
    let kept = state.registry.connections(other);
    let all = new.into_iter().chain(kept.iter().map(|connection| Connection::clone(connection))).collect();
    state.connections.replace(all).await?;
    Ok(())
}

/// Report which connections there are now. Their addresses may hold a password, so only hosts are named.
async fn report(trail: &Trail, state: &ApiState, kind: ConnectionKind, name: &str) {
    let connections = state.registry.connections(kind);
    let host = |url: &str| url.parse::<http::Uri>().ok()?.host().map(str::to_owned);
    let hosts: Vec<_> = connections.iter().take(100).map(|connection| host(&connection.url)).collect();
    trail.report(Action::ConnectionsChanged, Target::new("connections", name), json!({"hosts": hosts})).await;
}

/// The options of one connection: keyed by its index, or by its address in older settings.
fn options(all: &Map<String, Value>, index: usize) -> Map<String, Value> {
    all.get(&index.to_string()).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// A connection of a form. Headers hold secrets and are not shown, so a form that does not speak of them
/// leaves an address those it has.
fn new_connection(
    kind: ConnectionKind,
    index: usize,
    url: String,
    key: Option<Secret>,
    options: Map<String, Value>,
    enabled: bool,
    old: Option<&std::sync::Arc<Connection>>,
) -> ApiResult<Connection> {
    let headers = old.filter(|_| !options.contains_key("headers")).map(|old| old.headers.clone());
    let form = match kind {
        ConnectionKind::OpenAi => "OPENAI_API_CONFIGS",
        ConnectionKind::Ollama => "OLLAMA_API_CONFIGS",
    };
    let place = index.to_string();
    let mut connection = connection(kind, index, url, key, options, enabled)
        .map_err(|bad| refused(&["body", form, &place, bad.field], &bad))?;
    connection.headers = headers.unwrap_or(connection.headers);
    Ok(connection)
}

fn refused(location: &[&str], bad: &BadOption) -> ApiError {
    ApiError::invalid("value_error", location, &bad.to_string(), Value::Null)
}

/// A connection from its address, key and the options object of the API.
///
/// # Errors
/// If an option that means something here cannot be used.
pub fn connection(
    kind: ConnectionKind,
    index: usize,
    url: String,
    key: Option<Secret>,
    mut options: Map<String, Value>,
    enabled: bool,
) -> Result<Connection, BadOption> {
    let mut text = |name: &str| {
        let value = options.shift_remove(name)?;
        value.as_str().map(str::to_owned).filter(|text| !text.is_empty())
    };
    let (prefix, connection_type, provider) = (text("prefix_id"), text("connection_type"), text("provider"));
    let tags = match options.shift_remove("tags") {
        Some(Value::Array(tags)) => tags,
        _ => Vec::new(),
    };
    let model_ids = said(options.shift_remove("model_ids")).map_or(Some(Vec::new()), texts);
    let model_ids = model_ids.ok_or(BadOption { field: "model_ids", expected: "a list of texts" })?;
    let enable = said(options.shift_remove("enable")).map_or(Some(true), |value| value.as_bool());
    let enable = enable.ok_or(BadOption { field: "enable", expected: "`true` or `false`" })?;
    options.shift_remove("key");
    let headers = said(options.shift_remove("headers")).map_or(Some(BTreeMap::new()), secrets);
    let headers = headers.ok_or(BadOption { field: "headers", expected: "an object of texts" })?;
    let connection = Connection {
        enabled: enabled && enable,
        key,
        prefix,
        model_ids,
        tags,
        connection_type,
        provider: provider.unwrap_or_default(),
        headers,
        other: options,
        ..Connection::new(kind, index, url)
    };
    connection.configured()
}

/// Forms say nothing with `null` and with an empty text too.
fn said(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !value.is_null() && value.as_str() != Some(""))
}

fn texts(value: Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

fn secrets(value: Value) -> Option<BTreeMap<String, Secret>> {
    let headers = value.as_object()?.iter();
    headers.map(|(name, value)| Some((name.clone(), Secret::from(value.as_str()?)))).collect()
}

fn openai_view(state: &ApiState) -> Value {
    let connections = state.registry.connections(ConnectionKind::OpenAi);
    json!({
        "ENABLE_OPENAI_API": state.config.openai_enabled && in_use(&connections),
        "OPENAI_API_BASE_URLS": connections.iter().map(|connection| connection.url.as_str()).collect::<Vec<_>>(),
        "OPENAI_API_KEYS": connections.iter().map(|connection| mask(connection.key.as_ref())).collect::<Vec<_>>(),
        "OPENAI_API_CONFIGS": options_view(&connections),
    })
}

fn ollama_view(state: &ApiState) -> Value {
    let connections = state.registry.connections(ConnectionKind::Ollama);
    json!({
        "ENABLE_OLLAMA_API": state.config.ollama_enabled && in_use(&connections),
        "OLLAMA_BASE_URLS": connections.iter().map(|connection| connection.url.as_str()).collect::<Vec<_>>(),
        "OLLAMA_API_CONFIGS": options_view(&connections),
    })
}

/// A kind whose connections are all switched off is switched off.
fn in_use(connections: &[std::sync::Arc<Connection>]) -> bool {
    connections.is_empty() || connections.iter().any(|connection| connection.enabled)
}

fn options_view(connections: &[std::sync::Arc<Connection>]) -> Map<String, Value> {
    connections
        .iter()
        .map(|connection| {
            let mut options = connection.other.clone();
            options.insert("enable".into(), connection.enabled.into());
            options.insert("tags".into(), connection.tags.clone().into());
            options.insert("prefix_id".into(), connection.prefix.clone().unwrap_or_default().into());
            options.insert("model_ids".into(), connection.model_ids.clone().into());
            options.insert("connection_type".into(), connection.connection_type.clone().into());
            if !connection.provider.is_empty() {
                options.insert("provider".into(), connection.provider.clone().into());
            }
            if connection.kind == ConnectionKind::Ollama {
                options.insert("key".into(), mask(connection.key.as_ref()).into());
            }
            (connection.index.to_string(), options.into())
        })
        .collect()
}

/// What stands for the hidden part of a key.
const MASK: &str = "••••";

/// A key as admins see it: its last four signs, so that they can tell which it is.
pub(super) fn mask(key: Option<&Secret>) -> String {
    match key.map(Secret::expose) {
        None | Some("") => String::new(),
        Some(key) => {
            let signs = key.chars().count();
            let shown = if signs > 8 { 4 } else { 0 };
            let tail: String = key.chars().skip(signs - shown).collect();
            format!("{MASK}{tail}")
        }
    }
}

/// The key a client means: a new one, or the one kept for the address if it sent nothing or sent back what
/// it was shown. A mask of any other key would be stored as a key that nobody has.
pub(super) fn key_of(given: &str, kept: Option<Secret>) -> ApiResult<Option<Secret>> {
    match given {
        "" => Ok(kept),
        masked if masked.starts_with(MASK) && masked == mask(kept.as_ref()) => Ok(kept),
        masked if masked.starts_with(MASK) => Err(ApiError::invalid(
            "value_error",
            &["body", "key"],
            "This is a key as it is shown, not the key. Send the key itself for a new address.",
            Value::Null,
        )),
        new => Ok(Some(Secret::from(new))),
    }
}
