//! `/api/chat/completions`: chats with any model, with or without context.

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_chat::{
    Answer, CacheUse, Error, Noted,
    history::{Draft, SavedError},
};
use breezeway_core::Principal;
use breezeway_wire::ChatRequest;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Fresh, JsonObject, Path, Verified},
    sse,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(complete))
        .routes(routes!(complete_v1))
        .routes(routes!(completed))
        .routes(routes!(tasks))
        .routes(routes!(stop_task))
}

/// Answer a chat, whole or streamed. `files` brings context and citations into the answer.
#[utoipa::path(
    post, path = "/api/chat/completions", tag = "chat", request_body = Object,
    responses(
        (status = 200, description = "a completion, or server-sent events with `stream`"),
        (status = "4XX", description = "refused, or the upstream's own error"),
    ),
)]
pub(super) async fn complete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Fresh(freshness): Fresh,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    let draft = begin(&state, &principal, &body).await?;
    let request = ChatRequest::new(body);
    let draft = match draft {
        Some(draft) => Some(asked(&state, &principal, &request, draft).await?),
        None => None,
    };
    let noted = state.chat.complete_noting(&principal, request, freshness).await;
    let (answer, cache) = match noted {
        Ok(Noted { answer, cache }) => (Ok(answer), cache),
        Err(error) => (Err(error), None),
    };
    Ok(noting(response(kept(draft, answer)?), cache))
}

/// Answer a chat, whole or streamed.
#[utoipa::path(
    post, path = "/api/v1/chat/completions", tag = "chat", request_body = Object,
    responses(
        (status = 200, description = "a completion, or server-sent events with `stream`"),
        (status = "4XX", description = "refused, or the upstream's own error"),
    ),
)]
async fn complete_v1(
    state: State<ApiState>,
    verified: Verified,
    fresh: Fresh,
    body: JsonObject,
) -> ApiResult<Response> {
    complete(state, verified, fresh, body).await
}

/// What the web page calls when an answer is complete; nothing is left to do, so it gets its own
/// words back.
#[utoipa::path(
    post, path = "/api/chat/completed", tag = "chat", request_body = Object,
    responses((status = 200, description = "the request")),
)]
async fn completed(Verified(_): Verified, JsonObject(body): JsonObject) -> JsonAnswer<Map<String, Value>> {
    JsonAnswer(body)
}

/// The chats that are answered in the background. There are none: an answer here lives as long as its
/// request, and to stop one is to hang up.
#[utoipa::path(
    get, path = "/api/tasks", tag = "chat",
    responses((status = 200, description = "`{\"tasks\": []}`"), (status = "4XX", description = "refused")),
)]
async fn tasks(_: Admin) -> JsonAnswer<Value> {
    JsonAnswer(json!({"tasks": []}))
}

/// Stop a chat that is answered in the background. There are none.
#[utoipa::path(
    post, path = "/api/tasks/stop/{id}", tag = "chat", params(("id" = String, Path)),
    responses((status = 404, description = "there is no such task"), (status = "4XX", description = "refused")),
)]
async fn stop_task(_: Admin, _: Path<String>) -> ApiError {
    ApiError::not_found()
}

/// The turn of the saved chat that a request belongs to. Chats whose ids begin with `local:` are kept by
/// their clients and nowhere else.
async fn begin(
    state: &ApiState,
    principal: &Principal,
    body: &Map<String, Value>,
) -> ApiResult<Option<Draft>> {
    let chat = body.get("chat_id").and_then(Value::as_str);
    let Some(chat) = chat.filter(|id| !id.is_empty() && !id.starts_with("local:")) else { return Ok(None) };
    match state.saved.begin(principal, chat, body).await {
        Ok(draft) => Ok(Some(draft)),
        Err(SavedError::NoSuchChat) => Err(ApiError::not_found()),
        Err(other) => Err(other.into()),
    }
}

/// Have the question kept before it is asked, unless it is refused at first sight.
async fn asked(
    state: &ApiState,
    principal: &Principal,
    request: &ChatRequest,
    mut draft: Draft,
) -> ApiResult<Draft> {
    if let Err(error) = state.chat.check(principal, request) {
        draft.refuse(&error);
        return Err(error.into());
    }
    draft.ask().await;
    Ok(draft)
}

/// Have an answer kept in its saved chat, if it has one.
fn kept(draft: Option<Draft>, answer: Result<Answer, Error>) -> Result<Answer, Error> {
    match (draft, answer) {
        (Some(draft), Ok(answer)) => Ok(draft.watch(answer)),
        (Some(draft), Err(error)) => {
            draft.refuse(&error);
            Err(error)
        }
        (None, answer) => answer,
    }
}

/// Says whether an answer was kept from an earlier time.
const CACHE: HeaderName = HeaderName::from_static("x-breezeway-cache");

/// A response that says what the cache had to do with it.
pub(super) fn noting(mut response: Response, cache: Option<CacheUse>) -> Response {
    if let Some(cache) = cache {
        response.headers_mut().insert(CACHE, HeaderValue::from_static(cache.as_str()));
    }
    response
}

/// An answer of the chat router as a response.
pub(super) fn response(answer: Answer) -> Response {
    match answer {
        Answer::Whole(body) => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Answer::Stream(frames) => sse::events(sse::chat_frames(frames)),
    }
}
