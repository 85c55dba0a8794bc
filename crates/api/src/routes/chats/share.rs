//! Copies of chats: for everybody who knows where they are, and for oneself.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_chat::history::{Chat, ChatChange, NewChat};
use breezeway_core::{Principal, ShareId};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ChatAnswer, change, id_of, permitted};
use crate::{
    error::{ApiError, ApiResult, NOT_FOUND},
    extract::{Json, Path, Trail, Verified},
    state::ApiState,
    views::chats,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(share, unshare))
        .routes(routes!(shared))
        .routes(routes!(clone))
        .routes(routes!(clone_shared))
}

/// What a copy is to be called.
#[derive(Deserialize, ToSchema)]
struct CloneForm {
    title: Option<String>,
}

/// Share a chat as it is now with everybody here who gets to know its `share_id`; again, to share it as it
/// is then.
#[utoipa::path(
    post, path = "/api/v1/chats/{id}/share", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn share(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ChatAnswer {
    permitted(&state, &principal, "chat.share")?;
    let shared = change(&state, &principal, &id, ChatChange::Share(ShareId::mint())).await?;
    trail.report(Action::Shared, Target::new("chat", &id), Value::Null).await;
    Ok(shared)
}

/// Share a chat no longer.
#[utoipa::path(
    delete, path = "/api/v1/chats/{id}/share", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn unshare(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    let id = id_of(&id)?;
    let was_shared = state.saved.chat(&principal, &id).await?.share.is_some();
    state.saved.change(&principal, &id, ChatChange::Unshare).await?;
    if was_shared {
        trail.report(Action::Unshared, Target::new("chat", &id), Value::Null).await;
    }
    Ok(JsonAnswer(was_shared))
}

/// A chat that somebody has shared.
#[utoipa::path(
    get, path = "/api/v1/chats/share/{share_id}", tag = "chats", params(("share_id" = String, Path)),
    responses((status = 200, description = "the chat"), (status = "4XX", description = "refused")),
)]
async fn shared(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(share): Path<String>,
) -> ChatAnswer {
    Ok(JsonAnswer(chats::shared(copy(&state, &principal, &share).await?)))
}

/// Make a copy of a chat.
#[utoipa::path(
    post, path = "/api/v1/chats/{id}/clone", tag = "chats", params(("id" = String, Path)),
    request_body = CloneForm,
    responses((status = 200, description = "the copy"), (status = "4XX", description = "refused")),
)]
async fn clone(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    form: Result<Json<CloneForm>, ApiError>,
) -> ChatAnswer {
    let chat = state.saved.chat(&principal, &id_of(&id)?).await?;
    // Most clients send no body.
    let title = form.ok().and_then(|Json(form)| form.title);
    copied(&state, &principal, chat, title).await
}

/// Make a copy of a chat that somebody has shared.
#[utoipa::path(
    post, path = "/api/v1/chats/{share_id}/clone/shared", tag = "chats", params(("share_id" = String, Path)),
    responses((status = 200, description = "the copy"), (status = "4XX", description = "refused")),
)]
async fn clone_shared(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(share): Path<String>,
) -> ChatAnswer {
    let chat = copy(&state, &principal, &share).await?;
    copied(&state, &principal, chat, None).await
}

async fn copy(state: &ApiState, principal: &Principal, share: &str) -> ApiResult<Chat> {
    let share = share.parse().map_err(|_| ApiError::new(StatusCode::UNAUTHORIZED, NOT_FOUND))?;
    Ok(state.saved.shared(principal, &share).await?)
}

async fn copied(state: &ApiState, principal: &Principal, chat: Chat, title: Option<String>) -> ChatAnswer {
    let Chat { id, title: old, mut body, meta, folder, tags, share, .. } = chat;
    let title = title.filter(|title| !title.is_empty()).unwrap_or_else(|| format!("Clone of {old}"));
    // Where a copy comes from: the copy that was copied, if that is all its owner knows.
    let origin =
        share.filter(|_| !is_own(principal, &chat.owner)).map_or(id.to_string(), |id| id.to_string());
    let current = body.get("history").and_then(|history| history.get("currentId")).cloned();
    let new: [(&str, Value); 3] = [
        ("originalChatId", origin.into()),
        ("branchPointMessageId", current.unwrap_or(Value::Null)),
        ("title", title.into()),
    ];
    body.extend(new.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>());
    let new = NewChat { body, meta, folder, tags, ..NewChat::default() };
    Ok(JsonAnswer(chats::view(state.saved.create(principal, new).await?)))
}

fn is_own(principal: &Principal, owner: &breezeway_core::UserId) -> bool {
    principal.user == *owner
}
