//! `/api/v1/users`: the admin's view of accounts, and permissions.

use std::{cmp::Ordering, sync::Arc};

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_auth::{Account, AccountChange, Action, Permissions, Target};
use breezeway_core::{UnixTime, UserId};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::auths::{fits, role};
use crate::{
    error::{ApiError, ApiResult, NOT_FOUND},
    extract::{Admin, Json, Path, Query, Trail, Verified},
    state::ApiState,
    views::accounts::{
        AccountDetail, AccountInfo, AccountList, AccountSummary, AccountView, GroupName, group_names,
        is_active,
    },
};

mod departure;
mod own;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(list_all))
        .routes(routes!(search))
        .routes(routes!(own_permissions))
        .routes(routes!(own_groups))
        .routes(routes!(default_permissions, change_default_permissions))
        .routes(routes!(first_permissions))
        .merge(own::router())
        .routes(routes!(show, departure::delete))
        .routes(routes!(departure::end_sessions))
        .routes(routes!(picture))
        .routes(routes!(info))
        .routes(routes!(activity))
        .routes(routes!(groups))
        .routes(routes!(update))
}

/// Accounts on one page of the list.
const PAGE: usize = 30;

/// Which accounts to list.
#[derive(Deserialize, IntoParams)]
struct ListQuery {
    /// Only those whose name or address contains this.
    query: Option<String>,
    /// `name`, `email`, `role`, `created_at`, `last_active_at` or `updated_at`.
    order_by: Option<String>,
    /// `asc` or `desc`.
    direction: Option<String>,
    /// From 1.
    page: Option<usize>,
}

/// What to change of an account.
#[derive(Deserialize, ToSchema)]
struct UpdateAccount {
    role: Option<String>,
    name: Option<String>,
    email: Option<String>,
    profile_image_url: Option<String>,
    password: Option<String>,
}

/// List accounts, a page at a time.
#[utoipa::path(
    get, path = "/api/v1/users/", tag = "users", params(ListQuery),
    responses((status = 200, body = AccountList), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Query(query): Query<ListQuery>,
) -> JsonAnswer<AccountList> {
    JsonAnswer(page_of(&state, &query))
}

/// List all accounts.
#[utoipa::path(
    get, path = "/api/v1/users/all", tag = "users",
    responses((status = 200, body = AccountList), (status = "4XX", description = "refused")),
)]
async fn list_all(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<AccountList> {
    let query = ListQuery { query: None, order_by: None, direction: None, page: None };
    let accounts = matching(&state, &query);
    let total = accounts.len();
    JsonAnswer(AccountList { users: views(&state, &accounts), total })
}

/// Find accounts to share with: names and addresses, no more.
#[utoipa::path(
    get, path = "/api/v1/users/search", tag = "users", params(ListQuery),
    responses((status = 200, description = "accounts"), (status = "4XX", description = "refused")),
)]
async fn search(
    State(state): State<ApiState>,
    Verified(_): Verified,
    Query(query): Query<ListQuery>,
) -> JsonAnswer<Value> {
    let accounts = matching(&state, &query);
    let total = accounts.len();
    let users: Vec<AccountSummary> =
        slice(accounts, &query).iter().map(|account| account.as_ref().into()).collect();
    JsonAnswer(json!({"users": users, "total": total}))
}

/// What the caller may do.
#[utoipa::path(
    get, path = "/api/v1/users/permissions", tag = "users",
    responses((status = 200, description = "a tree of booleans")),
)]
async fn own_permissions(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Value> {
    JsonAnswer(state.auth.permissions(&principal))
}

/// The groups the caller is in.
#[utoipa::path(
    get, path = "/api/v1/users/groups", tag = "users",
    responses((status = 200, description = "groups")),
)]
async fn own_groups(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Value> {
    JsonAnswer(json!(group_names(&principal.user, &state.auth.groups())))
}

/// What plain users may do unless a group says more.
#[utoipa::path(
    get, path = "/api/v1/users/default/permissions", tag = "users",
    responses((status = 200, description = "a tree of booleans"), (status = "4XX", description = "refused")),
)]
async fn default_permissions(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Value> {
    JsonAnswer(state.auth.settings().permissions.clone())
}

/// Change what plain users may do.
#[utoipa::path(
    post, path = "/api/v1/users/default/permissions", tag = "users", request_body = Object,
    responses((status = 200, description = "the tree"), (status = "4XX", description = "refused")),
)]
async fn change_default_permissions(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    Json(tree): Json<Value>,
) -> ApiResult<JsonAnswer<Value>> {
    if !tree.is_object() {
        return Err(ApiError::invalid(
            "dict_type",
            &["body"],
            "Input should be a valid dictionary",
            Value::Null,
        ));
    }
    let settings = state.auth.change_settings(|settings| settings.permissions = tree).await?;
    trail.report(Action::SettingsChanged, Target::new("settings", "permissions"), Value::Null).await;
    Ok(JsonAnswer(settings.permissions.clone()))
}

