//! Files in vector stores.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_core::Principal;
use breezeway_knowledge::{FileOrder, MemberQuery, Slice};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{batches, file_id, missing, paging::PageQuery, store_id, views};
use crate::{
    error::ApiResult,
    extract::{Json, Path, Query, Verified},
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(add, list))
        .routes(routes!(show, update, remove))
        .routes(routes!(content))
}

/// A file to add.
#[derive(Deserialize, ToSchema)]
struct AddForm {
    file_id: String,
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

/// Other attributes.
#[derive(Deserialize, ToSchema)]
struct AttributesForm {
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
pub(super) struct StatusQuery {
    /// Only files that have come this far: `in_progress`, `completed`, `failed` or `cancelled`.
    pub(super) filter: Option<String>,
}

/// Add a file to a vector store.
#[utoipa::path(
    post, path = "/v1/vector_stores/{id}/files", tag = "v1", params(("id" = String, Path)), request_body = AddForm,
    responses((status = 200, description = "the file in the store"), (status = "4XX", description = "refused")),
)]
async fn add(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<AddForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let (store, file) = (store_id(&id)?, file_id(&form.file_id)?);
    batches::add(&state, &principal, &store, std::slice::from_ref(&file)).await?;
    if let Some(attributes) = form.attributes {
        state.library.set_attributes(&principal, &store, &file, attributes).await.map_err(missing(&id))?;
    }
    one(&state, &principal, &id, &form.file_id).await
}

/// List the files of a vector store.
#[utoipa::path(
    get, path = "/v1/vector_stores/{id}/files", tag = "v1", params(("id" = String, Path), PageQuery, StatusQuery),
    responses((status = 200, description = "a list of files in the store"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(page): Query<PageQuery>,
    Query(status): Query<StatusQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    Ok(JsonAnswer(page.of(entries(&state, &principal, &id, &status, |_| true).await?)))
}

/// The files of a store, newest first.
pub(super) async fn entries(
    state: &ApiState,
    principal: &Principal,
    id: &str,
    status: &StatusQuery,
    wanted: impl Fn(&str) -> bool,
) -> ApiResult<Vec<Value>> {
    let store = store_id(id)?;
    let query = MemberQuery {
        order: FileOrder::NewestFirst,
        slice: Slice { offset: 0, limit: u32::MAX.into() },
        ..MemberQuery::default()
    };
    let mut members = state.library.members(principal, &store, query).await.map_err(missing(id))?.items;
    members.sort_by_key(|member| std::cmp::Reverse(member.added_at));
    let attributes = state.library.attributes(principal, &store).await.map_err(missing(id))?;
    let mut entries: Vec<Value> = members
        .iter()
        .filter(|member| wanted(member.file.id.as_str()))
        .map(|member| views::store_file(id, member, attributes.get(&member.file.id)))
        .collect();
    if let Some(status) = status.filter.as_deref().filter(|status| !status.is_empty()) {
        entries.retain(|entry| entry["status"] == status);
    }
    Ok(entries)
}

/// One file of a vector store.
#[utoipa::path(
    get, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "v1",
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, description = "the file in the store"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, file)): Path<(String, String)>,
) -> ApiResult<JsonAnswer<Value>> {
    one(&state, &principal, &id, &file).await
}

async fn one(state: &ApiState, principal: &Principal, id: &str, file: &str) -> ApiResult<JsonAnswer<Value>> {
    let (store, wanted) = (store_id(id)?, file_id(file)?);
    let member = state.library.member(principal, &store, &wanted).await.map_err(|error| match error {
        breezeway_knowledge::Error::NotAMember { .. } => super::no_file(file),
        other => missing(id)(other),
    })?;
    let attributes = state.library.attributes(principal, &store).await.map_err(missing(id))?;
    Ok(JsonAnswer(views::store_file(id, &member, attributes.get(&wanted))))
}

/// Say other things about a file of a vector store, for filters.
#[utoipa::path(
    post, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "v1",
    params(("id" = String, Path), ("file_id" = String, Path)), request_body = AttributesForm,
    responses((status = 200, description = "the file in the store"), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, file)): Path<(String, String)>,
    Json(form): Json<AttributesForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let (store, wanted) = (store_id(&id)?, file_id(&file)?);
    let attributes = form.attributes.unwrap_or_default();
    state.library.set_attributes(&principal, &store, &wanted, attributes).await.map_err(missing(&id))?;
    one(&state, &principal, &id, &file).await
}

/// Take a file out of a vector store. The file itself stays.
#[utoipa::path(
    delete, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "v1",
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, description = "it has left"), (status = "4XX", description = "refused")),
)]
async fn remove(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, file)): Path<(String, String)>,
) -> ApiResult<JsonAnswer<Value>> {
    let (store, wanted) = (store_id(&id)?, file_id(&file)?);
    state.library.remove_from_collection(&principal, &store, &wanted).await.map_err(missing(&id))?;
    Ok(JsonAnswer(json!({"id": file, "object": "vector_store.file.deleted", "deleted": true})))
}

/// The text that was read out of a file.
#[utoipa::path(
    get, path = "/v1/vector_stores/{id}/files/{file_id}/content", tag = "v1",
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, description = "pieces of text"), (status = "4XX", description = "refused")),
)]
async fn content(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, file)): Path<(String, String)>,
) -> ApiResult<JsonAnswer<Value>> {
    let (store, wanted) = (store_id(&id)?, file_id(&file)?);
    state.library.member(&principal, &store, &wanted).await.map_err(missing(&id))?;
    let document = state.library.document(&principal, &wanted).await.map_err(missing(&file))?;
    let pieces: Vec<Value> =
        document.iter().map(|document| json!({"type": "text", "text": document.text})).collect();
    Ok(JsonAnswer(json!({
        "object": "vector_store.file_content.page",
        "data": pieces,
        "has_more": false,
        "next_page": null,
    })))
}
