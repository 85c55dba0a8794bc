//! What clients keep about the caller: settings of their pages, free fields, a status line.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::AccountChange;
use breezeway_core::Principal;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::now;
use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, JsonObject, Verified},
    state::ApiState,
    views::accounts::AccountView,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(settings))
        .routes(routes!(change_settings))
        .routes(routes!(info))
        .routes(routes!(change_info))
        .routes(routes!(status))
        .routes(routes!(change_status))
}

/// Fields of a profile that hold what clients keep. No view shows them to others.
const SETTINGS: &str = "settings";
const INFO: &str = "info";

/// The most that is kept for one account under one of these, in bytes: accounts live in memory.
const KEPT_BYTES: usize = 256 << 10;

/// A status line.
#[derive(Deserialize, ToSchema)]
struct Status {
    status_emoji: Option<String>,
    status_message: Option<String>,
    status_expires_at: Option<i64>,
}

/// What pages keep for the caller; `null` while they keep nothing.
#[utoipa::path(
    get, path = "/api/v1/users/user/settings", tag = "users",
    responses((status = 200, description = "settings, or `null`"), (status = "4XX", description = "refused")),
)]
async fn settings(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Value> {
    JsonAnswer(kept(&state, &principal, SETTINGS))
}

/// Keep settings of pages. Fields that are not named stay.
#[utoipa::path(
    post, path = "/api/v1/users/user/settings/update", tag = "users", request_body = Object,
    responses((status = 200, description = "the settings"), (status = "4XX", description = "refused")),
)]
async fn change_settings(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    JsonObject(form): JsonObject,
) -> ApiResult<JsonAnswer<Value>> {
    keep(&state, &principal, SETTINGS, form).await
}

/// Free fields of the caller; `null` while there are none.
#[utoipa::path(
    get, path = "/api/v1/users/user/info", tag = "users",
    responses((status = 200, description = "fields, or `null`"), (status = "4XX", description = "refused")),
)]
async fn info(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Value> {
    JsonAnswer(kept(&state, &principal, INFO))
}

/// Keep free fields. Fields that are not named stay.
#[utoipa::path(
    post, path = "/api/v1/users/user/info/update", tag = "users", request_body = Object,
    responses((status = 200, description = "the fields"), (status = "4XX", description = "refused")),
)]
async fn change_info(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    JsonObject(form): JsonObject,
) -> ApiResult<JsonAnswer<Value>> {
    keep(&state, &principal, INFO, form).await
}

/// The caller with their status line.
#[utoipa::path(
    get, path = "/api/v1/users/user/status", tag = "users",
    responses((status = 200, body = AccountView), (status = "4XX", description = "refused")),
)]
async fn status(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<AccountView>> {
    let account = super::account(&state, principal.user.as_str())?;
    Ok(JsonAnswer(AccountView::new(&account, &state.auth.groups(), now(&state))))
}

/// Set the caller's status line; what is not named is taken away.
#[utoipa::path(
    post, path = "/api/v1/users/user/status/update", tag = "users", request_body = Status,
    responses((status = 200, body = AccountView), (status = "4XX", description = "refused")),
)]
async fn change_status(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<Status>,
) -> ApiResult<JsonAnswer<AccountView>> {
    let profile = json!({
        "status_emoji": form.status_emoji,
        "status_message": form.status_message,
        "status_expires_at": form.status_expires_at,
    });
    let profile = profile.as_object().cloned().unwrap_or_default();
    fits(&profile)?;
    let change = AccountChange { profile: Some(profile), ..AccountChange::default() };
    let account = state.auth.update_account(&principal.user, change).await?;
    Ok(JsonAnswer(AccountView::new(&account, &state.auth.groups(), now(&state))))
}

fn kept(state: &ApiState, principal: &Principal, name: &str) -> Value {
    let account = state.auth.account(&principal.user);
    account.and_then(|account| account.profile.get(name).cloned()).unwrap_or_default()
}

/// Of two changes at the same moment the later wins as a whole, as on Open WebUI.
async fn keep(
    state: &ApiState,
    principal: &Principal,
    name: &str,
    form: Map<String, Value>,
) -> ApiResult<JsonAnswer<Value>> {
    let mut fields = match kept(state, principal, name) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.extend(form);
    fits(&fields)?;
    let profile = Map::from_iter([(name.to_owned(), Value::from(fields.clone()))]);
    let change = AccountChange { profile: Some(profile), ..AccountChange::default() };
    state.auth.update_account(&principal.user, change).await?;
    Ok(JsonAnswer(fields.into()))
}

fn fits(fields: &Map<String, Value>) -> ApiResult<()> {
    if json!(fields).to_string().len() <= KEPT_BYTES {
        return Ok(());
    }
    let limit = KEPT_BYTES >> 10;
    let detail = format!("No more than {limit} KiB are kept here.");
    Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
}
