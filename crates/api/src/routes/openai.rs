//! `/openai`: the OpenAI-compatible connections as they are.

use std::sync::Arc;

use axum::{
    Json as JsonAnswer,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_chat::Error;
use breezeway_core::Principal;
use breezeway_registry::{ConnectionKind, UpstreamReply};
use breezeway_wire::{ChatRequest, openai};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use tracing::warn;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{chat, responses};
use crate::{
    error::{ApiError, ApiResult},
    extract::{Fresh, JsonObject, Path, Verified},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(models))
        .routes(routes!(models_of))
        .routes(routes!(complete))
        .routes(routes!(respond))
        .routes(routes!(other, read_other, put_other, delete_other))
}

/// The models of the OpenAI-compatible connections.
#[utoipa::path(
    get, path = "/openai/models", tag = "openai",
    responses((status = 200, description = "a list of models"), (status = "4XX", description = "refused")),
)]
async fn models(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Value> {
    let models = state.registry.models(&principal);
    let data: Vec<Value> = models
        .iter()
        .filter(|model| !model.is_custom())
        .filter_map(|model| {
            let offer =
                model.offers.last().filter(|offer| offer.connection.kind == ConnectionKind::OpenAi)?;
            let mut entry = offer.entry.details.clone();
            entry.insert("id".into(), model.id.as_str().into());
            entry.insert("name".into(), model.name.as_str().into());
            entry.insert("owned_by".into(), "openai".into());
            entry.insert("urlIdx".into(), offer.connection.index.into());
            Some(entry.into())
        })
        .collect();
    JsonAnswer(json!({"object": "list", "data": data}))
}

/// The models of one connection, in its own words.
#[utoipa::path(
    get, path = "/openai/models/{index}", tag = "openai", params(("index" = usize, Path)),
    responses((status = 200, description = "a list of models"), (status = "4XX", description = "refused")),
)]
async fn models_of(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(index): Path<usize>,
) -> ApiResult<JsonAnswer<Value>> {
    let Some((connection, _)) = state.registry.upstream(ConnectionKind::OpenAi, index) else {
        return Err(ApiError::not_found());
    };
    let models = state.registry.models(&principal);
    let data: Vec<Value> = models
        .iter()
        .filter(|model| !model.is_custom())
        .flat_map(|model| &model.offers)
        .filter(|offer| Arc::ptr_eq(&offer.connection, &connection) || *offer.connection == *connection)
        .map(|offer| offer.entry.details.clone().into())
        .collect();
    Ok(JsonAnswer(json!({"object": "list", "data": data})))
}

/// Answer a chat at the connection that has the model, with nothing added.
#[utoipa::path(
    post, path = "/openai/chat/completions", tag = "openai", request_body = Object,
    responses((status = 200, description = "the upstream's answer"), (status = "4XX", description = "refused")),
)]
async fn complete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Fresh(freshness): Fresh,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    let name = model_of(&body);
    let noted = state.chat.relay_noting(&principal, ChatRequest::new(body), freshness).await;
    let noted = noted.map_err(|error| refused(error, &name))?;
    Ok(chat::noting(chat::response(noted.answer), noted.cache))
}

/// Answer a request of the Responses API: at the upstream's own, or over a chat.
#[utoipa::path(
    post, path = "/openai/responses", tag = "openai", request_body = Object,
    responses((status = 200, description = "the upstream's answer"), (status = "4XX", description = "refused")),
)]
async fn respond(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    let name = model_of(&body);
    responses::respond(&state, principal, body).await.map_err(|failure| match failure {
        responses::Failure::Chat(error) => refused(error, &name),
        responses::Failure::Other(error) => error,
    })
}

/// Any other path of the upstream's API, if that is switched on.
#[utoipa::path(
    post, path = "/openai/{*path}", tag = "openai", params(("path" = String, Path)), request_body = Object,
    responses((status = 200, description = "the upstream's answer"), (status = "4XX", description = "refused")),
)]
async fn other(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(path): Path<String>,
    body: Result<JsonObject, ApiError>,
) -> ApiResult<Response> {
    passthrough_is_on(&state)?;
    let JsonObject(body) = body?;
    // A path is joined to the connection's address; one that climbs out of it is refused.
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..")
        || path.contains(['?', '#', '%'])
    {
        return Err(ApiError::not_found());
    }
    pass(&state, &principal, &path, body).await
}

/// Paths without a model in a body could go to any connection, so none of them is chosen.
#[utoipa::path(
    get, path = "/openai/{*path}", tag = "openai", params(("path" = String, Path)),
    responses((status = "4XX", description = "refused")),
)]
async fn read_other(State(state): State<ApiState>, _: Verified) -> ApiError {
    nowhere(&state)
}

/// As for reading.
#[utoipa::path(
    put, path = "/openai/{*path}", tag = "openai", params(("path" = String, Path)),
    responses((status = "4XX", description = "refused")),
)]
async fn put_other(State(state): State<ApiState>, _: Verified) -> ApiError {
    nowhere(&state)
}

/// As for reading.
#[utoipa::path(
    delete, path = "/openai/{*path}", tag = "openai", params(("path" = String, Path)),
    responses((status = "4XX", description = "refused")),
)]
async fn delete_other(State(state): State<ApiState>, _: Verified) -> ApiError {
    nowhere(&state)
}

fn nowhere(state: &ApiState) -> ApiError {
    match passthrough_is_on(state) {
        Err(refusal) => refusal,
        Ok(()) => ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only POST requests that name a model are passed on.",
        ),
    }
}

fn passthrough_is_on(state: &ApiState) -> ApiResult<()> {
    if state.config.openai_passthrough {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "Direct API passthrough is disabled. Set ENABLE_OPENAI_API_PASSTHROUGH=True to enable.",
    ))
}

async fn pass(
    state: &ApiState,
    principal: &Principal,
    path: &str,
    body: Map<String, Value>,
) -> ApiResult<Response> {
    let name = model_of(&body);
    let reply = state.chat.pass(principal, path, body).await;
    Ok(passed_on(reply.map_err(|error| refused(error, &name))?, openai::error_event))
}

fn model_of(body: &Map<String, Value>) -> String {
    body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// These routes name the model that is not there, or not for the caller.
fn refused(error: Error, model: &str) -> ApiError {
    match error {
        Error::NoSuchModel => ApiError::new(StatusCode::NOT_FOUND, format!("Model '{model}' was not found")),
        other => other.into(),
    }
}

/// An upstream's own answer. A stream of events that breaks off ends with what `broken` says then, in the
/// dialect of the events; other bodies end where they broke off.
pub(super) fn passed_on(reply: UpstreamReply, broken: fn(&str) -> Bytes) -> Response {
    let is_events = reply.content_type.as_deref().is_some_and(|kind| kind.starts_with("text/event-stream"));
    let body = reply.body.map(move |piece| match piece {
        Err(error) if is_events => {
            warn!(%error, "A stream broke off");
            Ok(broken(&error.to_string()))
        }
        other => other,
    });
    let mut response = Body::from_stream(body).into_response();
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Some(content_type) = reply.content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}