/// What plain users may do on a fresh server.
#[utoipa::path(
    get, path = "/api/v1/users/default/permissions/defaults", tag = "users",
    responses((status = 200, description = "a tree of booleans"), (status = "4XX", description = "refused")),
)]
async fn first_permissions(Admin(_): Admin) -> JsonAnswer<Value> {
    JsonAnswer(Permissions::default().into_tree())
}

/// One account.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = AccountDetail), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<AccountDetail>> {
    let account = account(&state, &id)?;
    let groups = state.auth.groups();
    let named = group_names(&account.id, &groups);
    Ok(JsonAnswer(AccountDetail::new(AccountView::new(&account, &groups, now(&state)), named)))
}

/// What anybody may know of an account.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/info", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = AccountInfo), (status = "4XX", description = "refused")),
)]
async fn info(
    State(state): State<ApiState>,
    Verified(_): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<AccountInfo>> {
    let account = account(&state, &id)?;
    let groups = group_names(&account.id, &state.auth.groups());
    Ok(JsonAnswer(AccountInfo::new(&account, groups, now(&state))))
}

/// Whether an account has done something in the last minutes.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/active", tag = "users", params(("id" = String, Path)),
    responses((status = 200, description = "`{\"active\": …}`"), (status = "4XX", description = "refused")),
)]
async fn activity(
    State(state): State<ApiState>,
    Verified(_): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Value>> {
    let account = account(&state, &id)?;
    Ok(JsonAnswer(json!({"active": is_active(&account, now(&state))})))
}

/// The groups an account is in.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/groups", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = [GroupName]), (status = "4XX", description = "refused")),
)]
async fn groups(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Vec<GroupName>>> {
    let account = account(&state, &id)?;
    Ok(JsonAnswer(group_names(&account.id, &state.auth.groups())))
}

/// An account's picture.
#[utoipa::path(
    get, path = "/api/v1/users/{id}/profile/image", tag = "users", params(("id" = String, Path)),
    responses((status = 200, description = "a picture"), (status = 302, description = "where it is")),
)]
async fn picture(
    State(state): State<ApiState>,
    Verified(_): Verified,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let account = account(&state, &id)?;
    let url = &account.profile_image_url;
    Ok(picture_at(url).unwrap_or_else(|| drawn(&account.name)))
}

/// Change an account.
#[utoipa::path(
    post, path = "/api/v1/users/{id}/update", tag = "users", params(("id" = String, Path)),
    request_body = UpdateAccount,
    responses((status = 200, body = AccountView), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
    trail: Trail,
    Json(form): Json<UpdateAccount>,
) -> ApiResult<JsonAnswer<AccountView>> {
    let before = account(&state, &id)?;
    let id = before.id.clone();
    fits(form.name.as_deref().unwrap_or_default(), form.profile_image_url.as_deref())?;
    let change = AccountChange {
        email: form.email,
        name: form.name,
        role: form.role.as_deref().map(role).transpose()?,
        profile_image_url: form.profile_image_url,
        profile: None,
        password: form.password.filter(|password| !password.is_empty()).map(Into::into),
    };
    let has_password = change.password.is_some();
    let account = state.auth.update_account(&id, change).await?;
    report_update(&trail, &before, &account, has_password).await;
    Ok(JsonAnswer(AccountView::new(&account, &state.auth.groups(), now(&state))))
}

