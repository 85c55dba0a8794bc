//! `/api/models`, and custom models under `/api/v1/models`.

use std::sync::Arc;

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_core::{ModelId, Permission, Principal};
use breezeway_registry::{Model, NewOverlay, Overlay};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::users;
use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult, NOT_FOUND, UNAUTHORIZED},
    extract::{Admin, Json, Query, Trail, Verified},
    state::ApiState,
    views::{grants, models},
};

mod transfer;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(list_v1))
        .routes(routes!(base))
        .routes(routes!(base_v1))
        .routes(routes!(create))
        .routes(routes!(overlays))
        .routes(routes!(all_overlays))
        .routes(routes!(show))
        .routes(routes!(update))
        .routes(routes!(toggle))
        .routes(routes!(change_access))
        .routes(routes!(delete))
        .routes(routes!(tags))
        .routes(routes!(base_tags))
        .routes(routes!(picture))
        .merge(transfer::router())
}

#[derive(Deserialize, IntoParams)]
struct ListQuery {
    /// Ask the upstreams now instead of answering what is known.
    refresh: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
struct IdQuery {
    /// The model.
    id: String,
}

#[derive(Deserialize, IntoParams)]
struct OverlayQuery {
    /// Only names and ids that contain this.
    query: Option<String>,
    /// `created` for the caller's own, `shared` for those of others.
    view_option: Option<String>,
    /// Only those with this tag.
    tag: Option<String>,
    /// `name`, `created_at` or `updated_at`; without it, in the order they were made.
    order_by: Option<String>,
    /// `asc` or `desc`.
    direction: Option<String>,
    /// From 1.
    page: Option<usize>,
}

/// A custom model as clients send it.
#[derive(Deserialize, ToSchema)]
struct ModelForm {
    id: String,
    base_model_id: Option<String>,
    name: String,
    #[schema(value_type = Object)]
    meta: Map<String, Value>,
    #[schema(value_type = Object)]
    params: Map<String, Value>,
    #[schema(value_type = Vec<Object>)]
    access_grants: Option<Vec<Value>>,
    #[serde(default = "yes")]
    is_active: bool,
}

fn yes() -> bool {
    true
}

/// The id of a custom model.
#[derive(Deserialize, ToSchema)]
struct ModelIdForm {
    id: String,
}

/// The access list of a custom model.
#[derive(Deserialize, ToSchema)]
struct AccessForm {
    id: String,
    #[schema(value_type = Vec<Object>)]
    access_grants: Vec<Value>,
}

/// The longest custom model, in bytes of its JSON: every listing of models carries it.
const MODEL_BYTES: usize = 256 * 1024;

impl ModelForm {
    fn read(self) -> ApiResult<NewOverlay> {
        let texts =
            [&self.meta, &self.params].map(|map| serde_json::to_string(map).map_or(0, |text| text.len()));
        if self.name.len() + texts.iter().sum::<usize>() > MODEL_BYTES {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("A model's name, `meta` and `params` can have {MODEL_BYTES} bytes together."),
            ));
        }
        let id = |text: &str| {
            text.parse::<ModelId>().map_err(|error| {
                ApiError::invalid("value_error", &["body", "id"], &error.to_string(), text.into())
            })
        };
        Ok(NewOverlay {
            id: id(&self.id)?,
            base: self.base_model_id.as_deref().filter(|base| !base.is_empty()).map(id).transpose()?,
            name: self.name,
            params: self.params,
            meta: self.meta,
            grants: self.access_grants.as_deref().map(grants::parse),
            active: self.is_active,
        })
    }
}

/// The models the caller may use.
#[utoipa::path(
    get, path = "/api/models", tag = "models", params(ListQuery),
    responses((status = 200, description = "`{\"data\": […]}`"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<ListQuery>,
) -> Response {
    if query.refresh == Some(true) {
        state.registry.refresh(true).await;
    }
    list_of(&state.registry.models(&principal))
}

/// The models the caller may use.
#[utoipa::path(
    get, path = "/api/v1/models", tag = "models", params(ListQuery),
    responses((status = 200, description = "`{\"data\": […]}`"), (status = "4XX", description = "refused")),
)]
async fn list_v1(state: State<ApiState>, verified: Verified, query: Query<ListQuery>) -> Response {
    list(state, verified, query).await
}

/// The upstreams' models, without custom ones.
#[utoipa::path(
    get, path = "/api/models/base", tag = "models",
    responses((status = 200, description = "`{\"data\": […]}`"), (status = "4XX", description = "refused")),
)]
async fn base(State(state): State<ApiState>, Admin(principal): Admin) -> Response {
    let mut models = state.registry.base_models();
    models.retain(|model| breezeway_registry::key_allows(&principal, &model.id));
    list_of(&models)
}

