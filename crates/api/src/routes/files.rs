//! `/api/v1/files`: uploads, their bytes, their text, and how far they have come.

use std::time::Duration;

use axum::{
    Json as JsonAnswer,
    extract::{Path, State},
    response::Response,
};
use breezeway_auth::{Action, Target};
use breezeway_core::{FileId, Principal, Role};
use breezeway_knowledge::{Error as LibraryError, File, FileOrder, FileQuery, FileState, Slice, Upload};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult, EMPTY_CONTENT},
    extract::{Admin, Json, Query, Trail, UploadForm, Verified},
    sse,
    state::ApiState,
    views::files::{processing, shown_text, view},
};

pub(super) mod content;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(delete_all))
        .routes(routes!(search))
        .routes(routes!(search_own))
        .routes(routes!(count))
        .routes(routes!(count_own))
        .routes(routes!(show, delete))
        .routes(routes!(process_status))
        .routes(routes!(content))
        .routes(routes!(content_html))
        .routes(routes!(content_named))
        .routes(routes!(text))
        .routes(routes!(replace_text))
        .routes(routes!(rename))
}

/// The upload alone: its body has a limit of its own.
pub(crate) fn upload_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// Files on one page of the list.
const PAGE: u64 = 50;
/// How long `process_in_background=false` waits before it answers all the same.
const PROCESSING_WAIT: Duration = Duration::from_secs(600);
/// How long a status stream lasts at most.
const STATUS_WAIT: Duration = Duration::from_secs(2 * 3600);

#[derive(Deserialize, IntoParams)]
struct UploadQuery {
    /// Extract and embed the text. `false` only keeps the bytes.
    process: Option<bool>,
    /// `false` answers when the processing has ended.
    process_in_background: Option<bool>,
}

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
struct StatusQuery {
    /// Answer events until the processing has ended.
    stream: Option<bool>,
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

/// What a key for certain knowledge is told that would upload past it.
const NOT_LOOSE: &str = "This API key is limited to certain collections. Name one of them as `knowledge_id` in the upload's `metadata`.";

/// Upload a file. It is answered at once; its text follows in the background.
#[utoipa::path(
    post, path = "/api/v1/files/", tag = "files", params(UploadQuery),
    request_body(content = Object, content_type = "multipart/form-data", description = "`file`, and `metadata` as JSON"),
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
async fn upload(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<UploadQuery>,
    form: UploadForm,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let process = query.process.unwrap_or(true);
    let media_type = match form.media_type.as_str() {
        "" => mime_guess::from_path(&form.file_name).first_or_octet_stream().essence_str().to_owned(),
        given => given.to_owned(),
    };
    let upload = Upload { name: form.file_name, media_type, process, metadata: Map::new(), into: None };
    let metadata = form.metadata;
    // Its key could not see the file again.
    let is_narrowed = principal.rules.as_ref().is_some_and(|rules| rules.collections.is_some());
    let file = state
        .library
        .add_file_completed(&principal, upload, form.bytes, |upload| {
            upload.metadata = metadata.take();
            let into = upload.metadata.get("knowledge_id").and_then(Value::as_str);
            upload.into = into.and_then(|id| id.parse().ok());
            match upload.into.is_none() && is_narrowed {
                true => Err(LibraryError::KeyNarrowed),
                false => Ok(()),
            }
        })
        .await
        .map_err(|refusal| match refusal {
            LibraryError::KeyNarrowed => ApiError::new(StatusCode::FORBIDDEN, NOT_LOOSE),
            other => other.into(),
        })?;
    if process && query.process_in_background == Some(false) {
        let id = file.id.clone();
        wait_until_final(&state, &principal, &id).await?;
    }
    let mut view = view(&file, None);
    if process {
        view.insert("status".into(), true.into());
    } else {
        view.shift_remove("path");
    }
    Ok(JsonAnswer(view))
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

/// How far a file has come, once or as events until the end.
#[utoipa::path(
    get, path = "/api/v1/files/{id}/process/status", tag = "files", params(("id" = String, Path), StatusQuery),
    responses((status = 200, description = "`{\"status\": …}`"), (status = "4XX", description = "refused")),
)]
async fn process_status(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<StatusQuery>,
) -> ApiResult<Response> {
    use axum::response::IntoResponse as _;

    let id = id_of(&id)?;
    let file = state.library.file(&principal, &id).await?;
    if query.stream == Some(true) {
        return Ok(sse::events(status_events(state, principal, id)));
    }
    Ok(JsonAnswer(with_progress(&state, &file, false)).into_response())
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

fn with_progress(state: &ApiState, file: &File, with_reason: bool) -> Value {
    let mut answer = processing(file, with_reason);
    if let (FileState::Processing, Some(progress)) = (&file.state, state.ingestor.progress().of(&file.id)) {
        answer["chunks_done"] = progress.chunks_done.into();
        answer["chunks_total"] = progress.chunks_total.into();
    }
    answer
}

/// Wait until nothing will change by itself any more, or for as long as a request may wait.
pub(super) async fn wait_until_final(
    state: &ApiState,
    principal: &Principal,
    id: &FileId,
) -> ApiResult<File> {
    Ok(state.library.wait_until_final(principal, id, PROCESSING_WAIT).await?)
}

/// The status at once, then whenever it changes and at least once a second, until it is final.
fn status_events(
    state: ApiState,
    principal: Principal,
    id: FileId,
) -> impl stream::Stream<Item = Bytes> + Send {
    struct Watch {
        state: ApiState,
        principal: Principal,
        id: FileId,
        deadline: Instant,
        last: Option<(Value, Instant)>,
    }
    let watch = Watch { state, principal, id, deadline: Instant::now() + STATUS_WAIT, last: None };
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        loop {
            let (answer, ends) = match watch.state.library.file(&watch.principal, &watch.id).await {
                Ok(file) => (with_progress(&watch.state, &file, true), file.state.is_final()),
                Err(breezeway_knowledge::Error::NoSuchFile(_)) => (json!({"status": "not_found"}), true),
                Err(error) => {
                    tracing::warn!(error = %error, "The status of a file could not be read");
                    return None;
                }
            };
            let ends = ends || Instant::now() >= watch.deadline;
            let due = watch
                .last
                .as_ref()
                .is_none_or(|(last, at)| *last != answer || at.elapsed() >= Duration::from_secs(1));
            if ends || due {
                let event = Bytes::from(format!("data: {answer}\n\n"));
                watch.last = Some((answer, Instant::now()));
                return Some((event, (!ends).then_some(watch)));
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
}
