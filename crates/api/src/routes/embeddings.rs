//! `/api/embeddings`: embeddings of any upstream's model, in OpenAI's shape.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult, MODEL_NOT_FOUND},
    extract::{JsonObject, Verified},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(embed)).routes(routes!(embed_v1))
}

/// Embed text.
#[utoipa::path(
    post, path = "/api/embeddings", tag = "embeddings", request_body = Object,
    responses((status = 200, description = "a list of embeddings"), (status = "4XX", description = "refused")),
)]
async fn embed(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    JsonObject(mut body): JsonObject,
) -> ApiResult<Response> {
    let unknown = || ApiError::bad_request(MODEL_NOT_FOUND);
    let model = body.get("model").and_then(Value::as_str).ok_or_else(unknown)?;
    let route = state.registry.resolve(&principal, model).map_err(|_| unknown())?;
    set_model(&mut body, &route.upstream_model);
    let answer = route.upstream.embeddings(body).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer).into_response())
}

/// Embed text.
#[utoipa::path(
    post, path = "/api/v1/embeddings", tag = "embeddings", request_body = Object,
    responses((status = 200, description = "a list of embeddings"), (status = "4XX", description = "refused")),
)]
async fn embed_v1(state: State<ApiState>, verified: Verified, body: JsonObject) -> ApiResult<Response> {
    embed(state, verified, body).await
}

pub(super) fn set_model(body: &mut Map<String, Value>, model: &str) {
    body.insert("model".into(), model.into());
}
