//! `/api/v1/files`: uploads, their bytes, their text, and how far they have come.

use axum::{
    Json as JsonAnswer,
    extract::{Path, State},
    response::Response,
};
use breezeway_auth::{Action, Target};
use breezeway_core::{FileId, Principal, Role};
use breezeway_knowledge::{File, FileOrder, FileQuery, FileState, Slice};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult, EMPTY_CONTENT},
    extract::{Admin, Json, Query, Trail, Verified},
    state::ApiState,
    views::files::{shown_text, view},
};

pub(super) mod content;
mod status;
mod upload;

pub(super) use self::status::wait_until_final;
pub(crate) use self::upload::router as upload_router;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(delete_all))
        .routes(routes!(search))
        .routes(routes!(search_own))
        .routes(routes!(count))
        .routes(routes!(count_own))
        .routes(routes!(show, delete))
        .routes(routes!(content))
        .routes(routes!(content_html))
        .routes(routes!(content_named))
        .routes(routes!(text))
        .routes(routes!(replace_text))
        .routes(routes!(rename))
        .merge(status::router())
}

/// Files on one page of the list.
const PAGE: u64 = 50;

#[derive(Deserialize, IntoParams)]
struct ListQuery {
    /// From 1.
    page: Option<i64>,
    /// Whether the texts are wanted too.
    content: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
struct SearchQuery {
    /// A name with `*` and `?`.
    filename: String,
    /// Whether the texts are wanted too.
    content: Option<bool>,
    skip: Option<u64>,
    limit: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
struct ContentQuery {
    /// Have browsers save it.
    attachment: Option<bool>,
}

/// A new text.
#[derive(Deserialize, ToSchema)]
struct ContentForm {
    content: String,
}

/// A new name.
#[derive(Deserialize, ToSchema)]
struct RenameForm {
    filename: String,
}

/// List files, newest first.
#[utoipa::path(
    get, path = "/api/v1/files/", tag = "files", params(ListQuery),
    responses((status = 200, description = "`{\"items\": […], \"total\": n}`"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<ListQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    let page = positive(query.page)?;
    let slice = Slice { offset: (page - 1).saturating_mul(PAGE), limit: PAGE };
    let found = state.library.files(&principal, FileQuery { slice, ..FileQuery::default() }).await?;
    let items = views(&state, &principal, &found.items, query.content.unwrap_or(true)).await?;
    Ok(JsonAnswer(json!({"items": items, "total": found.total})))
}

/// Delete every file of everyone.
#[utoipa::path(
    delete, path = "/api/v1/files/all", tag = "files",
    responses((status = 200, description = "a message"), (status = "4XX", description = "refused")),
)]
async fn delete_all(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    state.library.delete_all_files(&principal).await?;
    trail.report(Action::Reset, Target::new("file", "all"), Value::Null).await;
    Ok(JsonAnswer(json!({"message": "All files deleted successfully"})))
}

/// Find files by name.
#[utoipa::path(
    get, path = "/api/v1/files/search", tag = "files", params(SearchQuery),
    responses((status = 200, description = "files"), (status = "4XX", description = "none, or refused")),
)]
async fn search(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<SearchQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    find(&state, &principal, query, None).await
}

/// Find own files by name.
#[utoipa::path(
    get, path = "/api/v1/files/user/search", tag = "files", params(SearchQuery),
    responses((status = 200, description = "files"), (status = "4XX", description = "none, or refused")),
)]
async fn search_own(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<SearchQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    let owner = principal.user.clone();
    find(&state, &principal, query, Some(owner)).await
}

/// How many files there are.
#[utoipa::path(get, path = "/api/v1/files/count", tag = "files", responses((status = 200, body = u64)))]
async fn count(State(state): State<ApiState>, Verified(principal): Verified) -> ApiResult<JsonAnswer<u64>> {
    let slice = Slice { offset: 0, limit: 1 };
    let found = state.library.files(&principal, FileQuery { slice, ..FileQuery::default() }).await?;
    Ok(JsonAnswer(found.total))
}

/// How many own files there are.
#[utoipa::path(get, path = "/api/v1/files/user/count", tag = "files", responses((status = 200, body = u64)))]
async fn count_own(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<u64>> {
    let query = FileQuery {
        owner: Some(principal.user.clone()),
        slice: Slice { offset: 0, limit: 1 },
        ..FileQuery::default()
    };
    Ok(JsonAnswer(state.library.files(&principal, query).await?.total))
}

/// One file, its text included.
#[utoipa::path(
    get, path = "/api/v1/files/{id}", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let file = state.library.file(&principal, &id_of(&id)?).await?;
    trail.report_foreign(&principal, &file.owner, "file", &file.id).await;
    Ok(JsonAnswer(with_text(&state, &principal, &file).await?))
}

/// Delete a file: bytes, text, chunks, vectors and its places in collections.
#[utoipa::path(
    delete, path = "/api/v1/files/{id}", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "a message"), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    let id = id_of(&id)?;
    state.library.delete_file(&principal, &id).await?;
    trail.report_deleted("file", id).await;
    Ok(JsonAnswer(json!({"message": "File deleted successfully"})))
}

/// The bytes as they were uploaded.
#[utoipa::path(
    get, path = "/api/v1/files/{id}/content", tag = "files", params(("id" = String, Path), ContentQuery),
    responses((status = 200, description = "the bytes"), (status = 206, description = "some"), (status = "4XX", description = "refused")),
)]
async fn content(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<ContentQuery>,
    headers: HeaderMap,
    trail: Trail,
) -> ApiResult<Response> {
    content::answer(&state, (&principal, &trail), &id_of(&id)?, &headers, query.attachment.unwrap_or(false))
        .await
}

