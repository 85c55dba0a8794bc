//! `/v1/vector_stores`: the stores themselves.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_core::{Grants, Principal};
use breezeway_knowledge::{Collection, CollectionChange, CollectionQuery, File, NewCollection};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{batches, forbidden, missing, paging::PageQuery, store_id, views};
use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query, Trail, Verified},
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(show, update, delete))
}

/// The name of a store that was given none.
const UNNAMED: &str = "Vector store";

/// Entries of a store's metadata at most, and the longest key and value in characters: OpenAI's limits.
const MOST_KEYS: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;

/// A new store.
#[derive(Deserialize, ToSchema)]
struct CreateForm {
    name: Option<String>,
    description: Option<String>,
    file_ids: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    expires_after: Option<Map<String, Value>>,
}

/// What to change of a store; what is left out stays.
#[derive(Deserialize, ToSchema)]
struct UpdateForm {
    name: Option<String>,
    description: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// `null` has it never expire.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Object>)]
    expires_after: Option<Value>,
}

/// Tells `null` from nothing.
fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Make a vector store, with files if there are some already.
#[utoipa::path(
    post, path = "/v1/vector_stores", tag = "v1", request_body = CreateForm,
    responses((status = 200, description = "the store"), (status = "4XX", description = "refused")),
)]
async fn create(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<CreateForm>,
) -> ApiResult<JsonAnswer<Value>> {
    if !state.auth.has_permission(&principal, "workspace.knowledge") {
        return Err(forbidden());
    }
    let kept = kept(form.metadata.unwrap_or_default(), form.expires_after.map(Value::from))?;
    let files = batches::ids(form.file_ids.unwrap_or_default())?;
    let new = NewCollection {
        name: form.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| UNNAMED.to_owned()),
        description: form.description.unwrap_or_default(),
        grants: Grants::default(),
    };
    // Before the store is there: a file that cannot be added must not leave one behind.
    for file in &files {
        state.library.file(&principal, file).await.map_err(missing(file.as_str()))?;
    }
    let made = state.library.create_collection(&principal, new).await?;
    let made = state.library.set_meta(&principal, &made.id, json!({ views::STORE: kept })).await?;
    batches::add(&state, &principal, &made.id, &files).await?;
    Ok(JsonAnswer(view(&state, &principal, &made).await?))
}

/// List the vector stores the caller may read.
#[utoipa::path(
    get, path = "/v1/vector_stores", tag = "v1", params(PageQuery),
    responses((status = 200, description = "a list of stores"), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(page): Query<PageQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    let mut found: Vec<Collection> = state
        .library
        .collections(&principal, CollectionQuery::default())
        .await?
        .into_iter()
        .map(|(collection, _)| collection)
        .collect();
    found.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
    let ids = found.iter().map(|collection| json!({"id": collection.id.as_str()})).collect();
    let mut answer = page.of(ids);
    // Counts cost a read each, and only those of the page are shown.
    let mut views = Vec::new();
    for entry in answer["data"].as_array().into_iter().flatten() {
        if let Some(collection) = found.iter().find(|collection| entry["id"] == collection.id.as_str()) {
            views.push(view(&state, &principal, collection).await?);
        }
    }
    answer["data"] = views.into();
    Ok(JsonAnswer(answer))
}

/// One vector store.
#[utoipa::path(
    get, path = "/v1/vector_stores/{id}", tag = "v1", params(("id" = String, Path)),
    responses((status = 200, description = "the store"), (status = "4XX", description = "refused")),
)]
async fn show(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Value>> {
    let found = state.library.collection(&principal, &store_id(&id)?).await.map_err(missing(&id))?;
    Ok(JsonAnswer(view(&state, &principal, &found).await?))
}

/// Change a vector store.
#[utoipa::path(
    post, path = "/v1/vector_stores/{id}", tag = "v1", params(("id" = String, Path)), request_body = UpdateForm,
    responses((status = 200, description = "the store"), (status = "4XX", description = "refused")),
)]
async fn update(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<UpdateForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let id_ = store_id(&id)?;
    let before = state.library.collection(&principal, &id_).await.map_err(missing(&id))?;
    let mut meta = before.meta.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let known = views::kept(&before);
    let metadata = match form.metadata {
        Some(metadata) => metadata,
        None => known.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
    };
    let expires = form.expires_after.or_else(|| known.get("expires_after").cloned());
    let mut next = kept(metadata, expires)?;
    if let Some(active) = known.get("last_active_at") {
        next.insert("last_active_at".into(), active.clone());
    }
    meta.insert(views::STORE.into(), next.into());
    let name = form.name.filter(|name| !name.trim().is_empty());
    let change = CollectionChange { name, description: form.description, ..CollectionChange::default() };
    state.library.update_collection(&principal, &id_, change).await.map_err(missing(&id))?;
    let after = state.library.set_meta(&principal, &id_, meta.into()).await.map_err(missing(&id))?;
    Ok(JsonAnswer(view(&state, &principal, &after).await?))
}

/// Delete a vector store. Its files stay.
#[utoipa::path(
    delete, path = "/v1/vector_stores/{id}", tag = "v1", params(("id" = String, Path)),
    responses((status = 200, description = "it is gone"), (status = "4XX", description = "refused")),
)]
async fn delete(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    let gone = store_id(&id)?;
    state.library.delete_collection(&principal, &gone).await.map_err(missing(&id))?;
    trail.report_deleted("knowledge", gone).await;
    Ok(JsonAnswer(json!({"id": id, "object": "vector_store.deleted", "deleted": true})))
}

async fn view(state: &ApiState, principal: &Principal, collection: &Collection) -> ApiResult<Value> {
    let files: Vec<File> = state.library.all_members(principal, &collection.id).await?;
    Ok(views::store(collection, files.iter(), state.registry.clock().now()))
}

/// What only vector stores have, as it is kept.
fn kept(metadata: Map<String, Value>, expires_after: Option<Value>) -> ApiResult<Map<String, Value>> {
    let fits = metadata.len() <= MOST_KEYS
        && metadata.iter().all(|(key, value)| {
            let length = value.as_str().map_or(0, |text| text.chars().count());
            key.chars().count() <= LONGEST_KEY
                && length <= LONGEST_VALUE
                && !value.is_object()
                && !value.is_array()
        });
    if !fits {
        let text = format!(
            "`metadata` has at most {MOST_KEYS} entries, with keys of {LONGEST_KEY} and values of {LONGEST_VALUE} characters."
        );
        return Err(ApiError::bad_request(text));
    }
    let mut kept = Map::new();
    kept.insert("metadata".into(), metadata.into());
    if let Some(expires) = expires_after.filter(|expires| !expires.is_null()) {
        let days = expires["days"].as_i64().filter(|days| (1..=365).contains(days));
        let is_known = expires["anchor"] == "last_active_at";
        let (Some(days), true) = (days, is_known) else {
            let text = "`expires_after` is `{\"anchor\": \"last_active_at\", \"days\": 1 to 365}`.";
            return Err(ApiError::bad_request(text));
        };
        kept.insert("expires_after".into(), json!({"anchor": "last_active_at", "days": days}));
    }
    Ok(kept)
}