/// The overrides of upstream models.
#[utoipa::path(
    get, path = "/api/v1/models/base", tag = "models",
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn base_v1(
    State(state): State<ApiState>,
    Admin(principal): Admin,
) -> JsonAnswer<Vec<Map<String, Value>>> {
    let overlays = state.registry.overlays(&principal);
    JsonAnswer(
        overlays
            .iter()
            .filter(|overlay| overlay.base.is_none())
            .map(|overlay| models::view(overlay))
            .collect(),
    )
}

fn list_of(list: &[Arc<Model>]) -> Response {
    let entries: Vec<Arc<str>> = list.iter().map(|model| models::entry(model)).collect();
    let length: usize = entries.iter().map(|entry| entry.len() + 1).sum();
    let mut body = String::with_capacity(length + 12);
    body.push_str("{\"data\":[");
    for (number, entry) in entries.iter().enumerate() {
        if number > 0 {
            body.push(',');
        }
        body.push_str(entry);
    }
    body.push_str("]}");
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// Make a custom model, or override an upstream's.
#[utoipa::path(
    post, path = "/api/v1/models/create", tag = "models", request_body = ModelForm,
    responses((status = 200, description = "the model"), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ModelForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    permitted(&state, &principal, "workspace.models")?;
    let mut new = form.read()?;
    may_share(&state, &principal, &mut new)?;
    let overlay = state.registry.create_overlay(&principal, new).await?;
    Ok(JsonAnswer(models::view(&overlay)))
}

/// List the custom models the caller may read, a page at a time.
#[utoipa::path(
    get, path = "/api/v1/models/list", tag = "models", params(OverlayQuery),
    responses((status = 200, description = "`{\"items\": […], \"total\": n}`")),
)]
async fn overlays(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<OverlayQuery>,
) -> JsonAnswer<Value> {
    const PAGE: usize = 30;
    let text = query.query.as_deref().unwrap_or_default().to_lowercase();
    let mut found = custom(&state, &principal);
    found.retain(|overlay| {
        let named =
            overlay.name.to_lowercase().contains(&text) || overlay.id.as_str().to_lowercase().contains(&text);
        let wanted = match query.view_option.as_deref() {
            Some("created") => overlay.owner == principal.user,
            Some("shared") => overlay.owner != principal.user,
            _ => true,
        };
        let tagged = |tag: &str| tag_names(overlay).iter().any(|name| name == tag);
        named && wanted && query.tag.as_deref().is_none_or(tagged)
    });
    match query.order_by.as_deref() {
        Some("name") => found.sort_by_cached_key(|overlay| overlay.name.to_lowercase()),
        Some("created_at") => found.sort_by_key(|overlay| overlay.created_at),
        Some("updated_at") => found.sort_by_key(|overlay| overlay.updated_at),
        _ => {}
    }
    if query.direction.as_deref() == Some("desc") {
        found.reverse();
    }
    let skipped = query.page.unwrap_or(1).saturating_sub(1).saturating_mul(PAGE);
    let items: Vec<_> = found
        .iter()
        .skip(skipped)
        .take(PAGE)
        .map(|overlay| with_owner(&state, &principal, overlay))
        .collect();
    JsonAnswer(json!({"items": items, "total": found.len()}))
}

/// All custom models the caller may read.
#[utoipa::path(
    get, path = "/api/v1/models/all", tag = "models",
    responses((status = 200, description = "a list")),
)]
async fn all_overlays(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> JsonAnswer<Vec<Map<String, Value>>> {
    JsonAnswer(custom(&state, &principal).iter().map(|overlay| models::view(overlay)).collect())
}

/// One custom model.
#[utoipa::path(
    get, path = "/api/v1/models/model", tag = "models", params(IdQuery),
    responses((status = 200, description = "the model"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<IdQuery>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let id = query.id.parse::<ModelId>().map_err(|_| ApiError::not_found())?;
    match state.registry.overlay(&principal, &id) {
        Ok(overlay) => Ok(JsonAnswer(with_owner(&state, &principal, &overlay))),
        Err(breezeway_registry::Error::NoSuchModel(_)) => Err(ApiError::not_found()),
        Err(other) => Err(other.into()),
    }
}

/// Replace a custom model.
#[utoipa::path(
    post, path = "/api/v1/models/model/update", tag = "models", request_body = ModelForm,
    responses((status = 200, description = "the model"), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ModelForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let mut new = form.read()?;
    may_share(&state, &principal, &mut new)?;
    let overlay = state.registry.update_overlay(&principal, new).await?;
    Ok(JsonAnswer(models::view(&overlay)))
}

/// Switch a custom model on or off.
#[utoipa::path(
    post, path = "/api/v1/models/model/toggle", tag = "models", params(IdQuery),
    responses((status = 200, description = "the model"), (status = "4XX", description = "refused")),
)]
async fn toggle(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<IdQuery>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let overlay = state.registry.toggle_overlay(&principal, &known(&query.id)?).await?;
    Ok(JsonAnswer(models::view(&overlay)))
}

