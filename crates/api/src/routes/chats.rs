//! `/api/v1/chats`: saved chats. They are their owner's alone; admins see no others than their own.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_chat::history::{ChatChange, NewChat};
use breezeway_core::{ChatId, FolderId, Principal};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult, NOT_FOUND},
    extract::{Json, Path, Trail, Verified},
    state::ApiState,
    views::chats,
};

mod lists;
mod share;
mod tags;
mod transfer;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(show, update, delete))
        .routes(routes!(archive))
        .routes(routes!(pin))
        .routes(routes!(is_pinned))
        .routes(routes!(into_folder))
        .routes(routes!(archive_all))
        .routes(routes!(unarchive_all))
        .merge(lists::router())
        .merge(share::router())
        .merge(tags::router())
        .merge(transfer::router())
}

/// A chat as clients send it.
#[derive(Deserialize, ToSchema)]
struct NewChatForm {
    /// What clients keep of it: `title`, `models`, `history`, …
    #[schema(value_type = Object)]
    chat: Map<String, Value>,
    folder_id: Option<String>,
}

/// A change of a chat.
#[derive(Deserialize, ToSchema)]
struct ChatForm {
    /// These take the places of the stored entries of the same names.
    #[schema(value_type = Object)]
    chat: Map<String, Value>,
}

/// The folder a chat is to be in.
#[derive(Deserialize, ToSchema)]
struct ChatFolderForm {
    folder_id: Option<String>,
}

type ChatAnswer = ApiResult<JsonAnswer<Map<String, Value>>>;

/// Keep a chat.
#[utoipa::path(
    post, path = "/api/v1/chats/new", tag = "chats", request_body = NewChatForm,
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<NewChatForm>,
) -> ChatAnswer {
    let folder = folder_of(form.folder_id.as_deref())?;
    let new = NewChat { body: form.chat, folder, ..NewChat::default() };
    Ok(JsonAnswer(chats::view(state.saved.create(&principal, new).await?)))
}

/// One chat, whole.
#[utoipa::path(
    get, path = "/api/v1/chats/{id}", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ChatAnswer {
    Ok(JsonAnswer(chats::view(state.saved.chat(&principal, &id_of(&id)?).await?)))
}

/// Change what is kept of a chat, entry by entry.
#[utoipa::path(
    post, path = "/api/v1/chats/{id}", tag = "chats", params(("id" = String, Path)), request_body = ChatForm,
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<ChatForm>,
) -> ChatAnswer {
    change(&state, &principal, &id, ChatChange::Merge(form.chat)).await
}

/// Delete a chat, and what is shared of it.
#[utoipa::path(
    delete, path = "/api/v1/chats/{id}", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    permitted(&state, &principal, "chat.delete")?;
    let id = id.parse::<ChatId>().map_err(|_| ApiError::not_found())?;
    match state.saved.delete(&principal, &id).await {
        Ok(()) => {
            trail.report_deleted("chat", id).await;
            Ok(JsonAnswer(true))
        }
        Err(breezeway_chat::history::SavedError::NoSuchChat) => Err(ApiError::not_found()),
        Err(other) => Err(other.into()),
    }
}

/// Put a chat away, or take it out again.
#[utoipa::path(
    post, path = "/api/v1/chats/{id}/archive", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn archive(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ChatAnswer {
    change(&state, &principal, &id, ChatChange::ToggleArchived).await
}

/// Keep a chat on top, or not any more.
#[utoipa::path(
    post, path = "/api/v1/chats/{id}/pin", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn pin(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ChatAnswer {
    change(&state, &principal, &id, ChatChange::TogglePinned).await
}

/// Whether a chat is kept on top.
#[utoipa::path(
    get, path = "/api/v1/chats/{id}/pinned", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn is_pinned(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<bool>> {
    Ok(JsonAnswer(state.saved.chat(&principal, &id_of(&id)?).await?.pinned))
}

/// Put a chat into a folder, or into none.
#[utoipa::path(
    post, path = "/api/v1/chats/{id}/folder", tag = "chats", params(("id" = String, Path)),
    request_body = ChatFolderForm,
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn into_folder(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<ChatFolderForm>,
) -> ChatAnswer {
    let folder = folder_of(form.folder_id.as_deref())?;
    change(&state, &principal, &id, ChatChange::Move(folder)).await
}

/// Put all chats away.
#[utoipa::path(
    post, path = "/api/v1/chats/archive/all", tag = "chats",
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn archive_all(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<bool>> {
    state.saved.archive_all(&principal, true).await?;
    Ok(JsonAnswer(true))
}

/// Take all chats out again.
#[utoipa::path(
    post, path = "/api/v1/chats/unarchive/all", tag = "chats",
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn unarchive_all(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<bool>> {
    state.saved.archive_all(&principal, false).await?;
    Ok(JsonAnswer(true))
}

async fn change(state: &ApiState, principal: &Principal, id: &str, change: ChatChange) -> ChatAnswer {
    Ok(JsonAnswer(chats::view(state.saved.change(principal, &id_of(id)?, change).await?)))
}

fn id_of(text: &str) -> ApiResult<ChatId> {
    text.parse().map_err(|_| ApiError::new(StatusCode::UNAUTHORIZED, NOT_FOUND))
}

fn folder_of(text: Option<&str>) -> ApiResult<Option<FolderId>> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|_| ApiError::not_found())).transpose()
}

pub(super) fn permitted(state: &ApiState, principal: &Principal, permission: &str) -> ApiResult<()> {
    match state.auth.has_permission(principal, permission) {
        true => Ok(()),
        false => Err(ApiError::prohibited()),
    }
}