async fn report_update(trail: &Trail, before: &Account, after: &Account, has_password: bool) {
    let target = || Target::new("account", &after.id);
    if before.role != after.role {
        let detail = json!({"from": before.role.as_str(), "to": after.role.as_str()});
        trail.report(Action::RoleChanged, target(), detail).await;
    }
    if has_password {
        trail.report(Action::PasswordChanged, target(), Value::Null).await;
    }
    if before.email != after.email || before.name != after.name {
        let detail = json!({"email": after.email, "former_email": before.email});
        trail.report(Action::AccountUpdated, target(), detail).await;
    }
}

fn account(state: &ApiState, id: &str) -> ApiResult<Arc<Account>> {
    let id = id.parse::<UserId>().map_err(|_| ApiError::bad_request(NOT_FOUND))?;
    state.auth.account(&id).ok_or_else(|| ApiError::bad_request(NOT_FOUND))
}

fn page_of(state: &ApiState, query: &ListQuery) -> AccountList {
    let accounts = matching(state, query);
    let total = accounts.len();
    AccountList { users: views(state, &slice(accounts, query)), total }
}

fn slice(accounts: Vec<Arc<Account>>, query: &ListQuery) -> Vec<Arc<Account>> {
    let skipped = query.page.unwrap_or(1).saturating_sub(1).saturating_mul(PAGE);
    accounts.into_iter().skip(skipped).take(PAGE).collect()
}

fn views(state: &ApiState, accounts: &[Arc<Account>]) -> Vec<AccountView> {
    let groups = state.auth.groups();
    accounts.iter().map(|account| AccountView::new(account, &groups, now(state))).collect()
}

fn matching(state: &ApiState, query: &ListQuery) -> Vec<Arc<Account>> {
    let wanted = query.query.as_deref().unwrap_or_default().to_lowercase();
    let mut accounts = state.auth.accounts();
    accounts
        .retain(|account| account.name.to_lowercase().contains(&wanted) || account.email.contains(&wanted));
    let order: fn(&Account, &Account) -> Ordering = match query.order_by.as_deref() {
        Some("name") => |a, b| a.name.cmp(&b.name),
        Some("email") => |a, b| a.email.cmp(&b.email),
        Some("role") => |a, b| a.role.as_str().cmp(b.role.as_str()),
        Some("last_active_at") => |a, b| a.last_active_at.cmp(&b.last_active_at),
        Some("updated_at") => |a, b| a.updated_at.cmp(&b.updated_at),
        _ => |a, b| a.created_at.cmp(&b.created_at),
    };
    accounts.sort_by(|a, b| order(a, b).then_with(|| a.id.cmp(&b.id)));
    if query.direction.as_deref() == Some("desc") {
        accounts.reverse();
    }
    accounts
}

fn now(state: &ApiState) -> UnixTime {
    state.registry.clock().now()
}

/// The picture at an address that somebody has set: kept in the address itself, or elsewhere.
pub(super) fn picture_at(url: &str) -> Option<Response> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return data_url(url);
    }
    let elsewhere = HeaderValue::from_str(url).ok()?;
    Some((StatusCode::FOUND, [(header::LOCATION, elsewhere)]).into_response())
}

/// A picture for those who have none.
pub(super) fn drawn(name: &str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"))], initial(name)).into_response()
}

/// A picture that is kept as a `data:` URL, if it is an image of a kind that cannot carry a script.
fn data_url(url: &str) -> Option<Response> {
    use base64::Engine as _;

    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    let media_type = ["image/png", "image/jpeg", "image/gif", "image/webp"]
        .into_iter()
        .find(|&allowed| allowed == media_type)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    Some(([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], bytes).into_response())
}

/// A disc with the first letter of a name.
fn initial(name: &str) -> String {
    let letter = name.chars().find(|sign| sign.is_alphanumeric()).unwrap_or('?').to_uppercase();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\"><circle cx=\"32\" cy=\"32\" r=\"32\" fill=\"#4a6572\"/>\
         <text x=\"32\" y=\"42\" font-family=\"sans-serif\" font-size=\"30\" text-anchor=\"middle\" fill=\"#fff\">{letter}</text></svg>"
    )
}
