//! Tags of saved chats.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_chat::history::{ChatChange, ChatQuery, Tag};
use breezeway_core::Principal;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    id_of,
    lists::{List, MOST, listed},
};
use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, Path, Verified},
    state::ApiState,
    views::chats,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(all, tagged))
        .routes(routes!(all_again))
        .routes(routes!(show, add, remove))
        .routes(routes!(remove_all))
}

/// The name of a tag.
#[derive(Deserialize, ToSchema)]
struct TagForm {
    name: String,
}

/// Which chats with a tag to list.
#[derive(Deserialize, ToSchema)]
struct TaggedForm {
    name: String,
    skip: Option<u64>,
    limit: Option<u64>,
}

/// The tags of the caller's chats.
#[utoipa::path(
    get, path = "/api/v1/chats/tags", tag = "chats",
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn all(State(state): State<ApiState>, Verified(principal): Verified) -> List {
    Ok(views(&principal, &state.saved.tags(&principal).await?))
}

/// The tags of the caller's chats.
#[utoipa::path(
    get, path = "/api/v1/chats/all/tags", tag = "chats",
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn all_again(state: State<ApiState>, verified: Verified) -> List {
    all(state, verified).await
}

/// The chats with a tag, the latest changed first.
#[utoipa::path(
    post, path = "/api/v1/chats/tags", tag = "chats", request_body = TaggedForm,
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn tagged(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<TaggedForm>,
) -> List {
    let (skip, limit) = (form.skip.unwrap_or(0), form.limit.unwrap_or(50).min(MOST));
    let all = ChatQuery::of(principal.user.clone(), skip, limit);
    listed(&state, &principal, ChatQuery { tag: Some(Tag::id_of(&form.name)), ..all }).await
}

/// The tags of a chat.
#[utoipa::path(
    get, path = "/api/v1/chats/{id}/tags", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn show(State(state): State<ApiState>, Verified(principal): Verified, Path(id): Path<String>) -> List {
    Ok(views(&principal, &state.saved.chat(&principal, &id_of(&id)?).await?.tags))
}

/// Give a chat a tag.
#[utoipa::path(
    post, path = "/api/v1/chats/{id}/tags", tag = "chats", params(("id" = String, Path)),
    request_body = TagForm,
    responses((status = 200, description = "its tags"), (status = "4XX", description = "refused")),
)]
async fn add(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<TagForm>,
) -> List {
    let tag = Tag::named(&form.name).ok_or_else(|| {
        ApiError::invalid("value_error", &["body", "name"], "A tag has 1 to 256 bytes", Value::Null)
    })?;
    let chat = state.saved.change(&principal, &id_of(&id)?, ChatChange::Tag(tag)).await?;
    Ok(views(&principal, &chat.tags))
}

/// Take a tag away from a chat.
#[utoipa::path(
    delete, path = "/api/v1/chats/{id}/tags", tag = "chats", params(("id" = String, Path)),
    request_body = TagForm,
    responses((status = 200, description = "its tags"), (status = "4XX", description = "refused")),
)]
async fn remove(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<TagForm>,
) -> List {
    let change = ChatChange::Untag(Tag::id_of(&form.name));
    let chat = state.saved.change(&principal, &id_of(&id)?, change).await?;
    Ok(views(&principal, &chat.tags))
}

/// Take all tags away from a chat.
#[utoipa::path(
    delete, path = "/api/v1/chats/{id}/tags/all", tag = "chats", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn remove_all(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<bool>> {
    state.saved.change(&principal, &id_of(&id)?, ChatChange::UntagAll).await?;
    Ok(JsonAnswer(true))
}

fn views(principal: &Principal, tags: &[Tag]) -> JsonAnswer<Vec<Value>> {
    JsonAnswer(tags.iter().map(|tag| chats::tag(tag, &principal.user)).collect())
}
