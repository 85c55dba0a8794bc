//! `/v1/files` and `/v1/vector_stores`: the library where clients of OpenAI look for it.
//!
//! A vector store is a collection and a file is a file: what is made here is found in `/api/v1/knowledge`
//! and `/api/v1/files`, and the other way round. Where OpenAI has more words than the library has
//! meanings (a purpose, a time of expiry), they are kept with the thing and told again.

mod batches;
mod files;
mod paging;
mod search;
mod stores;
mod uploads;
mod views;

use breezeway_core::{CollectionId, FileId};
use breezeway_knowledge::Error as LibraryError;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult},
    state::ApiState,
};

pub(super) use self::search::tool_items;

/// Everything but the upload.
pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(uploads::router())
        .merge(stores::router())
        .merge(files::router())
        .merge(batches::router())
        .merge(search::router())
}

/// The upload alone: its body has a limit of its own.
pub(super) fn upload_router() -> OpenApiRouter<ApiState> {
    uploads::upload_router()
}

fn store_id(id: &str) -> ApiResult<CollectionId> {
    id.parse().map_err(|_| no_store(id))
}

fn file_id(id: &str) -> ApiResult<FileId> {
    id.parse().map_err(|_| no_file(id))
}

/// What is not there is a 404 for these clients, and so is what is not theirs.
fn missing(id: &str) -> impl Fn(LibraryError) -> ApiError + use<'_> {
    move |error| match error {
        LibraryError::NoSuchCollection(_) => no_store(id),
        LibraryError::NoSuchFile(_) | LibraryError::NotAMember { .. } => no_file(id),
        LibraryError::CollectionForbidden(_) | LibraryError::FileForbidden(_) => forbidden(),
        other => other.into(),
    }
}

fn forbidden() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, ACCESS_PROHIBITED)
}

fn no_store(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("No vector store found with id '{}'.", shortened(id)))
}

fn no_file(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("No such File object: {}", shortened(id)))
}

/// Ids come from callers, at any length.
fn shortened(id: &str) -> &str {
    &id[..id.floor_char_boundary(128)]
}
