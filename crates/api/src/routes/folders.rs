//! `/api/v1/folders`: folders of saved chats.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_chat::history::FolderChange;
use breezeway_core::{FolderId, Principal};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::chats::permitted;
use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query, Trail, Verified},
    state::ApiState,
    views::chats,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, delete))
        .routes(routes!(update))
        .routes(routes!(move_to))
        .routes(routes!(expand))
}

/// The longest name of a folder, in bytes.
const NAME_BYTES: usize = 1024;

/// A folder as clients send it.
#[derive(Deserialize, ToSchema)]
struct FolderForm {
    name: Option<String>,
    #[schema(value_type = Object)]
    data: Option<Map<String, Value>>,
    #[schema(value_type = Object)]
    meta: Option<Map<String, Value>>,
    /// Only where a folder is made.
    parent_id: Option<String>,
}

/// The folder a folder is to be in.
#[derive(Deserialize, ToSchema)]
struct ParentForm {
    parent_id: Option<String>,
}

/// Whether a folder's chats are shown.
#[derive(Deserialize, ToSchema)]
struct ExpandedForm {
    is_expanded: bool,
}

#[derive(Deserialize, IntoParams)]
struct DeleteQuery {
    /// Whether the chats in it go too, as they do if this is missing; else they are in no folder.
    delete_contents: Option<bool>,
}

type FolderAnswer = ApiResult<JsonAnswer<Map<String, Value>>>;

/// The caller's folders, in the order they were made.
#[utoipa::path(
    get, path = "/api/v1/folders/", tag = "folders",
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<Vec<Map<String, Value>>>> {
    let folders = state.saved.folders(&principal).await?;
    Ok(JsonAnswer(folders.into_iter().map(chats::folder).collect()))
}

/// Make a folder.
#[utoipa::path(
    post, path = "/api/v1/folders/", tag = "folders", request_body = FolderForm,
    responses((status = 200, description = "the folder"), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<FolderForm>,
) -> FolderAnswer {
    permitted(&state, &principal, "features.folders")?;
    let name = name_of(form.name)?.ok_or_else(|| ApiError::missing(&["body", "name"], Value::Null))?;
    let parent = form.parent_id.as_deref().filter(|id| !id.is_empty()).map(id_of).transpose()?;
    let new = FolderChange {
        name: Some(name),
        data: form.data,
        meta: form.meta,
        parent: Some(parent),
        expanded: None,
    };
    Ok(JsonAnswer(chats::folder(state.saved.create_folder(&principal, new).await?)))
}

/// One folder.
#[utoipa::path(
    get, path = "/api/v1/folders/{id}", tag = "folders", params(("id" = String, Path)),
    responses((status = 200, description = "the folder"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> FolderAnswer {
    Ok(JsonAnswer(chats::folder(state.saved.folder(&principal, &id_of(&id)?).await?)))
}

/// Change a folder's name and data.
#[utoipa::path(
    post, path = "/api/v1/folders/{id}/update", tag = "folders", params(("id" = String, Path)),
    request_body = FolderForm,
    responses((status = 200, description = "the folder"), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<FolderForm>,
) -> FolderAnswer {
    let name = name_of(form.name)?;
    let update = FolderChange { name, data: form.data, meta: form.meta, ..FolderChange::default() };
    change(&state, &principal, &id, update).await
}

/// Put a folder into another, or into none.
#[utoipa::path(
    post, path = "/api/v1/folders/{id}/update/parent", tag = "folders", params(("id" = String, Path)),
    request_body = ParentForm,
    responses((status = 200, description = "the folder"), (status = "4XX", description = "refused")),
)]
async fn move_to(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<ParentForm>,
) -> FolderAnswer {
    let parent = form.parent_id.as_deref().filter(|id| !id.is_empty()).map(id_of).transpose()?;
    change(&state, &principal, &id, FolderChange { parent: Some(parent), ..FolderChange::default() }).await
}

/// Show or hide what is in a folder.
#[utoipa::path(
    post, path = "/api/v1/folders/{id}/update/expanded", tag = "folders", params(("id" = String, Path)),
    request_body = ExpandedForm,
    responses((status = 200, description = "the folder"), (status = "4XX", description = "refused")),
)]
async fn expand(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<ExpandedForm>,
) -> FolderAnswer {
    let expanded = Some(form.is_expanded);
    change(&state, &principal, &id, FolderChange { expanded, ..FolderChange::default() }).await
}

/// Delete a folder and those below it, with or without the chats in them.
#[utoipa::path(
    delete, path = "/api/v1/folders/{id}", tag = "folders", params(("id" = String, Path), DeleteQuery),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<DeleteQuery>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    let with_chats = query.delete_contents.unwrap_or(true);
    if with_chats {
        permitted(&state, &principal, "chat.delete")?;
    }
    let id = id_of(&id)?;
    state.saved.delete_folder(&principal, &id, with_chats).await?;
    trail.report(Action::Deleted, Target::new("folder", id), json!({"with_chats": with_chats})).await;
    Ok(JsonAnswer(true))
}

async fn change(state: &ApiState, principal: &Principal, id: &str, change: FolderChange) -> FolderAnswer {
    Ok(JsonAnswer(chats::folder(state.saved.change_folder(principal, &id_of(id)?, change).await?)))
}

fn id_of(text: &str) -> ApiResult<FolderId> {
    text.parse().map_err(|_| ApiError::not_found())
}

fn name_of(name: Option<String>) -> ApiResult<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    if name.is_empty() || name.len() > NAME_BYTES {
        let why = format!("A folder's name has 1 to {NAME_BYTES} bytes");
        return Err(ApiError::invalid("value_error", &["body", "name"], &why, Value::Null));
    }
    Ok(Some(name.to_owned()))
}
