//! `/api/v1/groups`: named sets of accounts.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Account, Action, Group, GroupChange, Target};
use breezeway_core::{GroupId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiResult,
    extract::{Admin, Json, Path, Trail, Verified},
    state::ApiState,
    views::{
        accounts::{AccountInfo, group_names},
        groups::{GroupInfo, GroupView},
    },
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create))
        .routes(routes!(show))
        .routes(routes!(info))
        .routes(routes!(export))
        .routes(routes!(members))
        .routes(routes!(update))
        .routes(routes!(add_users))
        .routes(routes!(remove_users))
        .routes(routes!(delete))
}

/// A group as an admin describes it.
#[derive(Deserialize, ToSchema)]
struct GroupForm {
    name: String,
    description: String,
    #[schema(value_type = Object)]
    permissions: Option<Value>,
    user_ids: Option<Vec<String>>,
}

/// Accounts to add or remove.
#[derive(Deserialize, ToSchema)]
struct UserIds {
    user_ids: Vec<String>,
}

/// List groups: an admin all, others their own.
#[utoipa::path(get, path = "/api/v1/groups/", tag = "groups", responses((status = 200, body = [GroupView])))]
async fn list(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Vec<GroupView>> {
    let groups = state.auth.groups();
    let visible =
        groups.iter().filter(|group| principal.is_admin() || group.members.contains(&principal.user));
    JsonAnswer(visible.map(|group| group.as_ref().into()).collect())
}

/// Make a group.
#[utoipa::path(
    post, path = "/api/v1/groups/create", tag = "groups", request_body = GroupForm,
    responses((status = 200, body = GroupView), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    trail: Trail,
    Json(form): Json<GroupForm>,
) -> ApiResult<JsonAnswer<GroupView>> {
    let members = form.user_ids.as_deref().map(users);
    let group = state.auth.create_group(&principal.user, &form.name, &form.description).await?;
    report(&trail, Action::GroupCreated, &group, members.as_ref(), None).await;
    if form.permissions.is_none() && members.is_none() {
        return Ok(JsonAnswer(group.as_ref().into()));
    }
    let change = GroupChange { permissions: form.permissions, members, ..GroupChange::default() };
    let group = state.auth.update_group(&group.id, change).await?;
    Ok(JsonAnswer(group.as_ref().into()))
}

/// One group.
#[utoipa::path(
    get, path = "/api/v1/groups/id/{id}", tag = "groups", params(("id" = String, Path)),
    responses((status = 200, body = GroupView), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<GroupView>> {
    Ok(JsonAnswer(group(&state, &id)?.as_ref().into()))
}

/// What members are told of a group.
#[utoipa::path(
    get, path = "/api/v1/groups/id/{id}/info", tag = "groups", params(("id" = String, Path)),
    responses((status = 200, body = GroupInfo), (status = "4XX", description = "refused")),
)]
async fn info(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<GroupInfo>> {
    let group = group(&state, &id)?;
    if principal.is_admin() || group.members.contains(&principal.user) {
        return Ok(JsonAnswer(group.as_ref().into()));
    }
    // As if there were none.
    Err(breezeway_auth::Error::NoSuchGroup.into())
}

/// A group with everything that is kept of it.
#[utoipa::path(
    get, path = "/api/v1/groups/id/{id}/export", tag = "groups", params(("id" = String, Path)),
    responses((status = 200, body = GroupView), (status = "4XX", description = "refused")),
)]
async fn export(state: State<ApiState>, admin: Admin, id: Path<String>) -> ApiResult<JsonAnswer<GroupView>> {
    show(state, admin, id).await
}

