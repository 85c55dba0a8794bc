//! Having all files of a collection processed again.

use axum::{
    Json as JsonAnswer,
    extract::{Path, State},
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::id_of;
use crate::{error::ApiResult, extract::Verified, state::ApiState};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(reprocess))
}

/// Process all files of a collection again that the caller may write. Until that is done their former
/// texts are found.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/process", tag = "knowledge", params(("id" = String, Path)),
    responses((status = 200, description = "`{\"status\": true, \"files\": n}`"), (status = "4XX", description = "refused")),
)]
async fn reprocess(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Value>> {
    let files = state.library.reprocess_collection(&principal, &id_of(&id)?).await?;
    Ok(JsonAnswer(json!({"status": true, "files": files})))
}
