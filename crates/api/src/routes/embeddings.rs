//! `/api/embeddings`: embeddings of any upstream's model, in OpenAI's shape.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiResult,
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
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    let answer = state.chat.embed(&principal, body).await?;
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
