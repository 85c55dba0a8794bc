//! `/api/embeddings`: embeddings of any upstream's model and of this server's own, in OpenAI's shape.

use std::sync::Arc;

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use breezeway_chat::Noted;
use breezeway_core::Principal;
use breezeway_embedding::{EmbeddingModel, Vector};
use breezeway_usage::estimate_tokens;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::chat::noting;
use crate::{
    error::{ApiError, ApiResult},
    extract::{Fresh, JsonObject, Verified},
    metered::metered_embedding,
    state::ApiState,
};

/// Says that a count in the answer is an estimate.
pub(super) const ESTIMATED: HeaderName = HeaderName::from_static("x-breezeway-estimated");

/// Most texts of one request, as at OpenAI.
const MOST_TEXTS: usize = 2048;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(embed)).routes(routes!(embed_v1))
}

/// Embed text.
#[utoipa::path(
    post, path = "/api/embeddings", tag = "embeddings", request_body = Object,
    responses((status = 200, description = "a list of embeddings"), (status = "4XX", description = "refused")),
)]
pub(super) async fn embed(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Fresh(freshness): Fresh,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    let own = own_model(&state, &principal);
    if let Some((name, model)) = own.filter(|(name, _)| body.get("model").is_some_and(|model| model == name))
    {
        return embed_here(&state, &principal, &name, model, &body).await;
    }
    let Noted { answer, cache } = state.chat.embed_noting(&principal, body, freshness).await?;
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok(noting((json, answer).into_response(), cache))
}

/// Embed text.
#[utoipa::path(
    post, path = "/api/v1/embeddings", tag = "embeddings", request_body = Object,
    responses((status = 200, description = "a list of embeddings"), (status = "4XX", description = "refused")),
)]
async fn embed_v1(
    state: State<ApiState>,
    verified: Verified,
    fresh: Fresh,
    body: JsonObject,
) -> ApiResult<Response> {
    embed(state, verified, fresh, body).await
}

/// The model that runs here, if there is one and the caller's key allows it. It is for everybody with
/// an account: their documents are searched with it anyway.
pub(super) fn own_model(
    state: &ApiState,
    principal: &Principal,
) -> Option<(String, Arc<dyn EmbeddingModel>)> {
    state.vectors.model().filter(|(name, _)| principal.key_allows_model(name))
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Entry>,
    model: String,
    usage: Value,
}

#[derive(Serialize)]
struct Entry {
    object: &'static str,
    embedding: Written,
    index: usize,
}

/// A vector as the client wants it written.
#[derive(Serialize)]
#[serde(untagged)]
enum Written {
    Numbers(Vec<f32>),
    Base64(String),
}

async fn embed_here(
    state: &ApiState,
    principal: &Principal,
    name: &str,
    model: Arc<dyn EmbeddingModel>,
    body: &Map<String, Value>,
) -> ApiResult<Response> {
    let texts = texts(body)?;
    let as_base64 = match body.get("encoding_format") {
        None | Some(Value::Null) => false,
        Some(format) if format == "float" => false,
        Some(format) if format == "base64" => true,
        Some(_) => return Err(invalid("encoding_format", "must be `float` or `base64`")),
    };
    let wanted = body.get("dimensions").filter(|wanted| !wanted.is_null());
    // The first numbers of a vector mean something by themselves only where a model was trained for
    // that, and this one was not.
    if wanted.is_some_and(|wanted| wanted.as_u64() != model.dimensions().map(|own| own as u64)) {
        return Err(invalid("dimensions", "vectors of this model cannot be shortened"));
    }
    let tokens: u64 = texts.iter().map(estimate_tokens).sum();
    let vectors = metered_embedding(&state.meter, principal, name, model.as_ref(), &texts).await?;
    let written = |vector: &Vector| match as_base64 {
        true => Written::Base64(STANDARD.encode(vector.to_le_bytes())),
        false => Written::Numbers(vector.as_slice().to_vec()),
    };
    let data = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| Entry { object: "embedding", embedding: written(vector), index })
        .collect();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    let list = List { object: "list", data, model: name.to_owned(), usage };
    Ok(([(ESTIMATED, HeaderValue::from_static("true"))], JsonAnswer(list)).into_response())
}

fn texts(body: &Map<String, Value>) -> ApiResult<Vec<&str>> {
    let texts = match body.get("input") {
        None | Some(Value::Null) => return Err(ApiError::missing(&["body", "input"], Value::Null)),
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| invalid("input", "this model takes texts, not tokens")))
            .collect::<ApiResult<_>>()?,
        Some(_) => return Err(invalid("input", "must be a text or a list of texts")),
    };
    match texts.len() {
        0 => Err(invalid("input", "must not be empty")),
        1..=MOST_TEXTS => Ok(texts),
        _ => Err(invalid("input", "has more than 2048 texts")),
    }
}

fn invalid(field: &str, why: &str) -> ApiError {
    ApiError::invalid("value_error", &["body", field], why, Value::Null)
}
