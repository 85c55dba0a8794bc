//! `/api/v1/knowledge`: collections of files.

use axum::{
    Json as JsonAnswer,
    extract::{Path, State},
};
use breezeway_auth::{Action, Target};
use breezeway_core::{CollectionId, FileId, Principal};
use breezeway_knowledge::{
    Collection, CollectionChange, CollectionQuery, Error as LibraryError, FileOrder, Member, MemberQuery,
    NewCollection, Slice,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::files::positive;
use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult, NOT_FOUND, UNAUTHORIZED},
    extract::{Json, Query, Trail, Verified, shared_with},
    state::ApiState,
    views::{accounts::AccountSummary, grants, knowledge},
};

mod export;
mod lists;
mod processing;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(list))
        .routes(routes!(search))
        .merge(lists::router())
        .merge(export::router())
        .routes(routes!(show))
        .routes(routes!(files))
        .routes(routes!(update))
        .routes(routes!(change_access))
        .routes(routes!(add_file))
        .routes(routes!(update_file))
        .routes(routes!(remove_file))
        .routes(routes!(add_files))
        .routes(routes!(reset))
        .merge(processing::router())
        .routes(routes!(delete))
}

/// Collections or files on one page of a list.
const PAGE: u64 = 30;
/// Files shown in a collection at most; longer ones are paged through `/files`.
const FILES_SHOWN: u64 = 10_000;

/// A collection as clients describe it.
#[derive(Deserialize, ToSchema)]
struct KnowledgeForm {
    name: String,
    description: String,
    #[schema(value_type = Vec<Object>)]
    access_grants: Option<Vec<Value>>,
}

/// The longest name and description together, in bytes: every listing carries them.
const WORDS_BYTES: usize = 64 * 1024;

impl KnowledgeForm {
    fn check(&self) -> ApiResult<()> {
        if self.name.len() + self.description.len() <= WORDS_BYTES {
            return Ok(());
        }
        let message = format!("A name and a description can have {WORDS_BYTES} bytes together.");
        Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message))
    }
}

/// A file of a collection.
#[derive(Deserialize, ToSchema)]
struct FileForm {
    file_id: String,
}

/// The access list of a collection.
#[derive(Deserialize, ToSchema)]
struct AccessForm {
    #[schema(value_type = Vec<Object>)]
    access_grants: Vec<Value>,
}

#[derive(Deserialize, IntoParams)]
struct ListQuery {
    /// Only names and descriptions that contain this.
    query: Option<String>,
    /// `created` for own ones, `shared` for others'.
    view_option: Option<String>,
    /// `name`, `created_at` or `updated_at`.
    order_by: Option<String>,
    /// `asc` or `desc`.
    direction: Option<String>,
    /// From 1.
    page: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
struct FilesQuery {
    /// Only names that contain this.
    query: Option<String>,
    /// From 1.
    page: Option<i64>,
    /// Files on a page; for admins.
    limit: Option<u64>,
    /// `name`, `created_at` or `updated_at`.
    order_by: Option<String>,
    /// `asc` or `desc`.
    direction: Option<String>,
}

#[derive(Deserialize, IntoParams)]
struct RemoveQuery {
    /// Delete the file itself too.
    delete_file: Option<bool>,
}

/// Make a collection.
#[utoipa::path(
    post, path = "/api/v1/knowledge/create", tag = "knowledge", request_body = KnowledgeForm,
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<KnowledgeForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    form.check()?;
    if !state.auth.has_permission(&principal, "workspace.knowledge") {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, UNAUTHORIZED));
    }
    let grants = form.access_grants.as_deref().map(grants::parse).unwrap_or_default();
    may_share(&state, &principal, &grants)?;
    let new = NewCollection { name: form.name, description: form.description, grants };
    let collection = state.library.create_collection(&principal, new).await?;
    Ok(JsonAnswer(knowledge::view(&collection, None, false)))
}

/// List the collections the caller may read, a page at a time.
#[utoipa::path(
    get, path = "/api/v1/knowledge/", tag = "knowledge", params(ListQuery),
    responses((status = 200, description = "`{\"items\": […], \"total\": n}`")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<ListQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    page(&state, &principal, query).await
}

/// Find collections.
#[utoipa::path(
    get, path = "/api/v1/knowledge/search", tag = "knowledge", params(ListQuery),
    responses((status = 200, description = "`{\"items\": […], \"total\": n}`")),
)]
async fn search(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<ListQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    page(&state, &principal, query).await
}

/// One collection.
#[utoipa::path(
    get, path = "/api/v1/knowledge/{id}", tag = "knowledge", params(("id" = String, Path)),
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let id = id.parse::<CollectionId>().map_err(|_| ApiError::not_found())?;
    let collection = state.library.collection(&principal, &id).await.map_err(|error| match error {
        LibraryError::NoSuchCollection(_) => ApiError::not_found(),
        other => other.into(),
    })?;
    if !shared_with(&principal, &collection.owner, &collection.grants) {
        trail.report_foreign(&principal, &collection.owner, "knowledge", &collection.id).await;
    }
    let writable = state.library.may_write(&principal, &collection);
    Ok(JsonAnswer(knowledge::view(&collection, None, writable)))
}

