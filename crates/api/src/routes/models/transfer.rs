//! All custom models at once: taken elsewhere, brought here, made to match, or deleted.

use axum::{Json as JsonAnswer, extract::State};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ModelForm, may_share, permitted};
use crate::{
    error::ApiResult,
    extract::{Admin, Json, Verified},
    state::ApiState,
    views::models,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(export))
        .routes(routes!(import))
        .routes(routes!(sync))
        .routes(routes!(delete_all))
}

/// Custom models to import.
#[derive(Deserialize, ToSchema)]
struct ModelsForm {
    models: Vec<ModelForm>,
}

/// All custom models and overrides the caller may read, to import elsewhere.
#[utoipa::path(
    get, path = "/api/v1/models/export", tag = "models",
    responses((status = 200, description = "a list"), (status = "4XX", description = "refused")),
)]
async fn export(
    State(state): State<ApiState>,
    Verified(principal): Verified,
) -> ApiResult<JsonAnswer<Vec<Map<String, Value>>>> {
    permitted(&state, &principal, "workspace.models_export")?;
    let overlays = state.registry.overlays(&principal);
    Ok(JsonAnswer(overlays.iter().map(|overlay| models::exported(overlay)).collect()))
}

/// Insert or replace custom models.
#[utoipa::path(
    post, path = "/api/v1/models/import", tag = "models", request_body = ModelsForm,
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn import(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ModelsForm>,
) -> ApiResult<JsonAnswer<bool>> {
    permitted(&state, &principal, "workspace.models_import")?;
    let mut new = form.models.into_iter().map(ModelForm::read).collect::<ApiResult<Vec<_>>>()?;
    for overlay in &mut new {
        may_share(&state, &principal, overlay)?;
    }
    state.registry.import_overlays(&principal, new, false).await?;
    Ok(JsonAnswer(true))
}

/// Have exactly the given custom models.
#[utoipa::path(
    post, path = "/api/v1/models/sync", tag = "models", request_body = ModelsForm,
    responses((status = 200, description = "the models"), (status = "4XX", description = "refused")),
)]
async fn sync(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Json(form): Json<ModelsForm>,
) -> ApiResult<JsonAnswer<Vec<Map<String, Value>>>> {
    let new = form.models.into_iter().map(ModelForm::read).collect::<ApiResult<Vec<_>>>()?;
    state.registry.import_overlays(&principal, new, true).await?;
    Ok(JsonAnswer(state.registry.overlays(&principal).iter().map(|overlay| models::view(overlay)).collect()))
}

/// Delete every custom model.
#[utoipa::path(
    delete, path = "/api/v1/models/delete/all", tag = "models",
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn delete_all(State(state): State<ApiState>, Admin(principal): Admin) -> ApiResult<JsonAnswer<bool>> {
    state.registry.import_overlays(&principal, Vec::new(), true).await?;
    Ok(JsonAnswer(true))
}
