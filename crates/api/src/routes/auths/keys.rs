//! `/api/v1/auths/api_key` and `/api/v1/auths/api_keys`: the one key of an account that is shown again,
//! and many with names and limits of their own.

use axum::{Json as JsonAnswer, extract::State, response::IntoResponse};
use breezeway_auth::{Action, KeyChange, NewKey, Target};
use breezeway_core::{ApiKeyId, Budget, KeyRules, Limits, Principal, UnixTime, UserId};
use http::header;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Json, Path, Query, Trail, Verified},
    state::ApiState,
    views::keys::{BudgetView, KeyView, NewKeyView},
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create_api_key, show_api_key, delete_api_key))
        .routes(routes!(create, list))
        .routes(routes!(all))
        .routes(routes!(show, delete))
        .routes(routes!(update))
}

/// How many keys a page of everybody's keys has.
const PAGE: u64 = 100;

/// A key as clients describe it. In a change, a field that is missing stays and `null` takes a limit
/// away.
#[derive(Deserialize, ToSchema)]
struct KeyForm {
    /// What it is called, 1 to 100 characters.
    name: Option<String>,
    /// When it ends, in seconds since 1970.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    expires_at: Option<Option<i64>>,
    /// Paths it may call, each with everything below it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_endpoints: Option<Option<Vec<String>>>,
    /// Ids of models it may use.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_models: Option<Option<Vec<String>>>,
    /// Ids of knowledge it may use, and with it of the files in it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_collections: Option<Option<Vec<String>>>,
    /// Whether it may change nothing.
    read_only: Option<bool>,
    /// Requests in any minute.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    requests_per_minute: Option<Option<u32>>,
    /// Input and output tokens in any minute.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    tokens_per_minute: Option<Option<u32>>,
    /// What may be used up in a day or month.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BudgetView>)]
    budget: Option<Option<BudgetView>>,
}

/// `Some(None)` for `null`, so that it differs from a field that is missing.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(input).map(Some)
}

impl KeyForm {
    fn new_key(self) -> ApiResult<NewKey> {
        let limits = Limits {
            requests_per_minute: self.requests_per_minute.flatten(),
            tokens_per_minute: self.tokens_per_minute.flatten(),
            budget: budget(self.budget.flatten())?,
        };
        Ok(NewKey {
            name: self.name.ok_or_else(|| ApiError::missing(&["body", "name"], Value::Null))?,
            expires_at: self.expires_at.flatten().map(UnixTime::from_seconds),
            rules: KeyRules {
                endpoints: self.allowed_endpoints.flatten(),
                models: self.allowed_models.flatten(),
                collections: self.allowed_collections.flatten(),
                read_only: self.read_only.unwrap_or(false),
                limits,
            },
        })
    }

    fn change(self) -> ApiResult<KeyChange> {
        Ok(KeyChange {
            name: self.name,
            expires_at: self.expires_at.map(|end| end.map(UnixTime::from_seconds)),
            endpoints: self.allowed_endpoints,
            models: self.allowed_models,
            collections: self.allowed_collections,
            read_only: self.read_only,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            budget: self.budget.map(budget).transpose()?,
        })
    }
}

fn budget(form: Option<BudgetView>) -> ApiResult<Option<Budget>> {
    let wrong = |why| ApiError::invalid("value_error", &["body", "budget"], why, Value::Null);
    form.map(|form| form.read().map_err(wrong)).transpose()
}

#[derive(Deserialize, IntoParams)]
struct AllQuery {
    /// Only the keys of this account.
    user_id: Option<String>,
    /// From 1; a page has 100 keys.
    page: Option<u64>,
}

/// The own API key.
#[derive(Serialize, ToSchema)]
struct ApiKeyView {
    api_key: String,
}

/// Make an API key, replacing the one there was.
#[utoipa::path(
    post, path = "/api/v1/auths/api_key", tag = "auths",
    responses((status = 200, body = ApiKeyView), (status = "4XX", description = "refused")),
)]
async fn create_api_key(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
) -> ApiResult<JsonAnswer<ApiKeyView>> {
    let key = state.auth.create_api_key(&principal).await?;
    trail.report(Action::KeyCreated, unnamed(&principal), Value::Null).await;
    Ok(JsonAnswer(ApiKeyView { api_key: key.expose().to_owned() }))
}