/// List the files of a collection, a page at a time.
#[utoipa::path(
    get, path = "/api/v1/knowledge/{id}/files", tag = "knowledge", params(("id" = String, Path), FilesQuery),
    responses((status = 200, description = "`{\"items\": […], \"total\": n}`"), (status = "4XX", description = "refused")),
)]
async fn files(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<FilesQuery>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    let id = id_of(&id)?;
    let page = positive(query.page)?;
    let limit = query.limit.filter(|_| principal.is_admin()).unwrap_or(PAGE).clamp(1, 1000);
    let rises = query.direction.as_deref() == Some("asc");
    let order = match (query.order_by.as_deref(), rises) {
        // Names are read from A on, unless somebody says otherwise.
        (Some("name" | "filename"), _) if query.direction.as_deref() == Some("desc") => {
            FileOrder::NameDescending
        }
        (Some("name" | "filename"), _) => FileOrder::Name,
        (Some("created_at"), true) => FileOrder::OldestFirst,
        (Some("created_at"), false) => FileOrder::NewestFirst,
        (_, true) => FileOrder::EarliestChangeFirst,
        (_, false) => FileOrder::LatestChangeFirst,
    };
    let slice = Slice { offset: (page - 1).saturating_mul(limit), limit };
    let collection = state.library.collection(&principal, &id).await?;
    if !shared_with(&principal, &collection.owner, &collection.grants) {
        trail.report_foreign(&principal, &collection.owner, "knowledge", &collection.id).await;
    }
    let wanted = MemberQuery { text: query.query.filter(|text| !text.is_empty()), order, slice };
    let members = state.library.members(&principal, &id, wanted).await?;
    let items: Vec<_> = members
        .items
        .iter()
        .map(|member| knowledge::member(&collection, member, owner(&state, member)))
        .collect();
    Ok(JsonAnswer(json!({"items": items, "directories": [], "breadcrumbs": [], "total": members.total})))
}

/// Change name, description and access list.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/update", tag = "knowledge", params(("id" = String, Path)),
    request_body = KnowledgeForm,
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<KnowledgeForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    form.check()?;
    let grants = form.access_grants.as_deref().map(grants::parse);
    if let Some(grants) = &grants {
        may_share(&state, &principal, grants)?;
    }
    let change = CollectionChange { name: Some(form.name), description: Some(form.description), grants };
    let collection = state.library.update_collection(&principal, &id_of(&id)?, change).await?;
    with_files(&state, &principal, &collection).await
}

/// Replace the access list.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/access/update", tag = "knowledge", params(("id" = String, Path)),
    request_body = AccessForm,
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn change_access(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<AccessForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let grants = grants::parse(&form.access_grants);
    may_share(&state, &principal, &grants)?;
    let change = CollectionChange { grants: Some(grants), ..CollectionChange::default() };
    let collection = state.library.update_collection(&principal, &id_of(&id)?, change).await?;
    with_files(&state, &principal, &collection).await
}

/// Add a file. One that is still being processed is found as soon as it is ready.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/file/add", tag = "knowledge", params(("id" = String, Path)),
    request_body = FileForm,
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn add_file(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<FileForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let collection = add(&state, &principal, &id_of(&id)?, &[file_of(&form.file_id)?]).await?;
    with_files(&state, &principal, &collection).await
}

/// Process a file of the collection again.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/file/update", tag = "knowledge", params(("id" = String, Path)),
    request_body = FileForm,
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn update_file(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<FileForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let (id, file) = (id_of(&id)?, file_of(&form.file_id)?);
    let collection = writable(&state, &principal, &id).await?;
    let wanted = breezeway_knowledge::Wanted::Collection(id);
    if !state.library.searchable(&principal, &wanted).await?.contains(&file) {
        return Err(ApiError::bad_request(NOT_FOUND));
    }
    // What is searched is the file's own text, so a reader sees the new one in every collection.
    state.library.reprocess(&principal, &file).await?;
    with_files(&state, &principal, &collection).await
}

/// Take a file out, and delete it unless told otherwise.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/file/remove", tag = "knowledge",
    params(("id" = String, Path), RemoveQuery), request_body = FileForm,
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn remove_file(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<RemoveQuery>,
    Json(form): Json<FileForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let (id, file) = (id_of(&id)?, file_of(&form.file_id)?);
    let deletes = query.delete_file.unwrap_or(true) && !state.config.keep_removed_files;
    let removed = match deletes {
        true => state.library.delete_from_collection(&principal, &id, &file).await,
        false => state.library.remove_from_collection(&principal, &id, &file).await,
    };
    let collection = removed.map_err(|error| match error {
        LibraryError::NoSuchFile(_) => ApiError::bad_request(NOT_FOUND),
        other => other.into(),
    })?;
    with_files(&state, &principal, &collection).await
}

