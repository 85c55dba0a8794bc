//! Whether what is kept is in order.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_knowledge::Error as LibraryError;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiResult,
    extract::{Admin, Query, Trail},
    state::{ApiState, Findings},
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(fsck))
}

#[derive(Deserialize, IntoParams)]
struct FsckQuery {
    /// Repair what can be repaired.
    repair: Option<bool>,
}

/// Look for contradictions among rows, chunks, vectors, the index and the uploaded bytes, and repair them
/// if that is asked for. Reads everything, so it takes its time.
#[utoipa::path(
    post, path = "/api/v1/retrieval/fsck", tag = "retrieval", params(FsckQuery),
    responses((status = 200, description = "`{\"clean\": bool, \"found\": {\"database\": […], \"blobs\": […], \"index\": […]}}`, and what is `left` after a repair"), (status = "4XX", description = "refused")),
)]
async fn fsck(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Query(query): Query<FsckQuery>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    if query.repair != Some(true) {
        let found = state.checkup.check().await.map_err(LibraryError::from)?;
        return Ok(JsonAnswer(json!({"clean": found.is_empty(), "found": view(&found)})));
    }
    let found = state.checkup.repair().await.map_err(LibraryError::from)?;
    let left = state.checkup.check().await.map_err(LibraryError::from)?;
    if !found.is_empty() {
        trail.report(Action::Reset, Target::new("contradictions", "all"), view(&found)).await;
    }
    Ok(JsonAnswer(json!({"clean": left.is_empty(), "found": view(&found), "left": view(&left)})))
}

fn view(findings: &Findings) -> Value {
    json!({"database": findings.database, "blobs": findings.blobs, "index": findings.index})
}