/// The bytes as they were uploaded, to be saved under a name.
#[utoipa::path(
    get, path = "/api/v1/files/{id}/content/{name}", tag = "files", params(("id" = String, Path), ("name" = String, Path)),
    responses((status = 200, description = "the bytes"), (status = "4XX", description = "refused")),
)]
async fn content_named(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, _)): Path<(String, String)>,
    headers: HeaderMap,
    trail: Trail,
) -> ApiResult<Response> {
    content::answer(&state, (&principal, &trail), &id_of(&id)?, &headers, true).await
}

/// The bytes of an admin's file, to be shown in place.
#[utoipa::path(
    get, path = "/api/v1/files/{id}/content/html", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "the bytes"), (status = "4XX", description = "refused")),
)]
async fn content_html(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    headers: HeaderMap,
    trail: Trail,
) -> ApiResult<Response> {
    let id = id_of(&id)?;
    let file = state.library.file(&principal, &id).await?;
    let owner = state.auth.account(&file.owner);
    if !owner.is_some_and(|owner| owner.role == Role::Admin) {
        return Err(ApiError::not_found());
    }
    // What else keeps a page's scripts from running as this server's stays on it.
    let mut answer = content::answer(&state, (&principal, &trail), &id, &headers, false).await?;
    answer.headers_mut().remove(http::header::CONTENT_DISPOSITION);
    Ok(answer)
}

/// The text that was read out of the file.
#[utoipa::path(
    get, path = "/api/v1/files/{id}/data/content", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "`{\"content\": …}`"), (status = "4XX", description = "refused")),
)]
async fn text(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    let id = id_of(&id)?;
    let file = state.library.file(&principal, &id).await?;
    trail.report_foreign(&principal, &file.owner, "file", &file.id).await;
    let document = state.library.document(&principal, &id).await?;
    Ok(JsonAnswer(json!({"content": shown_text(&file, document.as_ref()).unwrap_or_default()})))
}

/// Replace a file by a text.
#[utoipa::path(
    post, path = "/api/v1/files/{id}/data/content/update", tag = "files", params(("id" = String, Path)),
    request_body = ContentForm,
    responses((status = 200, description = "`{\"content\": …}`"), (status = "4XX", description = "refused")),
)]
async fn replace_text(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<ContentForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let id = id_of(&id)?;
    if form.content.trim().is_empty() {
        state.library.file(&principal, &id).await?;
        return Err(ApiError::bad_request(EMPTY_CONTENT));
    }
    state.library.replace_text(&principal, &id, &form.content).await?;
    let file = wait_until_final(&state, &principal, &id).await?;
    if let FileState::Failed(reason) = file.state {
        return Err(ApiError::bad_request(reason));
    }
    Ok(JsonAnswer(json!({"content": form.content})))
}

/// Give a file another name.
#[utoipa::path(
    post, path = "/api/v1/files/{id}/rename", tag = "files", params(("id" = String, Path)), request_body = RenameForm,
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
async fn rename(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<RenameForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    if form.filename.trim().is_empty() {
        return Err(ApiError::invalid(
            "string_too_short",
            &["body", "filename"],
            "String should have at least 1 character",
            form.filename.into(),
        ));
    }
    let file = state.library.rename_file(&principal, &id_of(&id)?, &form.filename).await?;
    Ok(JsonAnswer(with_text(&state, &principal, &file).await?))
}

pub(super) fn id_of(id: &str) -> ApiResult<FileId> {
    id.parse().map_err(|_| ApiError::not_found())
}

/// A page number, from 1.
pub(super) fn positive(page: Option<i64>) -> ApiResult<u64> {
    let page = page.unwrap_or(1);
    u64::try_from(page).ok().filter(|&page| page > 0).ok_or_else(|| {
        ApiError::invalid(
            "greater_than_equal",
            &["query", "page"],
            "Input should be greater than or equal to 1",
            page.into(),
        )
    })
}

async fn find(
    state: &ApiState,
    principal: &Principal,
    query: SearchQuery,
    owner: Option<breezeway_core::UserId>,
) -> ApiResult<JsonAnswer<Value>> {
    let limit = query.limit.unwrap_or(100).min(1000);
    let wanted = FileQuery {
        owner,
        name_glob: Some(query.filename),
        order: FileOrder::NewestFirst,
        slice: Slice { offset: query.skip.unwrap_or(0), limit },
        ..FileQuery::default()
    };
    let found = state.library.files(principal, wanted).await?;
    if found.items.is_empty() {
        return Err(ApiError::new(http::StatusCode::NOT_FOUND, "No files found matching the pattern."));
    }
    let items = views(state, principal, &found.items, query.content.unwrap_or(true)).await?;
    Ok(JsonAnswer(items.into()))
}

async fn views(
    state: &ApiState,
    principal: &Principal,
    files: &[File],
    with_texts: bool,
) -> ApiResult<Vec<Map<String, Value>>> {
    let mut views = Vec::with_capacity(files.len());
    for file in files {
        views.push(if with_texts { with_text(state, principal, file).await? } else { view(file, None) });
    }
    Ok(views)
}

async fn with_text(state: &ApiState, principal: &Principal, file: &File) -> ApiResult<Map<String, Value>> {
    let document = match file.state {
        FileState::Completed => state.library.document(principal, &file.id).await?,
        _ => None,
    };
    Ok(view(file, shown_text(file, document.as_ref())))
}