/// Add several files.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/files/batch/add", tag = "knowledge", params(("id" = String, Path)),
    request_body = Vec<FileForm>,
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn add_files(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<Vec<FileForm>>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let id = id_of(&id)?;
    let mut files = Vec::with_capacity(form.len());
    for entry in &form {
        let unknown = || ApiError::bad_request(format!("File {} not found", entry.file_id));
        let file = entry.file_id.parse::<FileId>().map_err(|_| unknown())?;
        match state.library.file(&principal, &file).await {
            Ok(_) => files.push(file),
            Err(LibraryError::NoSuchFile(_)) => return Err(unknown()),
            Err(other) => return Err(other.into()),
        }
    }
    let collection = add(&state, &principal, &id, &files).await?;
    with_files(&state, &principal, &collection).await
}

/// Empty a collection and delete its files.
#[utoipa::path(
    post, path = "/api/v1/knowledge/{id}/reset", tag = "knowledge", params(("id" = String, Path)),
    responses((status = 200, description = "the collection"), (status = "4XX", description = "refused")),
)]
async fn reset(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let collection = state.library.reset_collection(&principal, &id_of(&id)?).await?;
    trail.report(Action::Reset, Target::new("knowledge", &collection.id), Value::Null).await;
    Ok(JsonAnswer(knowledge::view(&collection, None, false)))
}

/// Delete a collection. Its files stay.
#[utoipa::path(
    delete, path = "/api/v1/knowledge/{id}/delete", tag = "knowledge", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    let id = id_of(&id)?;
    state.library.delete_collection(&principal, &id).await?;
    trail.report_deleted("knowledge", id).await;
    Ok(JsonAnswer(true))
}

fn id_of(id: &str) -> ApiResult<CollectionId> {
    id.parse().map_err(|_| ApiError::bad_request(NOT_FOUND))
}

fn file_of(id: &str) -> ApiResult<FileId> {
    id.parse().map_err(|_| ApiError::bad_request(NOT_FOUND))
}

async fn add(
    state: &ApiState,
    principal: &Principal,
    id: &CollectionId,
    files: &[FileId],
) -> ApiResult<Collection> {
    state.library.add_to_collection(principal, id, files).await.map_err(|error| match error {
        LibraryError::NoSuchFile(_) => ApiError::bad_request(NOT_FOUND),
        other => other.into(),
    })
}

/// A collection the caller may change.
async fn writable(state: &ApiState, principal: &Principal, id: &CollectionId) -> ApiResult<Collection> {
    let collection = state.library.collection(principal, id).await?;
    if state.library.may_write(principal, &collection) {
        Ok(collection)
    } else {
        Err(ApiError::bad_request(ACCESS_PROHIBITED))
    }
}

async fn with_files(
    state: &ApiState,
    principal: &Principal,
    collection: &Collection,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let query = MemberQuery { slice: Slice { offset: 0, limit: FILES_SHOWN }, ..MemberQuery::default() };
    let members = state.library.members(principal, &collection.id, query).await?;
    Ok(JsonAnswer(knowledge::view(collection, Some(&members.items), false)))
}

async fn page(state: &ApiState, principal: &Principal, query: ListQuery) -> ApiResult<JsonAnswer<Value>> {
    let page = positive(query.page)?;
    let wanted = CollectionQuery { text: query.query.filter(|text| !text.is_empty()), owner: None };
    let mut found = state.library.collections(principal, wanted).await?;
    match query.view_option.as_deref() {
        Some("created") => found.retain(|(collection, _)| collection.owner == principal.user),
        Some("shared") => found.retain(|(collection, _)| collection.owner != principal.user),
        _ => {}
    }
    match query.order_by.as_deref() {
        Some("name") => found.sort_by_cached_key(|(collection, _)| collection.name.to_lowercase()),
        Some("created_at") => found.sort_by_key(|(collection, _)| collection.created_at),
        Some(_) | None => found.reverse(),
    }
    // All of these rise now. Names are read from A on, times from now back, unless somebody says
    // otherwise.
    let falls = match query.direction.as_deref() {
        Some("asc") => false,
        Some("desc") => true,
        _ => query.order_by.as_deref() != Some("name"),
    };
    if falls {
        found.reverse();
    }
    let skipped = usize::try_from((page - 1).saturating_mul(PAGE)).unwrap_or(usize::MAX);
    let items: Vec<_> = found
        .iter()
        .skip(skipped)
        .take(PAGE as usize)
        .map(|(collection, count)| {
            let mut view = knowledge::view(collection, None, state.library.may_write(principal, collection));
            let account = state.auth.account(&collection.owner);
            view.insert("user".into(), json!(account.map(|account| AccountSummary::from(account.as_ref()))));
            view.insert("file_count".into(), (*count).into());
            view
        })
        .collect();
    Ok(JsonAnswer(json!({"items": items, "total": found.len()})))
}

fn owner(state: &ApiState, member: &Member) -> Value {
    let account = state.auth.account(&member.file.owner);
    account.map_or(Value::Null, |account| {
        json!({
            "id": account.id.as_str(),
            "name": account.name,
            "role": account.role.as_str(),
            "email": account.email,
        })
    })
}

fn may_share(state: &ApiState, principal: &Principal, grants: &breezeway_core::Grants) -> ApiResult<()> {
    if super::may_share(&state.auth, principal, grants, "knowledge") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "You do not have permission to share with the requested audience",
    ))
}
