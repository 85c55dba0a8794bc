//! The Responses API: at upstreams that have it as their bytes, elsewhere over chats.
//!
//! What is answered here is kept for the caller unless the request says otherwise, and a later request
//! may go on from its id. An id that is not known here is the upstream's affair where it is asked itself.

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_chat::{Answer, Error, responses::StoredResponses};
use breezeway_core::{Principal, ResponseId, StoreError};
use breezeway_registry::FrameStream;
use breezeway_wire::{
    Frame, Translate, Unusable,
    responses::{self, Envelope, ResponseTranslator},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::StatusCode;
use serde_json::{Map, Value, json};
use tracing::warn;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{openai::passed_on, vector_stores::tool_items};
use crate::{
    error::{ApiError, ApiResult},
    extract::{JsonObject, Path, Verified},
    sse,
    state::ApiState,
};

mod searched;

use self::searched::FileSearch;

/// The routes whose failures have the older shape.
pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_api))
}

/// The routes below `/v1`.
pub(super) fn v1_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(read, delete))
}

/// Answer a request of the Responses API, whole or streamed.
#[utoipa::path(
    post, path = "/v1/responses", tag = "v1", request_body = Object,
    responses(
        (status = 200, description = "a response, or its events with `stream`"),
        (status = "4XX", description = "refused, or the upstream's own error"),
    ),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    Ok(respond(&state, principal, body).await?)
}

/// Answer a request of the Responses API, whole or streamed.
#[utoipa::path(
    post, path = "/api/v1/responses", tag = "responses", request_body = Object,
    responses(
        (status = 200, description = "a response, or its events with `stream`"),
        (status = "4XX", description = "refused, or the upstream's own error"),
    ),
)]
async fn create_api(state: State<ApiState>, verified: Verified, body: JsonObject) -> ApiResult<Response> {
    create(state, verified, body).await
}

/// A response that was answered and kept here.
#[utoipa::path(
    get, path = "/v1/responses/{id}", tag = "v1", params(("id" = String, Path)),
    responses((status = 200, description = "the response"), (status = "4XX", description = "refused")),
)]
async fn read(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let found = state.responses.find(&principal, &id).await.map_err(|error| ApiError::from_store(&error))?;
    found.map(|found| JsonAnswer(found.response)).ok_or_else(|| no_response(&id))
}