/// The accounts in a group.
#[utoipa::path(
    post, path = "/api/v1/groups/id/{id}/users", tag = "groups", params(("id" = String, Path)),
    responses((status = 200, body = [AccountInfo]), (status = "4XX", description = "refused")),
)]
async fn members(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Vec<AccountInfo>>> {
    let (groups, now) = (state.auth.groups(), state.registry.clock().now());
    let group = group(&state, &id)?;
    let mut accounts: Vec<_> = group.members.iter().filter_map(|id| state.auth.account(id)).collect();
    accounts.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
    let view = |account: &Arc<Account>| AccountInfo::new(account, group_names(&account.id, &groups), now);
    Ok(JsonAnswer(accounts.iter().map(view).collect()))
}

/// Change a group.
#[utoipa::path(
    post, path = "/api/v1/groups/id/{id}/update", tag = "groups", params(("id" = String, Path)),
    request_body = GroupForm,
    responses((status = 200, body = GroupView), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
    trail: Trail,
    Json(form): Json<GroupForm>,
) -> ApiResult<JsonAnswer<GroupView>> {
    let members = form.user_ids.as_deref().map(users);
    let change = GroupChange {
        name: Some(form.name),
        description: Some(form.description),
        permissions: form.permissions,
        members: members.clone(),
    };
    let group = state.auth.update_group(&group(&state, &id)?.id, change).await?;
    report(&trail, Action::GroupUpdated, &group, members.as_ref(), None).await;
    Ok(JsonAnswer(group.as_ref().into()))
}

/// Add accounts to a group.
#[utoipa::path(
    post, path = "/api/v1/groups/id/{id}/users/add", tag = "groups", params(("id" = String, Path)),
    request_body = UserIds,
    responses((status = 200, body = GroupView), (status = "4XX", description = "refused")),
)]
async fn add_users(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
    trail: Trail,
    Json(form): Json<UserIds>,
) -> ApiResult<JsonAnswer<GroupView>> {
    change_members(&state, &trail, &id, users(&form.user_ids), BTreeSet::new()).await
}

/// Take accounts out of a group.
#[utoipa::path(
    post, path = "/api/v1/groups/id/{id}/users/remove", tag = "groups", params(("id" = String, Path)),
    request_body = UserIds,
    responses((status = 200, body = GroupView), (status = "4XX", description = "refused")),
)]
async fn remove_users(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
    trail: Trail,
    Json(form): Json<UserIds>,
) -> ApiResult<JsonAnswer<GroupView>> {
    change_members(&state, &trail, &id, BTreeSet::new(), users(&form.user_ids)).await
}

/// Delete a group.
#[utoipa::path(
    delete, path = "/api/v1/groups/id/{id}/delete", tag = "groups", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    let known = group(&state, &id)?;
    let id = known.id.clone();
    // What it was given goes first, so that no access list is left with a group that nobody has.
    state.library.depart_group(&id).await?;
    state.registry.depart_group(&id).await?;
    let is_deleted = state.auth.delete_group(&id).await?;
    report(&trail, Action::GroupDeleted, &known, None, None).await;
    Ok(JsonAnswer(is_deleted))
}

async fn change_members(
    state: &ApiState,
    trail: &Trail,
    id: &str,
    added: BTreeSet<UserId>,
    removed: BTreeSet<UserId>,
) -> ApiResult<JsonAnswer<GroupView>> {
    let id = group(state, id)?.id.clone();
    let group = state.auth.change_members(&id, added.clone(), removed.clone()).await?;
    report(trail, Action::GroupUpdated, &group, Some(&added), Some(&removed)).await;
    Ok(JsonAnswer(group.as_ref().into()))
}

/// Report a change of a group. Members are named by their ids, and so many that an entry stays small.
async fn report(
    trail: &Trail,
    action: Action,
    group: &Group,
    added: Option<&BTreeSet<UserId>>,
    removed: Option<&BTreeSet<UserId>>,
) {
    let ids = |ids: Option<&BTreeSet<UserId>>| {
        ids.map(|ids| ids.iter().take(100).map(ToString::to_string).collect::<Vec<_>>())
    };
    let detail = json!({"name": group.name, "members_added": ids(added), "members_removed": ids(removed)});
    trail.report(action, Target::new("group", &group.id), detail).await;
}

fn group(state: &ApiState, id: &str) -> ApiResult<Arc<Group>> {
    let found = id.parse::<GroupId>().ok().and_then(|id| state.auth.group(&id));
    found.ok_or_else(|| breezeway_auth::Error::NoSuchGroup.into())
}

/// The ids that are ids; whether there are such accounts is asked when the group is changed.
fn users(ids: &[String]) -> BTreeSet<UserId> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}