/// Replace the access list of a custom model.
#[utoipa::path(
    post, path = "/api/v1/models/model/access/update", tag = "models", request_body = AccessForm,
    responses((status = 200, description = "the model"), (status = "4XX", description = "refused")),
)]
async fn change_access(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<AccessForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let stored = state.registry.overlay(&principal, &known(&form.id)?)?;
    let mut new = NewOverlay {
        id: stored.id.clone(),
        base: stored.base.clone(),
        name: stored.name.clone(),
        params: stored.params.clone(),
        meta: stored.meta.clone(),
        grants: Some(grants::parse(&form.access_grants)),
        active: stored.active,
    };
    may_share(&state, &principal, &mut new)?;
    let overlay = state.registry.update_overlay(&principal, new).await?;
    Ok(JsonAnswer(models::view(&overlay)))
}

/// Delete a custom model.
#[utoipa::path(
    post, path = "/api/v1/models/model/delete", tag = "models", request_body = ModelIdForm,
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
    Json(form): Json<ModelIdForm>,
) -> ApiResult<JsonAnswer<bool>> {
    let id = known(&form.id)?;
    state.registry.delete_overlay(&principal, &id).await?;
    trail.report_deleted("model", id).await;
    Ok(JsonAnswer(true))
}

/// The tags of the custom models the caller may read.
#[utoipa::path(
    get, path = "/api/v1/models/tags", tag = "models",
    responses((status = 200, body = [String])),
)]
async fn tags(State(state): State<ApiState>, Verified(principal): Verified) -> JsonAnswer<Vec<String>> {
    JsonAnswer(all_tags(&custom(&state, &principal)))
}

/// The tags of the overrides of upstream models.
#[utoipa::path(
    get, path = "/api/v1/models/base/tags", tag = "models",
    responses((status = 200, body = [String]), (status = "4XX", description = "refused")),
)]
async fn base_tags(State(state): State<ApiState>, Admin(principal): Admin) -> JsonAnswer<Vec<String>> {
    let mut overlays = state.registry.overlays(&principal);
    overlays.retain(|overlay| overlay.base.is_none());
    JsonAnswer(all_tags(&overlays))
}

fn all_tags(overlays: &[Arc<Overlay>]) -> Vec<String> {
    let mut names: Vec<String> = overlays.iter().flat_map(|overlay| tag_names(overlay)).collect();
    names.sort();
    names.dedup();
    names
}

/// A model's picture. What the caller cannot see has the same as what does not exist.
#[utoipa::path(
    get, path = "/api/v1/models/model/profile/image", tag = "models", params(IdQuery),
    responses((status = 200, description = "a picture"), (status = 302, description = "where it is")),
)]
async fn picture(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<IdQuery>,
) -> Response {
    let id = query.id.parse::<ModelId>().ok();
    let overlay = id.and_then(|id| state.registry.overlay(&principal, &id).ok());
    let url = overlay.as_ref().and_then(|overlay| overlay.meta.get("profile_image_url")?.as_str());
    url.and_then(users::picture_at).unwrap_or_else(|| {
        users::drawn(overlay.as_ref().map_or(query.id.as_str(), |overlay| overlay.name.as_str()))
    })
}

fn known(id: &str) -> ApiResult<ModelId> {
    id.parse().map_err(|_| ApiError::new(StatusCode::UNAUTHORIZED, NOT_FOUND))
}

fn permitted(state: &ApiState, principal: &Principal, permission: &str) -> ApiResult<()> {
    if state.auth.has_permission(principal, permission) {
        Ok(())
    } else {
        Err(ApiError::new(StatusCode::UNAUTHORIZED, UNAUTHORIZED))
    }
}

/// Refuse grants to a wider audience than the caller may share with.
fn may_share(state: &ApiState, principal: &Principal, new: &mut NewOverlay) -> ApiResult<()> {
    match &new.grants {
        Some(grants) if !super::may_share(&state.auth, principal, grants, "models") => {
            Err(ApiError::new(StatusCode::FORBIDDEN, ACCESS_PROHIBITED))
        }
        _ => Ok(()),
    }
}

fn custom(state: &ApiState, principal: &Principal) -> Vec<Arc<Overlay>> {
    let mut overlays = state.registry.overlays(principal);
    overlays.retain(|overlay| overlay.base.is_some());
    overlays
}

fn tag_names(overlay: &Overlay) -> Vec<String> {
    let tags = overlay.meta.get("tags").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    tags.iter().filter_map(|tag| tag["name"].as_str().or(tag.as_str())).map(str::to_owned).collect()
}

fn with_owner(state: &ApiState, principal: &Principal, overlay: &Overlay) -> Map<String, Value> {
    let mut view = models::view(overlay);
    let owner = state.auth.account(&overlay.owner);
    let owner = owner.map(|account| crate::views::accounts::AccountSummary::from(account.as_ref()));
    view.insert("user".into(), json!(owner));
    let writable = overlay.grants.allow(principal, &overlay.owner, Permission::Write);
    view.insert("write_access".into(), writable.into());
    view
}