/// Delete a response that is kept here.
#[utoipa::path(
    delete, path = "/v1/responses/{id}", tag = "v1", params(("id" = String, Path)),
    responses((status = 200, description = "it is gone"), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Value>> {
    let gone = state.responses.forget(&principal, &id).await;
    match gone.map_err(|error| ApiError::from_store(&error))? {
        true => Ok(JsonAnswer(json!({"id": id, "object": "response", "deleted": true}))),
        false => Err(no_response(&id)),
    }
}

/// Why a request is not answered.
pub(super) enum Failure {
    /// The chat router refused it, or the upstream failed.
    Chat(Error),
    /// Anything else.
    Other(ApiError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Chat(error)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl From<Unusable> for Failure {
    fn from(error: Unusable) -> Self {
        let location = ["body", error.field];
        Self::Other(ApiError::invalid("value_error", &location, &error.to_string(), Value::Null))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(ApiError::from_store(&error))
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Chat(error) => error.into(),
            Failure::Other(error) => error,
        }
    }
}

/// Answer a request, at the upstream's own API or over a chat.
pub(super) async fn respond(
    state: &ApiState,
    principal: Principal,
    body: Map<String, Value>,
) -> Result<Response, Failure> {
    let previous = body.get("previous_response_id").and_then(Value::as_str).map(str::to_owned);
    let history = match &previous {
        Some(id) => state.responses.find(&principal, id).await?,
        None => None,
    };
    // The library is ours, whoever has the model.
    let searched = body.get("tools").and_then(tool_items);
    if history.is_none() {
        if searched.is_none()
            && let Some(reply) = state.chat.speak_natively(&principal, "responses", &body).await?
        {
            return Ok(passed_on(reply, responses::error_event));
        }
        if let Some(id) = previous {
            return Err(no_previous(&id).into());
        }
    }
    let mut items = history.map(|found| found.items).unwrap_or_default();
    let mut body = body;
    if body.get("store").is_none_or(Value::is_null) {
        body.insert("store".into(), StoredResponses::may_keep(&principal).into());
    }
    let keeps = body.get("store").is_some_and(|store| store == true);
    let id = format!("resp_{}", Uuid::new_v4().simple());
    let envelope = Envelope::new(id.as_str(), state.registry.clock().now().seconds(), &body);
    let input = responses::input_items(&body)?;
    let include = body.get("include").cloned().unwrap_or_default();
    let mut chat = responses::chat_request(body, &items)?;
    let mut search = None;
    if let Some(files) = searched {
        search = Some(FileSearch::new(&include, chat.last_user_text().unwrap_or_default()));
        chat.as_map_mut().insert("files".into(), files.into());
    }
    items.extend(input);
    let kept =
        keeps.then(|| Kept { responses: state.responses.clone(), principal: principal.clone(), items });
    match state.chat.complete(&principal, chat).await? {
        Answer::Whole(completion) => {
            let completion: Map<String, Value> = serde_json::from_slice(&completion).unwrap_or_default();
            let Some(mut response) = responses::response(&completion, &envelope) else {
                let text = "The upstream's answer is no chat completion.";
                return Err(ApiError::new(StatusCode::BAD_GATEWAY, text).into());
            };
            if let Some(search) = &mut search {
                search.found(completion.get("sources").unwrap_or(&Value::Null));
                search.amend(&mut response);
            }
            if let Some(kept) = kept
                && !kept.keep(&response).await
            {
                response["store"] = false.into();
            }
            Ok(JsonAnswer(response).into_response())
        }
        Answer::Stream(frames) => {
            Ok(sse::events(events(frames, ResponseTranslator::new(envelope), kept, search)))
        }
    }
}

/// Where a response is kept once it is whole.
struct Kept {
    responses: StoredResponses,
    principal: Principal,
    /// The conversation before it.
    items: Vec<Value>,
}

impl Kept {
    /// Keep a response; whether it is. A client that has its answer is not told that the store failed.
    async fn keep(self, response: &Value) -> bool {
        let Some(whole) = response.as_object() else { return false };
        let Ok(id) = response["id"].as_str().unwrap_or_default().parse::<ResponseId>() else { return false };
        match self.responses.keep(&self.principal, id, whole.clone(), self.items).await {
            Ok(stays) => stays,
            Err(error) => {
                warn!(%error, "A response could not be kept");
                false
            }
        }
    }
}

/// The events of a response. It is kept before its last event goes out, so that whoever has read that
/// can go on from its id. What a client does not wait for is not kept.
fn events(
    frames: FrameStream,
    translator: ResponseTranslator,
    kept: Option<Kept>,
    search: Option<FileSearch>,
) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Some((frames, translator, kept, search)), |state| async move {
        let (mut frames, mut translator, mut kept, mut search) = state?;
        loop {
            let (mut events, goes_on) = match frames.next().await {
                Some(Ok(frame)) => {
                    if let Some(search) = &mut search {
                        note_sources(search, &frame);
                    }
                    (translator.push(&frame), true)
                }
                Some(Err(error)) => {
                    warn!(%error, "A stream broke off");
                    (translator.fail(&error.to_string()), false)
                }
                None => (translator.finish(), false),
            };
            if let Some(response) = translator.finished()
                && let Some(kept) = kept.take()
            {
                let mut response = response.clone();
                if let Some(search) = &search {
                    search.amend(&mut response);
                }
                kept.keep(&response).await;
            }
            if let Some(search) = &mut search {
                events = search.frames(events);
            }
            let bytes: Bytes = sse::joined(&events);
            if !bytes.is_empty() || !goes_on {
                return (!bytes.is_empty())
                    .then(|| (bytes, goes_on.then_some((frames, translator, kept, search))));
            }
        }
    })
}

/// How the frame is told that carries the sources.
const SOURCES: &[u8] = b"\"sources\"";

/// Sources come in one of the first frames.
fn note_sources(search: &mut FileSearch, frame: &Frame) {
    if search.is_open()
        && frame.data.windows(SOURCES.len()).any(|part| part == SOURCES)
        && let Ok(event) = serde_json::from_slice::<Value>(&frame.data)
    {
        search.found(&event["sources"]);
    }
}

fn no_response(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("Response with id '{}' not found.", shortened(id)))
}

fn no_previous(id: &str) -> ApiError {
    let text = format!("Previous response with id '{}' not found.", shortened(id));
    let error = json!({
        "message": text,
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    });
    ApiError::json(StatusCode::NOT_FOUND, json!({"error": error, "detail": text}))
}

/// Ids come from callers, at any length.
fn shortened(id: &str) -> &str {
    &id[..id.floor_char_boundary(128)]
}
