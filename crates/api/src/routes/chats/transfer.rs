//! All of an account's chats at once: taken elsewhere, and brought here.

use axum::{
    Json as JsonAnswer,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_chat::history::{ChatQuery, NewChat, SavedError, Tag};
use breezeway_core::{ChatId, Principal};
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::warn;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{lists::MOST, permitted};
use crate::{
    error::ApiResult,
    extract::{Json, Verified},
    state::ApiState,
    views::chats,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(export)).routes(routes!(export_archived)).routes(routes!(import))
}

/// Chats that were kept elsewhere, as they are exported.
#[derive(Deserialize, ToSchema)]
struct ImportForm {
    chats: Vec<ImportedChat>,
}

#[derive(Deserialize, ToSchema)]
struct ImportedChat {
    #[schema(value_type = Object)]
    chat: Map<String, Value>,
    #[schema(value_type = Object)]
    #[serde(default)]
    meta: Option<Map<String, Value>>,
    #[serde(default)]
    pinned: Option<bool>,
    #[serde(default)]
    archived: Option<bool>,
    /// A folder of the caller's; any other counts as none.
    folder_id: Option<String>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
}

/// All chats of the caller, whole: one line of JSON for each, the latest changed first.
#[utoipa::path(
    get, path = "/api/v1/chats/all", tag = "chats",
    responses((status = 200, description = "lines of JSON"), (status = "4XX", description = "refused")),
)]
async fn export(State(state): State<ApiState>, Verified(principal): Verified) -> ApiResult<Response> {
    lines(state, principal, None).await
}

/// All chats of the caller that were put away, likewise.
#[utoipa::path(
    get, path = "/api/v1/chats/all/archived", tag = "chats",
    responses((status = 200, description = "lines of JSON"), (status = "4XX", description = "refused")),
)]
async fn export_archived(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<Response> {
    lines(state, principal, Some(true)).await
}

/// Bring chats along. Each gets an id of its own.
#[utoipa::path(
    post, path = "/api/v1/chats/import", tag = "chats", request_body = ImportForm,
    responses((status = 200, description = "the chats"), (status = "4XX", description = "refused")),
)]
async fn import(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ImportForm>,
) -> ApiResult<JsonAnswer<Vec<Map<String, Value>>>> {
    permitted(&state, &principal, "chat.import")?;
    let new = form.chats.into_iter().map(ImportedChat::read).collect();
    let made = state.saved.import(&principal, new).await?;
    Ok(JsonAnswer(made.into_iter().map(chats::view).collect()))
}

impl ImportedChat {
    fn read(self) -> NewChat {
        let mut meta = self.meta.unwrap_or_default();
        let names = meta.shift_remove("tags");
        let names = names.as_ref().and_then(Value::as_array).into_iter().flatten();
        let mut tags: Vec<Tag> = names.filter_map(|name| Tag::named(name.as_str()?)).collect();
        tags.sort();
        tags.dedup_by(|left, right| left.id == right.id);
        NewChat {
            body: self.chat,
            meta,
            folder: self.folder_id.and_then(|id| id.parse().ok()),
            pinned: self.pinned.unwrap_or(false),
            archived: self.archived.unwrap_or(false),
            tags,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// Chats as lines, each read when the one before is on its way: all of them together may be more than fits
/// into memory.
async fn lines(state: ApiState, principal: Principal, archived: Option<bool>) -> ApiResult<Response> {
    let query = ChatQuery { archived, ..ChatQuery::of(principal.user.clone(), 0, MOST) };
    let found = state.saved.chats(&principal, query).await?;
    let ids: Vec<ChatId> = found.into_iter().map(|chat| chat.id).collect();
    let lines =
        stream::unfold((state, principal, ids.into_iter()), |(state, principal, mut ids)| async move {
            loop {
                let id = ids.next()?;
                let line = match state.saved.chat(&principal, &id).await {
                    Ok(chat) => {
                        let mut line = Value::Object(chats::view(chat)).to_string();
                        line.push('\n');
                        Ok(Bytes::from(line))
                    }
                    // It was deleted since the list was made.
                    Err(SavedError::NoSuchChat) => continue,
                    Err(error) => {
                        warn!(%error, "An export of chats broke off");
                        Err(std::io::Error::other(error))
                    }
                };
                return Some((line, (state, principal, ids)));
            }
        });
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(lines)).into_response())
}
