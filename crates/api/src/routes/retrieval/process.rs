//! Putting texts and files into collections, and taking them out.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_core::{CollectionId, FileId, Principal};
use breezeway_knowledge::{BlobHash, Collection, Error as LibraryError, File, FileState, Upload};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult, EMPTY_CONTENT, NOT_FOUND, NOT_PROCESSED},
    extract::{Admin, Json, Trail, Verified},
    routes::files::{id_of, wait_until_final},
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(process_file))
        .routes(routes!(process_text))
        .routes(routes!(process_files))
        .routes(routes!(delete))
        .routes(routes!(reset_index))
        .routes(routes!(reset_uploads))
}

/// Files of one batch at most.
const BATCH: usize = 1000;

/// A file to process again.
#[derive(Deserialize, ToSchema)]
struct ProcessFile {
    file_id: String,
    /// A text to replace it by.
    content: Option<String>,
    /// A collection to put it into.
    collection_name: Option<String>,
}

/// A text to keep and search.
#[derive(Deserialize, ToSchema)]
struct ProcessText {
    name: String,
    content: String,
    /// A collection to put it into; the text's hash unless given.
    collection_name: Option<String>,
}

/// Files to put into a collection.
#[derive(Deserialize, ToSchema)]
struct ProcessFiles {
    files: Vec<FileEntry>,
    collection_name: String,
}

/// A file, by its id; whatever else is known of it is not needed.
#[derive(Deserialize, ToSchema)]
struct FileEntry {
    #[serde(alias = "file_id")]
    id: String,
}

/// A file's place in a collection.
#[derive(Deserialize, ToSchema)]
struct DeleteForm {
    collection_name: String,
    file_id: String,
}

/// Process a file (again) and wait for its text.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/file", tag = "retrieval", request_body = ProcessFile,
    responses((status = 200, description = "its text"), (status = "4XX", description = "refused")),
)]
async fn process_file(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ProcessFile>,
) -> ApiResult<JsonAnswer<Value>> {
    let id = id_of(&form.file_id)?;
    let own_name = format!("file-{id}");
    let known = state.library.file(&principal, &id).await?;
    let name = form.collection_name.as_deref().filter(|name| !name.is_empty() && *name != own_name);
    let into = match name {
        Some(name) => Some(to_fill(&state, &principal, name, false).await?),
        None => None,
    };
    match &form.content {
        Some(content) => {
            state.library.replace_text(&principal, &id, content).await?;
        }
        // Its text is there, and only its place is new.
        None if into.is_some() && known.state == FileState::Completed => {}
        None => {
            state.library.reprocess(&principal, &id).await?;
        }
    }
    let file = finished(&state, &principal, &id).await?;
    if let Some(collection) = &into {
        state.library.add_to_collection(&principal, &collection.id, std::slice::from_ref(&id)).await?;
    }
    Ok(JsonAnswer(json!({
        "status": true,
        "collection_name": name.unwrap_or(&own_name),
        "filename": file.name,
        "content": text_of(&state, &principal, &id).await?,
    })))
}

/// Keep a text as a file of the caller's, in a collection.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/text", tag = "retrieval", request_body = ProcessText,
    responses((status = 200, description = "the collection and the text"), (status = "4XX", description = "refused")),
)]
async fn process_text(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ProcessText>,
) -> ApiResult<JsonAnswer<Value>> {
    if form.content.trim().is_empty() {
        return Err(ApiError::bad_request(EMPTY_CONTENT));
    }
    let hash = BlobHash::of(form.content.as_bytes());
    let given = form.collection_name.filter(|name| !name.is_empty());
    let name = given.clone().unwrap_or_else(|| hash.to_string());
    let collection = to_fill(&state, &principal, &name, given.is_none()).await?;
    let members = state.library.all_members(&principal, &collection.id).await?;
    let same = members.into_iter().find(|file| file.blob == hash && file.name == form.name);
    let file = match same {
        // Sent again, it is there already.
        Some(file) => file,
        None => {
            let text = material(&form.name, "text/plain", Map::new(), &collection.id);
            state.library.add_material(&principal, text, Bytes::from(form.content.clone())).await?
        }
    };
    finished(&state, &principal, &file.id).await?;
    Ok(JsonAnswer(json!({"status": true, "collection_name": name, "content": form.content})))
}

