//! `/api/v1/messages`: Anthropic's Messages API over the same models.

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_chat::{Answer, Error};
use breezeway_core::Principal;
use breezeway_registry::{UpstreamError, UpstreamReply};
use breezeway_wire::anthropic::{self, InvalidMessages, StreamTranslator};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{embeddings::ESTIMATED, openai::passed_on};
use crate::{
    error::{ApiError, ApiResult, MODEL_NOT_FOUND},
    extract::{JsonObject, Verified},
    sse,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(send))
        .routes(routes!(send_alias))
        .routes(routes!(count))
        .routes(routes!(count_alias))
}

/// Send a message, whole or streamed.
#[utoipa::path(
    post, path = "/api/v1/messages", tag = "messages", request_body = Object,
    responses((status = 200, description = "a message, or its events"), (status = "4XX", description = "refused")),
)]
pub(super) async fn send(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    headers: HeaderMap,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    if let Some(reply) = natively(&state, &principal, &headers, &body).await? {
        return Ok(passed_on(reply, anthropic::error_event));
    }
    let request = anthropic::chat_request(body).map_err(invalid)?;
    let model = request.model().unwrap_or_default().to_owned();
    let id = format!("msg_{}", &Uuid::new_v4().simple().to_string()[..24]);
    match state.chat.complete(&principal, request).await? {
        Answer::Whole(completion) => {
            let message = serde_json::from_slice::<Map<String, Value>>(&completion)
                .ok()
                .and_then(|completion| anthropic::message(&completion, &model, &id).ok());
            let message = message.ok_or_else(|| {
                ApiError::new(StatusCode::BAD_GATEWAY, "The upstream's answer is no chat completion.")
            })?;
            Ok(JsonAnswer(message).into_response())
        }
        Answer::Stream(frames) => {
            let events = sse::translated(frames, StreamTranslator::new(id, model));
            Ok(sse::events(sse::awake(events, anthropic::ping().raw)))
        }
    }
}

/// Send a message, whole or streamed.
#[utoipa::path(
    post, path = "/api/message", tag = "messages", request_body = Object,
    responses((status = 200, description = "a message, or its events"), (status = "4XX", description = "refused")),
)]
async fn send_alias(
    state: State<ApiState>,
    verified: Verified,
    headers: HeaderMap,
    body: JsonObject,
) -> ApiResult<Response> {
    send(state, verified, headers, body).await
}

/// The header that names the beta features a request wants, and the field that takes it to an upstream.
const BETA: (HeaderName, &str) = (HeaderName::from_static("anthropic-beta"), "anthropic_beta");

/// The upstream's own answer, if it speaks Anthropic's dialect.
async fn natively(
    state: &ApiState,
    principal: &Principal,
    headers: &HeaderMap,
    body: &Map<String, Value>,
) -> Result<Option<UpstreamReply>, Error> {
    if !body.get("model").is_some_and(Value::is_string) {
        // What is wrong with it is said elsewhere.
        return Ok(None);
    }
    let (header, field) = &BETA;
    let wanted = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let wanted: Vec<&str> = wanted.collect();
    if wanted.is_empty() {
        return state.chat.speak_natively(principal, "messages", body).await;
    }
    let mut body = body.clone();
    body.insert((*field).to_owned(), json!(wanted));
    state.chat.speak_natively(principal, "messages", &body).await
}

/// Count the tokens of a message: as the upstream counts them, or by an estimate that says so
/// (`x-breezeway-estimated`).
#[utoipa::path(
    post, path = "/api/v1/messages/count_tokens", tag = "messages", request_body = Object,
    responses((status = 200, description = "`{\"input_tokens\": n}`"), (status = "4XX", description = "refused")),
)]
pub(super) async fn count(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    counted(&state, &principal, body).await
}

/// Count the tokens of a message: as the upstream counts them, or by an estimate that says so
/// (`x-breezeway-estimated`).
#[utoipa::path(
    post, path = "/api/message/count_tokens", tag = "messages", request_body = Object,
    responses((status = 200, description = "`{\"input_tokens\": n}`"), (status = "4XX", description = "refused")),
)]
async fn count_alias(state: State<ApiState>, verified: Verified, body: JsonObject) -> ApiResult<Response> {
    count(state, verified, body).await
}

/// The longest answer of an upstream that counts: a number, or an error.
const COUNT_BYTES: usize = 1 << 20;

async fn counted(state: &ApiState, principal: &Principal, body: Map<String, Value>) -> ApiResult<Response> {
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let reply = match state.chat.speak_natively(principal, "messages/count_tokens", &body).await {
        Ok(Some(reply)) => reply,
        Ok(None) => return estimated(state, body),
        Err(Error::Upstream(UpstreamError::Answered { status, body, .. })) => {
            return Err(refused(status, &body));
        }
        Err(Error::NoSuchModel) => {
            return Err(ApiError::new(StatusCode::NOT_FOUND, format!("Model '{model}' was not found")));
        }
        Err(other) => return Err(other.into()),
    };
    let answer = collected(reply).await?;
    let counted = serde_json::from_slice::<Value>(&answer)
        .map_err(|_| ApiError::new(StatusCode::BAD_GATEWAY, "The upstream's answer is no JSON."))?;
    Ok(JsonAnswer(counted).into_response())
}

/// What is sent to a model, counted here.
fn estimated(state: &ApiState, body: Map<String, Value>) -> ApiResult<Response> {
    let mut body = body;
    // Only what is counted has to be right.
    body.shift_remove("max_tokens");
    let request = anthropic::chat_request(body).map_err(invalid)?;
    let counted = json!({"input_tokens": state.chat.estimate(&request)});
    Ok(([(ESTIMATED, HeaderValue::from_static("true"))], JsonAnswer(counted)).into_response())
}

async fn collected(reply: UpstreamReply) -> ApiResult<Vec<u8>> {
    let mut body = reply.body;
    let mut answer = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if answer.len() + piece.len() > COUNT_BYTES {
            return Err(ApiError::new(StatusCode::BAD_GATEWAY, "The upstream's answer is too long."));
        }
        answer.extend_from_slice(&piece);
    }
    Ok(answer)
}

fn invalid(error: InvalidMessages) -> ApiError {
    let input = Value::Object(Map::new());
    match error {
        InvalidMessages::Missing("model") => ApiError::bad_request(MODEL_NOT_FOUND),
        InvalidMessages::Missing(field) => ApiError::missing(&["body", field], input),
        other => ApiError::invalid("value_error", &["body", other.field()], &other.to_string(), input),
    }
}

/// An upstream that cannot count: its own words, under the name that clients look for.
fn refused(status: u16, body: &[u8]) -> ApiError {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let said = serde_json::from_slice::<Value>(body)
        .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into());
    ApiError::json(status, json!({ "detail": said }))
}
