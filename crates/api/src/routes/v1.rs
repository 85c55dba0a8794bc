//! `/v1`: the same models where clients of OpenAI and Anthropic look for them.
//!
//! What is answered is what the older routes answer, with two differences: a failure has the shape of
//! the dialect it was asked in, and a model that is not there is a 404.

mod errors;
mod legacy;

use axum::{Json as JsonAnswer, extract::State, middleware::from_fn, response::Response};
use breezeway_registry::Model;
use http::HeaderMap;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{chat, embeddings, messages, responses, vector_stores};
use crate::{
    error::{ApiError, ApiResult, MODEL_NOT_FOUND},
    extract::{Fresh, JsonObject, Path, Verified},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    let openai = OpenApiRouter::new()
        .routes(routes!(models))
        .routes(routes!(model))
        .routes(routes!(complete))
        .routes(routes!(embed))
        .merge(legacy::router())
        .merge(responses::v1_router())
        .merge(vector_stores::router())
        .layer(from_fn(errors::openai));
    let anthropic =
        OpenApiRouter::new().routes(routes!(send)).routes(routes!(count)).layer(from_fn(errors::anthropic));
    openai.merge(anthropic)
}

/// The upload of files: its body has a limit of its own.
pub(crate) fn upload_router() -> OpenApiRouter<ApiState> {
    vector_stores::upload_router().layer(from_fn(errors::openai))
}

/// The models the caller may use, in OpenAI's shape; the embedding model of this server is the last.
#[utoipa::path(
    get, path = "/v1/models", tag = "v1",
    responses((status = 200, description = "a list of models"), (status = "4XX", description = "refused")),
)]
async fn models(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Value> {
    let models = state.registry.models(&principal);
    let own = embeddings::own_model(&state, &principal);
    let data: Vec<Value> =
        models.iter().map(|model| entry(model)).chain(own.map(|(name, _)| own_entry(&name))).collect();
    JsonAnswer(json!({"object": "list", "data": data}))
}

/// One of the models the caller may use.
#[utoipa::path(
    get, path = "/v1/models/{*path}", tag = "v1", params(("path" = String, Path)),
    responses((status = 200, description = "a model"), (status = "4XX", description = "refused")),
)]
async fn model(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Value>> {
    if let Some((name, _)) = embeddings::own_model(&state, &principal).filter(|(name, _)| *name == id) {
        return Ok(JsonAnswer(own_entry(&name)));
    }
    let models = state.registry.models(&principal);
    let latest = format!("{id}:latest");
    let named = |name: &str| models.iter().find(|model| model.id.as_str() == name);
    let model = named(&id).or_else(|| named(&latest));
    model.map(|model| JsonAnswer(entry(model))).ok_or_else(|| ApiError::bad_request(MODEL_NOT_FOUND))
}

fn entry(model: &Model) -> Value {
    let shown = model.shown();
    let custom = model.overlay.as_ref().filter(|_| model.is_custom());
    let owner = shown.and_then(|offer| offer.entry.details.get("owned_by")).and_then(Value::as_str);
    json!({
        "id": model.id.as_str(),
        "object": "model",
        "created": custom.map_or(shown.map_or(0, |offer| offer.entry.created), |overlay| overlay.created_at.seconds()),
        "owned_by": if custom.is_some() { OWNER } else { owner.unwrap_or(OWNER) },
        "name": model.name,
    })
}

/// Who owns what is made here.
const OWNER: &str = "breezeway";

fn own_entry(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": OWNER, "name": name})
}

/// Answer a chat, whole or streamed.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "v1", request_body = Object,
    responses(
        (status = 200, description = "a completion, or server-sent events with `stream`"),
        (status = "4XX", description = "refused, or the upstream's own error"),
    ),
)]
async fn complete(
    state: State<ApiState>,
    verified: Verified,
    fresh: Fresh,
    body: JsonObject,
) -> ApiResult<Response> {
    chat::complete(state, verified, fresh, body).await
}

/// Embed text.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "v1", request_body = Object,
    responses((status = 200, description = "a list of embeddings"), (status = "4XX", description = "refused")),
)]
async fn embed(
    state: State<ApiState>,
    verified: Verified,
    fresh: Fresh,
    body: JsonObject,
) -> ApiResult<Response> {
    embeddings::embed(state, verified, fresh, body).await
}

/// Send a message, whole or streamed.
#[utoipa::path(
    post, path = "/v1/messages", tag = "v1", request_body = Object,
    responses((status = 200, description = "a message, or its events"), (status = "4XX", description = "refused")),
)]
async fn send(
    state: State<ApiState>,
    verified: Verified,
    headers: HeaderMap,
    body: JsonObject,
) -> ApiResult<Response> {
    messages::send(state, verified, headers, body).await
}

/// Count the tokens of a message.
#[utoipa::path(
    post, path = "/v1/messages/count_tokens", tag = "v1", request_body = Object,
    responses((status = 200, description = "`{\"input_tokens\": n}`"), (status = "4XX", description = "refused")),
)]
async fn count(state: State<ApiState>, verified: Verified, body: JsonObject) -> ApiResult<Response> {
    messages::count(state, verified, body).await
}