/// Put several files into a collection; what is wrong with one does not keep out the others.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/files/batch", tag = "retrieval", request_body = ProcessFiles,
    responses((status = 200, description = "`{\"results\": […], \"errors\": […]}`"), (status = "4XX", description = "refused")),
)]
async fn process_files(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ProcessFiles>,
) -> ApiResult<JsonAnswer<Value>> {
    if form.files.len() > BATCH {
        return Err(ApiError::bad_request(format!("More than {BATCH} files at once.")));
    }
    let collection = to_fill(&state, &principal, &form.collection_name, false).await?;
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for entry in &form.files {
        let refused = match entry.id.parse::<FileId>() {
            Ok(id) => {
                let ids = std::slice::from_ref(&id);
                match state.library.add_to_collection(&principal, &collection.id, ids).await {
                    Ok(_) => None,
                    Err(LibraryError::NoSuchFile(_)) => Some(NOT_FOUND),
                    Err(LibraryError::NotProcessed(_)) => Some(NOT_PROCESSED),
                    Err(LibraryError::NoText(_)) => Some(EMPTY_CONTENT),
                    Err(other) => return Err(other.into()),
                }
            }
            Err(_) => Some(NOT_FOUND),
        };
        match refused {
            None => results.push(json!({"file_id": entry.id, "status": "completed", "error": null})),
            Some(why) => errors.push(json!({"file_id": entry.id, "status": "failed", "error": why})),
        }
    }
    Ok(JsonAnswer(json!({"results": results, "errors": errors})))
}

/// Take a file out of a collection. The file itself stays.
#[utoipa::path(
    post, path = "/api/v1/retrieval/delete", tag = "retrieval", request_body = DeleteForm,
    responses((status = 200, description = "`{\"status\": true}` if it was in it"), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Json(form): Json<DeleteForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let file = id_of(&form.file_id)?;
    state.library.file(&principal, &file).await?;
    if form.collection_name == format!("file-{file}") {
        return Err(ApiError::bad_request("A file's own passages go when the file is deleted."));
    }
    let removed = match state.library.find_collection(&principal, &form.collection_name).await? {
        Some(collection) => {
            match state.library.remove_from_collection(&principal, &collection.id, &file).await {
                Ok(_) => true,
                Err(LibraryError::NotAMember { .. }) => false,
                Err(other) => return Err(other.into()),
            }
        }
        None => false,
    };
    Ok(JsonAnswer(json!({ "status": removed })))
}

/// Delete every collection and make all passages and vectors anew out of the files, which stay.
#[utoipa::path(
    post, path = "/api/v1/retrieval/reset/db", tag = "retrieval",
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn reset_index(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    state.library.reset_index(&principal).await?;
    trail.report(Action::Reset, Target::new("index", "all"), serde_json::Value::Null).await;
    Ok(JsonAnswer(true))
}

/// Delete every file of everyone, with all that came of it.
#[utoipa::path(
    post, path = "/api/v1/retrieval/reset/uploads", tag = "retrieval",
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn reset_uploads(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    state.library.delete_all_files(&principal).await?;
    trail.report(Action::Reset, Target::new("file", "all"), serde_json::Value::Null).await;
    Ok(JsonAnswer(true))
}

/// The collection that a caller wants to write to.
pub(super) async fn to_fill(
    state: &ApiState,
    principal: &Principal,
    name: &str,
    is_given: bool,
) -> ApiResult<Collection> {
    let found = state.library.collection_to_fill(principal, name, is_given).await;
    found.map_err(|error| match error {
        LibraryError::CollectionForbidden(_) => ApiError::new(StatusCode::FORBIDDEN, ACCESS_PROHIBITED),
        other => other.into(),
    })
}

/// What is kept as a file without having been one.
pub(super) fn material(
    name: &str,
    media_type: &str,
    metadata: Map<String, Value>,
    into: &CollectionId,
) -> Upload {
    Upload {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        process: true,
        metadata,
        into: Some(into.clone()),
    }
}

/// Wait for a file's text; a failure is the answer.
pub(super) async fn finished(state: &ApiState, principal: &Principal, id: &FileId) -> ApiResult<File> {
    let file = wait_until_final(state, principal, id).await?;
    match &file.state {
        FileState::Failed(reason) => Err(ApiError::bad_request(reason.clone())),
        _ => Ok(file),
    }
}

pub(super) async fn text_of(state: &ApiState, principal: &Principal, id: &FileId) -> ApiResult<String> {
    Ok(state.library.document(principal, id).await?.map(|document| document.text).unwrap_or_default())
}
