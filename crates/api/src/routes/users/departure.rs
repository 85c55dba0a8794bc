//! Ending what an account does: its sessions, or all of it.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_core::UserId;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::account;
use crate::{
    departures,
    error::{ApiError, ApiResult},
    extract::{Admin, Path, Query, Trail},
    state::ApiState,
};

/// Who is to have what the account had.
#[derive(Deserialize, IntoParams)]
pub(super) struct DeleteQuery {
    /// The id of another account, which is to have the files, collections, custom models and saved chats.
    /// Without it they are deleted.
    transfer_to: Option<String>,
}

/// Delete an account, with all that is its or after handing it to another.
///
/// The account goes last. If something fails on the way, or nobody waits for the end, it is left without
/// rights, and the server goes on by itself. Deleting it again does so at once; the heir of the first time
/// stays unless another is named.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path), DeleteQuery),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
pub(super) async fn delete(
    State(state): State<ApiState>,
    Admin(admin): Admin,
    Path(id): Path<String>,
    Query(query): Query<DeleteQuery>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    let heir = query.transfer_to.as_deref().map(|heir| heir_of(&state, &id, heir)).transpose()?;
    let Ok(id) = id.parse::<UserId>() else { return Ok(JsonAnswer(true)) };
    if let Some((removal, email)) = state.departures.remove(&id, heir.as_ref(), &admin.user).await? {
        let detail = departures::detail(&removal, &email).into();
        trail.report(Action::AccountDeleted, Target::new("account", &id), detail).await;
    }
    Ok(JsonAnswer(true))
}

/// End every session of an account. Its API keys go on working.
#[utoipa::path(
    post, path = "/api/v1/users/{id}/sessions/revoke", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
pub(super) async fn end_sessions(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    let id = account(&state, &id)?.id.clone();
    state.auth.end_sessions(&id).await?;
    trail.report(Action::SessionsRevoked, Target::new("account", &id), Value::Null).await;
    Ok(JsonAnswer(true))
}

fn heir_of(state: &ApiState, id: &str, heir: &str) -> ApiResult<UserId> {
    if heir == id {
        return Err(ApiError::bad_request("An account cannot hand what it has to itself."));
    }
    let known = account(state, heir);
    known.map(|account| account.id.clone()).map_err(|_| {
        ApiError::bad_request("`transfer_to` is no account, so nothing was deleted or handed over.")
    })
}
