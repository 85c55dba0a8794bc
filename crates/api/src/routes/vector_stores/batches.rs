//! Files that are added to a vector store together.

use std::collections::HashSet;

use axum::{Json as JsonAnswer, extract::State};
use breezeway_core::{CollectionId, FileId, Principal};
use breezeway_knowledge::{Batch, File, FileState};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    file_id,
    files::{StatusQuery, entries},
    missing,
    paging::PageQuery,
    shortened, store_id, views,
};
use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query, Verified},
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(show))
        .routes(routes!(list))
        .routes(routes!(cancel))
}

/// Files of one batch at most, as at OpenAI.
const MOST: usize = 2_000;

/// Files to add together.
#[derive(Deserialize, ToSchema)]
struct BatchForm {
    file_ids: Option<Vec<String>>,
    /// Said about every file of `file_ids`.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// Instead of `file_ids`: files with attributes of their own.
    files: Option<Vec<BatchFile>>,
}

#[derive(Deserialize, ToSchema)]
struct BatchFile {
    file_id: String,
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

/// The ids that a request names, each once.
pub(super) fn ids(named: Vec<String>) -> ApiResult<Vec<FileId>> {
    if named.len() > MOST {
        return Err(ApiError::bad_request(format!("More than {MOST} files at once.")));
    }
    let mut seen = HashSet::new();
    named.iter().filter(|id| seen.insert(id.as_str())).map(|id| file_id(id)).collect()
}

/// Put files into a store. One that was only kept so far is read now.
pub(super) async fn add(
    state: &ApiState,
    principal: &Principal,
    store: &CollectionId,
    files: &[FileId],
) -> ApiResult<()> {
    for id in files {
        let file = state.library.file(principal, id).await.map_err(missing(id.as_str()))?;
        if matches!(file.state, FileState::Stored) {
            state.library.reprocess(principal, id).await?;
        }
    }
    if !files.is_empty() {
        let added = state.library.add_to_collection(principal, store, files).await;
        added.map_err(missing(store.as_str()))?;
    }
    Ok(())
}

/// Add files to a vector store together.
#[utoipa::path(
    post, path = "/v1/vector_stores/{id}/file_batches", tag = "v1", params(("id" = String, Path)),
    request_body = BatchForm,
    responses((status = 200, description = "the batch"), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<BatchForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let store = store_id(&id)?;
    let mut attributes: Vec<(FileId, Map<String, Value>)> = Vec::new();
    let mut named = form.file_ids.unwrap_or_default();
    if let Some(common) = form.attributes {
        for file in &named {
            attributes.push((file_id(file)?, common.clone()));
        }
    }
    for file in form.files.unwrap_or_default() {
        if let Some(own) = file.attributes {
            attributes.push((file_id(&file.file_id)?, own));
        }
        named.push(file.file_id);
    }
    if named.is_empty() {
        return Err(ApiError::bad_request("A batch needs `file_ids` or `files`."));
    }
    let files = ids(named)?;
    add(&state, &principal, &store, &files).await?;
    for (file, said) in attributes {
        state.library.set_attributes(&principal, &store, &file, said).await.map_err(missing(&id))?;
    }
    let batch = format!("vsfb_{}", Uuid::new_v4().simple());
    let batch = state.library.keep_batch(&principal, &store, batch, files).await.map_err(missing(&id))?;
    view(&state, &principal, &batch).await
}

/// How far a batch has come.
#[utoipa::path(
    get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}", tag = "v1",
    params(("id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, description = "the batch"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, batch)): Path<(String, String)>,
) -> ApiResult<JsonAnswer<Value>> {
    let batch = find(&state, &principal, &id, &batch).await?;
    view(&state, &principal, &batch).await
}

/// List the files of a batch.
#[utoipa::path(
    get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/files", tag = "v1",
    params(("id" = String, Path), ("batch_id" = String, Path), PageQuery, StatusQuery),
    responses((status = 200, description = "a list of files in the store"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, batch)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
    Query(status): Query<StatusQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    let batch = find(&state, &principal, &id, &batch).await?;
    let of_batch: HashSet<&str> = batch.files.iter().map(FileId::as_str).collect();
    let entries = entries(&state, &principal, &id, &status, |file| of_batch.contains(file)).await?;
    Ok(JsonAnswer(page.of(entries)))
}

/// Take those files of a batch out of the store that are not ready yet.
#[utoipa::path(
    post, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel", tag = "v1",
    params(("id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, description = "the batch"), (status = "4XX", description = "refused")),
)]
async fn cancel(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, batch)): Path<(String, String)>,
) -> ApiResult<JsonAnswer<Value>> {
    let batch = find(&state, &principal, &id, &batch).await?;
    for file in members(&state, &principal, &batch).await? {
        if matches!(file.state, FileState::Pending | FileState::Processing) {
            let left = state.library.remove_from_collection(&principal, &batch.collection, &file.id).await;
            left.map_err(missing(&id))?;
        }
    }
    view(&state, &principal, &batch).await
}

async fn find(state: &ApiState, principal: &Principal, id: &str, batch: &str) -> ApiResult<Batch> {
    let found = state.library.batch(principal, &store_id(id)?, batch).await.map_err(missing(id))?;
    found.ok_or_else(|| {
        let text = format!("No file batch found with id '{}'.", shortened(batch));
        ApiError::new(StatusCode::NOT_FOUND, text)
    })
}

/// Those files of a batch that are still in its store.
async fn members(state: &ApiState, principal: &Principal, batch: &Batch) -> ApiResult<Vec<File>> {
    let of_batch: HashSet<&FileId> = batch.files.iter().collect();
    let mut members = state.library.all_members(principal, &batch.collection).await?;
    members.retain(|file| of_batch.contains(&file.id));
    Ok(members)
}

async fn view(state: &ApiState, principal: &Principal, batch: &Batch) -> ApiResult<JsonAnswer<Value>> {
    let members = members(state, principal, batch).await?;
    Ok(JsonAnswer(views::batch(batch, members.iter())))
}
