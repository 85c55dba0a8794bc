//! Settings of retrieval, read and changed by admins.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_auth::{Action, Target};
use breezeway_core::Secret;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Json, JsonObject, Trail},
    routes::configs::{key_of, mask},
    state::{ApiState, EmbeddingChange, EmbeddingView, TuningError},
    views::retrieval_config::{SettingRefusal, retrieval_config},
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(config))
        .routes(routes!(change_config))
        .routes(routes!(embedding))
        .routes(routes!(change_embedding))
}

/// Another embedding model.
#[derive(Deserialize, ToSchema)]
#[expect(non_snake_case, reason = "these are the names clients send")]
struct EmbeddingForm {
    /// `openai`, `ollama`, or nothing for the local model.
    RAG_EMBEDDING_ENGINE: String,
    RAG_EMBEDDING_MODEL: String,
    #[serde(default)]
    RAG_EMBEDDING_BATCH_SIZE: Option<usize>,
    #[serde(default)]
    openai_config: Option<EndpointForm>,
    #[serde(default)]
    ollama_config: Option<EndpointForm>,
}

/// Where an embedding service is. No key beside the address in use, or the key as it is shown, leaves its key.
#[derive(Deserialize, ToSchema)]
struct EndpointForm {
    url: String,
    #[serde(default)]
    key: String,
}

/// The settings of retrieval in force.
#[utoipa::path(
    get, path = "/api/v1/retrieval/config", tag = "retrieval",
    responses((status = 200, description = "settings by name"), (status = "4XX", description = "refused")),
)]
async fn config(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Map<String, Value>> {
    JsonAnswer(retrieval_config(&state.tuning.settings()))
}

/// Change settings: any of those shown. `null` leaves one, an empty text takes a limit away.
#[utoipa::path(
    post, path = "/api/v1/retrieval/config/update", tag = "retrieval", request_body = Object,
    responses((status = 200, description = "settings by name"), (status = "4XX", description = "refused")),
)]
async fn change_config(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    JsonObject(change): JsonObject,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    state.tuning.change(&change).await.map_err(|refusal| match refusal {
        SettingRefusal::Type { ref name, .. } => ApiError::invalid(
            "type_error",
            &["body", name],
            &refusal.to_string(),
            change.get(name).cloned().unwrap_or_default(),
        ),
        SettingRefusal::Value(why) => ApiError::bad_request(why),
        SettingRefusal::Store(store) => TuningError::from(store).into(),
    })?;
    let fields: Vec<_> = change.keys().collect();
    trail
        .report(Action::SettingsChanged, Target::new("settings", "retrieval"), json!({"fields": fields}))
        .await;
    Ok(JsonAnswer(retrieval_config(&state.tuning.settings())))
}

/// The embedding engine and model in use.
#[utoipa::path(
    get, path = "/api/v1/retrieval/embedding", tag = "retrieval",
    responses((status = 200, description = "settings by name"), (status = "4XX", description = "refused")),
)]
async fn embedding(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Value> {
    JsonAnswer(view(&state.tuning.embedding()))
}

/// Use another embedding model. It is asked for one vector first; texts that have none of its vectors
/// get them in the background and are found by their words until then.
#[utoipa::path(
    post, path = "/api/v1/retrieval/embedding/update", tag = "retrieval", request_body = EmbeddingForm,
    responses((status = 200, description = "settings by name"), (status = "4XX", description = "refused")),
)]
async fn change_embedding(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    Json(form): Json<EmbeddingForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let at = match form.RAG_EMBEDDING_ENGINE.as_str() {
        "openai" => form.openai_config,
        "ollama" => form.ollama_config,
        "" => None,
        other => {
            return Err(ApiError::bad_request(format!(
                "There is no embedding engine `{other}`: use `openai`, `ollama`, or nothing for the local model."
            )));
        }
    };
    if form.RAG_EMBEDDING_BATCH_SIZE == Some(0) {
        return Err(ApiError::bad_request("`RAG_EMBEDDING_BATCH_SIZE` must be at least 1."));
    }
    let (url, key) = at.map(|at| (at.url, at.key)).unzip();
    let url = url.map(|url| url.trim().trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    let kept = kept_key(&state.tuning.embedding(), &form.RAG_EMBEDDING_ENGINE, url.as_deref());
    let key = key.filter(|key| !key.is_empty()).map(|key| key_of(&key, kept)).transpose()?.flatten();
    let change = EmbeddingChange {
        engine: form.RAG_EMBEDDING_ENGINE,
        model: form.RAG_EMBEDDING_MODEL.trim().to_owned(),
        batch: form.RAG_EMBEDDING_BATCH_SIZE,
        url,
        key,
    };
    let detail = json!({"engine": change.engine, "model": change.model});
    state.tuning.change_embedding(change).await?;
    trail.report(Action::SettingsChanged, Target::new("settings", "embedding"), detail).await;
    Ok(JsonAnswer(view(&state.tuning.embedding())))
}

/// The key in use, if it is the one of the address that a change is for.
fn kept_key(now: &EmbeddingView, engine: &str, url: Option<&str>) -> Option<Secret> {
    let used = if now.engine == "openai" { &now.openai_url } else { &now.ollama_url };
    now.key.clone().filter(|_| now.engine == engine && url.is_none_or(|url| url == used))
}

/// Keys are shown by their last four signs, as those of connections are.
fn view(embedding: &EmbeddingView) -> Value {
    let key = |engine: &str| mask(embedding.key.as_ref().filter(|_| embedding.engine == engine));
    json!({
        "status": true,
        "RAG_EMBEDDING_ENGINE": embedding.engine,
        "RAG_EMBEDDING_MODEL": embedding.model,
        "RAG_EMBEDDING_BATCH_SIZE": embedding.batch,
        "openai_config": {"url": embedding.openai_url, "key": key("openai")},
        "ollama_config": {"url": embedding.ollama_url, "key": key("ollama")},
        "azure_openai_config": {"url": "", "key": "", "version": ""},
    })
}
