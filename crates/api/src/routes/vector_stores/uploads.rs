//! `/v1/files`.

use axum::{Json as JsonAnswer, extract::State, response::Response};
use breezeway_knowledge::{FileQuery, Slice, Upload};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{file_id, missing, paging::PageQuery, views};
use crate::{
    error::{ApiError, ApiResult},
    extract::{Path, Query, Trail, UploadForm, Verified},
    routes::files::content,
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, delete)).routes(routes!(bytes))
}

pub(super) fn upload_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// Files of one page at most, and unless a request says otherwise.
const MOST: usize = 10_000;

/// Purposes whose files are data of jobs and not to be read.
const UNREAD: [&str; 3] = ["batch", "fine-tune", "evals"];

#[derive(Deserialize, IntoParams)]
struct PurposeQuery {
    /// Only files of this purpose.
    purpose: Option<String>,
}

/// Upload a file; its text follows in the background.
#[utoipa::path(
    post, path = "/v1/files", tag = "v1",
    request_body(content = Object, content_type = "multipart/form-data", description = "`file` and `purpose`"),
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
async fn upload(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    form: UploadForm,
) -> ApiResult<JsonAnswer<Value>> {
    let known = form.purpose.get();
    let is_read = known.as_deref().is_none_or(|purpose| !UNREAD.contains(&purpose));
    let media_type = match form.media_type.as_str() {
        "" => mime_guess::from_path(&form.file_name).first_or_octet_stream().essence_str().to_owned(),
        given => given.to_owned(),
    };
    let upload =
        Upload { name: form.file_name, media_type, process: is_read, metadata: Map::new(), into: None };
    let (metadata, purpose) = (form.metadata, form.purpose);
    let complete = |upload: &mut Upload| {
        upload.metadata = metadata.take();
        let purpose = purpose.get().unwrap_or_else(|| "user_data".to_owned());
        upload.process &= !UNREAD.contains(&purpose.as_str());
        upload.metadata.insert(views::PURPOSE.into(), purpose.into());
        Ok(())
    };
    let file = state.library.add_file_completed(&principal, upload, form.bytes, complete).await?;
    Ok(JsonAnswer(views::file(&file)))
}

/// List the caller's files.
#[utoipa::path(
    get, path = "/v1/files", tag = "v1", params(PageQuery, PurposeQuery),
    responses((status = 200, description = "a list of files"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(page): Query<PageQuery>,
    Query(query): Query<PurposeQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    let wanted = FileQuery {
        owner: Some(principal.user.clone()),
        slice: Slice { offset: 0, limit: u32::MAX.into() },
        ..FileQuery::default()
    };
    let files = state.library.files(&principal, wanted).await?.items;
    let mut entries: Vec<Value> = files.iter().map(views::file).collect();
    if let Some(purpose) = query.purpose.filter(|purpose| !purpose.is_empty()) {
        entries.retain(|entry| entry["purpose"] == purpose.as_str());
    }
    Ok(JsonAnswer(page.page(&mut entries, MOST, MOST)))
}

/// One file.
#[utoipa::path(
    get, path = "/v1/files/{id}", tag = "v1", params(("id" = String, Path)),
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    let file = state.library.file(&principal, &file_id(&id)?).await.map_err(missing(&id))?;
    trail.report_foreign(&principal, &file.owner, "file", &file.id).await;
    Ok(JsonAnswer(views::file(&file)))
}

/// Delete a file; it leaves every vector store.
#[utoipa::path(
    delete, path = "/v1/files/{id}", tag = "v1", params(("id" = String, Path)),
    responses((status = 200, description = "it is gone"), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    let gone = file_id(&id)?;
    state.library.delete_file(&principal, &gone).await.map_err(missing(&id))?;
    trail.report_deleted("file", gone).await;
    Ok(JsonAnswer(json!({"id": id, "object": "file", "deleted": true})))
}

/// The bytes of a file.
#[utoipa::path(
    get, path = "/v1/files/{id}/content", tag = "v1", params(("id" = String, Path)),
    responses((status = 200, description = "the bytes"), (status = "4XX", description = "refused")),
)]
async fn bytes(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    headers: HeaderMap,
    trail: Trail,
) -> Result<Response, ApiError> {
    content::answer(&state, (&principal, &trail), &file_id(&id)?, &headers, true).await
}