/// Show the API key.
#[utoipa::path(
    get, path = "/api/v1/auths/api_key", tag = "auths",
    responses((status = 200, body = ApiKeyView), (status = "4XX", description = "refused")),
)]
async fn show_api_key(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<ApiKeyView>> {
    let key = state.auth.api_key(&principal).await?;
    Ok(JsonAnswer(ApiKeyView { api_key: key.expose().to_owned() }))
}

/// Delete the API key.
#[utoipa::path(
    delete, path = "/api/v1/auths/api_key", tag = "auths",
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete_api_key(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    state.auth.delete_api_key(&principal).await?;
    trail.report(Action::KeyRevoked, unnamed(&principal), Value::Null).await;
    Ok(JsonAnswer(true))
}

/// An account's unnamed key, which has the account's id for those who look from outside.
fn unnamed(principal: &Principal) -> Target {
    Target::new("api_key", &principal.user)
}

/// Make a key with a name. The answer is the only one that shows it.
#[utoipa::path(
    post, path = "/api/v1/auths/api_keys", tag = "auths", request_body = KeyForm,
    responses((status = 200, body = NewKeyView), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
    Json(form): Json<KeyForm>,
) -> ApiResult<impl IntoResponse> {
    let (record, key) = state.auth.create_named_key(&principal, form.new_key()?).await?;
    let (target, view) = (Target::new("api_key", &record.id), KeyView::new(record, now(&state)));
    trail.report(Action::KeyCreated, target, view.rules()).await;
    let body = JsonAnswer(NewKeyView::new(key.expose().to_owned(), view));
    Ok(([(header::CACHE_CONTROL, "no-store")], body))
}

/// The caller's keys, in the order they were made.
#[utoipa::path(
    get, path = "/api/v1/auths/api_keys", tag = "auths",
    responses((status = 200, body = [KeyView]), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<Vec<KeyView>>> {
    let keys = state.auth.api_keys(&principal).await?;
    Ok(JsonAnswer(keys.into_iter().map(|key| KeyView::new(key, now(&state))).collect()))
}

/// Everybody's keys, a page at a time, in the order they were made.
#[utoipa::path(
    get, path = "/api/v1/auths/api_keys/all", tag = "auths", params(AllQuery),
    responses((status = 200, body = [KeyView]), (status = "4XX", description = "refused")),
)]
async fn all(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Query(query): Query<AllQuery>,
) -> ApiResult<JsonAnswer<Vec<KeyView>>> {
    let owner: Option<UserId> = match query.user_id.as_deref() {
        Some(text) => Some(text.parse().map_err(|_| ApiError::not_found())?),
        None => None,
    };
    let offset = query.page.unwrap_or(1).saturating_sub(1).saturating_mul(PAGE);
    let keys = state.auth.all_api_keys(&principal, owner.as_ref(), offset, PAGE).await?;
    Ok(JsonAnswer(keys.into_iter().map(|key| KeyView::new(key, now(&state))).collect()))
}

/// One of the caller's keys.
#[utoipa::path(
    get, path = "/api/v1/auths/api_keys/{id}", tag = "auths", params(("id" = String, Path)),
    responses((status = 200, body = KeyView), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<KeyView>> {
    let key = state.auth.api_key_by_id(&principal, &known(&id)?).await?;
    Ok(JsonAnswer(KeyView::new(key, now(&state))))
}

/// Change one of the caller's named keys.
#[utoipa::path(
    post, path = "/api/v1/auths/api_keys/{id}/update", tag = "auths", params(("id" = String, Path)),
    request_body = KeyForm,
    responses((status = 200, body = KeyView), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
    Json(form): Json<KeyForm>,
) -> ApiResult<JsonAnswer<KeyView>> {
    let key = state.auth.update_api_key(&principal, &known(&id)?, form.change()?).await?;
    let view = KeyView::new(key, now(&state));
    trail.report(Action::KeyUpdated, Target::new("api_key", id), view.rules()).await;
    Ok(JsonAnswer(view))
}

/// Revoke one of the caller's keys, or as an admin anybody's.
#[utoipa::path(
    delete, path = "/api/v1/auths/api_keys/{id}", tag = "auths", params(("id" = String, Path)),
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<bool>> {
    let owner = state.auth.revoke_api_key(&principal, &known(&id)?).await?;
    trail.report(Action::KeyRevoked, Target::new("api_key", id), json!({"owner": owner.as_str()})).await;
    Ok(JsonAnswer(true))
}

fn known(id: &str) -> ApiResult<ApiKeyId> {
    id.parse().map_err(|_| breezeway_auth::Error::NoSuchKey.into())
}

fn now(state: &ApiState) -> UnixTime {
    state.registry.clock().now()
}
