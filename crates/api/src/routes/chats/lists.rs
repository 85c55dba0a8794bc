//! Lists of saved chats.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_chat::history::{ChatOrder, ChatQuery, InFolder};
use breezeway_core::Principal;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::permitted;
use crate::{
    error::{ApiError, ApiResult},
    extract::{Path, Query, Trail, Verified},
    state::ApiState,
    views::chats,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, delete_all))
        .routes(routes!(list_again))
        .routes(routes!(search))
        .routes(routes!(pinned))
        .routes(routes!(archived))
        .routes(routes!(in_folder))
}

/// Chats of a page.
const PAGE: u64 = 60;

/// Chats of a list that is not asked for page by page.
pub(super) const MOST: u64 = 10_000;

#[derive(Deserialize, IntoParams)]
struct ListQuery {
    /// From 1; without it, all there are.
    page: Option<i64>,
    /// Also chats that are kept on top.
    include_pinned: Option<bool>,
    /// Also chats in folders.
    include_folders: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
struct SearchQuery {
    /// Words that all have to begin somewhere in the chat.
    text: String,
    /// From 1.
    page: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
struct ArchivedQuery {
    /// From 1; without it, all there are.
    page: Option<i64>,
    /// Only chats with these words.
    query: Option<String>,
    /// `updated_at`, `created_at` or `title`.
    order_by: Option<String>,
    /// `asc` or `desc`.
    direction: Option<String>,
}

#[derive(Deserialize, IntoParams)]
struct PageQuery {
    /// From 1; without it, all there are.
    page: Option<i64>,
}

pub(super) type List = ApiResult<JsonAnswer<Vec<Value>>>;

/// The caller's chats, the latest changed first, without those that are kept on top, in folders or put
/// away.
#[utoipa::path(
    get, path = "/api/v1/chats/", tag = "chats", params(ListQuery),
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<ListQuery>,
) -> List {
    let all = page(&principal, query.page)?;
    let query = ChatQuery {
        pinned: if query.include_pinned == Some(true) { None } else { Some(false) },
        folder: if query.include_folders == Some(true) { InFolder::Any } else { InFolder::None },
        ..all
    };
    listed(&state, &principal, query).await
}

/// The same.
#[utoipa::path(
    get, path = "/api/v1/chats/list", tag = "chats", params(ListQuery),
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn list_again(state: State<ApiState>, verified: Verified, query: Query<ListQuery>) -> List {
    list(state, verified, query).await
}

/// Delete all of the caller's chats.
#[utoipa::path(
    delete, path = "/api/v1/chats/", tag = "chats",
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete_all(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    permitted(&state, &principal, "chat.delete")?;
    state.saved.delete_all(&principal).await?;
    trail.report_deleted("chat", "all").await;
    Ok(JsonAnswer(true))
}

/// Find chats by the words in them, sixty at a time.
#[utoipa::path(
    get, path = "/api/v1/chats/search", tag = "chats", params(SearchQuery),
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn search(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<SearchQuery>,
) -> List {
    let wanted = page(&principal, query.page.or(Some(1)))?;
    listed(&state, &principal, ChatQuery { text: Some(query.text), ..wanted }).await
}

/// The chats that are kept on top.
#[utoipa::path(
    get, path = "/api/v1/chats/pinned", tag = "chats",
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn pinned(State(state): State<ApiState>, Verified(principal): Verified) -> List {
    let query = ChatQuery { pinned: Some(true), ..page(&principal, None)? };
    listed(&state, &principal, query).await
}

/// The chats that were put away.
#[utoipa::path(
    get, path = "/api/v1/chats/archived", tag = "chats", params(ArchivedQuery),
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn archived(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<ArchivedQuery>,
) -> List {
    let query = ChatQuery {
        archived: Some(true),
        text: query.query.filter(|text| !text.trim().is_empty()),
        order: match query.order_by.as_deref() {
            Some("created_at") => ChatOrder::Creation,
            Some("title") => ChatOrder::Title,
            _ => ChatOrder::Change,
        },
        ascending: query.direction.as_deref() == Some("asc"),
        ..page(&principal, query.page)?
    };
    listed(&state, &principal, query).await
}

/// The chats in a folder.
#[utoipa::path(
    get, path = "/api/v1/chats/folder/{id}/list", tag = "chats", params(("id" = String, Path), PageQuery),
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn in_folder(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> List {
    let id = id.parse().map_err(|_| ApiError::not_found())?;
    let folder = state.saved.folder(&principal, &id).await?;
    let query = ChatQuery { folder: InFolder::This(folder.id), ..page(&principal, query.page)? };
    listed(&state, &principal, query).await
}

/// A page of the caller's chats, or all of them.
fn page(principal: &Principal, page: Option<i64>) -> ApiResult<ChatQuery> {
    let owner = principal.user.clone();
    match page.map(|page| crate::routes::files::positive(Some(page))).transpose()? {
        Some(page) => Ok(ChatQuery::of(owner, (page - 1).saturating_mul(PAGE), PAGE)),
        None => Ok(ChatQuery::of(owner, 0, MOST)),
    }
}

/// The list that a query asks for.
pub(super) async fn listed(state: &ApiState, principal: &Principal, query: ChatQuery) -> List {
    let found = state.saved.chats(principal, query).await?;
    Ok(JsonAnswer(found.iter().map(chats::summary).collect()))
}
