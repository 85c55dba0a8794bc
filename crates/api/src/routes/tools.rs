//! `/api/v1/tools` and `/api/v1/configs/tool_servers`: tools that this server runs.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_core::Secret;
use breezeway_tools::ToolServer;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::configs::{key_of, mask};
use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Json, Trail, Verified},
    state::ApiState,
    views::tools::{ToolView, tool_server, tool_server_view},
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(tools))
        .routes(routes!(servers, change_servers))
        .routes(routes!(verify))
}

/// Most tool servers.
const MOST_SERVERS: usize = 256;

/// The tool servers. A key that is empty, or as it is shown, beside an address that is already known
/// leaves that address its key; so does leaving out `headers`.
#[derive(Deserialize, ToSchema)]
#[expect(non_snake_case, reason = "these are the names clients send")]
struct ToolServersForm {
    #[schema(value_type = Vec<Object>)]
    TOOL_SERVER_CONNECTIONS: Vec<Map<String, Value>>,
}

/// The tools the caller may name in `tool_ids`.
#[utoipa::path(
    get, path = "/api/v1/tools/", tag = "tools",
    responses((status = 200, body = Vec<ToolView>), (status = "4XX", description = "refused")),
)]
async fn tools(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Vec<ToolView>> {
    let usable = state.tools.for_caller(&principal);
    JsonAnswer(usable.iter().map(|served| ToolView::of(served)).collect())
}

/// The tool servers, keys hidden but for their last four signs.
#[utoipa::path(
    get, path = "/api/v1/configs/tool_servers", tag = "configs",
    responses((status = 200, description = "the tool servers"), (status = "4XX", description = "refused")),
)]
async fn servers(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Value> {
    JsonAnswer(view(&state))
}

/// Replace the tool servers.
#[utoipa::path(
    post, path = "/api/v1/configs/tool_servers", tag = "configs", request_body = ToolServersForm,
    responses((status = 200, description = "the tool servers"), (status = "4XX", description = "refused")),
)]
async fn change_servers(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    Json(form): Json<ToolServersForm>,
) -> ApiResult<JsonAnswer<Value>> {
    if form.TOOL_SERVER_CONNECTIONS.len() > MOST_SERVERS {
        return Err(ApiError::bad_request("There are more than 256 tool servers."));
    }
    let new = form.TOOL_SERVER_CONNECTIONS.into_iter().map(|sent| server(&state, sent));
    state.tool_keeper.replace(new.collect::<ApiResult<_>>()?).await?;

    let all = state.tools.all();
    let host = |url: &str| url.parse::<http::Uri>().ok()?.host().map(str::to_owned);
    let hosts: Vec<_> = all.iter().take(100).map(|served| host(&served.server().url)).collect();
    let target = Target::new("connections", "tool_servers");
    trail.report(Action::ConnectionsChanged, target, json!({"hosts": hosts})).await;
    Ok(JsonAnswer(view(&state)))
}

/// Try a tool server: ask what it offers.
#[utoipa::path(
    post, path = "/api/v1/configs/tool_servers/verify", tag = "configs", request_body = Object,
    responses((status = 200, description = "its functions"), (status = "4XX", description = "refused")),
)]
async fn verify(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Json(sent): Json<Map<String, Value>>,
) -> ApiResult<JsonAnswer<Value>> {
    let server = server(&state, sent)?;
    let listing = state.tools.inspect(&server).await.map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, format!("Failed to connect to the tool server: {error}"))
    })?;
    let specs: Vec<Value> = listing
        .functions()
        .map(|function| {
            json!({
                "name": function.name,
                "description": function.description,
                "parameters": function.parameters,
            })
        })
        .collect();
    let info = json!({"title": listing.title, "description": listing.description});
    Ok(JsonAnswer(json!({"status": true, "info": info, "specs": specs})))
}

/// A server of a form, with the secrets that its address has already where the form does not say.
fn server(state: &ApiState, mut sent: Map<String, Value>) -> ApiResult<ToolServer> {
    let all = state.tools.all();
    let url = sent.get("url").and_then(Value::as_str).unwrap_or_default().trim_end_matches('/').to_owned();
    let old = all.iter().map(|served| served.server()).find(|known| known.url == url);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let key = key_of(&text(sent.get("key")), old.and_then(|old| old.key.clone()))?;
    let key = key.filter(|_| sent.get("auth_type").is_none_or(|kind| kind != "none"));
    sent.insert("key".into(), key.as_ref().map(Secret::expose).into());
    let headers = match sent.get_mut("headers") {
        Some(Value::Object(headers)) => Some(headers),
        None => {
            let kept = old.map(|old| old.headers.clone()).unwrap_or_default();
            let kept = kept.iter().map(|(name, value)| (name.clone(), value.expose().into()));
            sent.insert("headers".into(), Value::Object(kept.collect()));
            None
        }
        Some(_) => None,
    };
    for (name, value) in headers.into_iter().flatten() {
        let kept = old.and_then(|old| old.headers.get(name).cloned());
        // A header as it was shown.
        if let Some(kept) = kept.filter(|kept| value.as_str() == Some(&mask(Some(kept)))) {
            *value = kept.expose().into();
        }
    }
    tool_server(sent).map_err(|bad| {
        let location = ["body", "TOOL_SERVER_CONNECTIONS", bad.field];
        ApiError::invalid("value_error", &location, &bad.to_string(), Value::Null)
    })
}

fn view(state: &ApiState) -> Value {
    let all = state.tools.all();
    let shown: Vec<Value> = all.iter().map(|served| tool_server_view(served.server(), mask)).collect();
    json!({"TOOL_SERVER_CONNECTIONS": shown})
}
