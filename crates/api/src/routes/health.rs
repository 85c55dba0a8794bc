//! How the server is, which version it is, and what a client may expect of it.

use axum::{Json as JsonAnswer, extract::State, response::IntoResponse};
use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiResult,
    extract::{Optional, Verified},
    state::ApiState,
    views::retrieval_config::retrieval_config,
};

/// The release of Open WebUI whose API this server speaks. Clients compare it with what they need.
pub const COMPATIBLE_VERSION: &str = "0.12.4";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(database))
        .routes(routes!(ready))
        .routes(routes!(version))
        .routes(routes!(updates))
        .routes(routes!(config))
}

/// The server is up.
#[utoipa::path(get, path = "/health", tag = "service", security(()), responses((status = 200, description = "up")))]
async fn health() -> JsonAnswer<Value> {
    JsonAnswer(json!({"status": true}))
}

/// The database answers.
#[utoipa::path(
    get, path = "/health/db", tag = "service", security(()),
    responses((status = 200, description = "it does"), (status = 503, description = "it does not")),
)]
async fn database(State(state): State<ApiState>) -> impl IntoResponse {
    let well = state.health.database().await;
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, JsonAnswer(json!({"status": well})))
}

/// The server can take work; `notes` says what works in a lesser way.
#[utoipa::path(get, path = "/ready", tag = "service", security(()), responses((status = 200, description = "ready")))]
async fn ready(State(state): State<ApiState>) -> impl IntoResponse {
    let well = state.health.database().await;
    let notes = state.health.shortcomings();
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body =
        if notes.is_empty() { json!({"status": well}) } else { json!({"status": well, "notes": notes}) };
    (status, JsonAnswer(body))
}

/// Which version this is.
#[utoipa::path(get, path = "/api/version", tag = "service", security(()), responses((status = 200, description = "the version")))]
async fn version() -> JsonAnswer<Value> {
    JsonAnswer(json!({
        "version": COMPATIBLE_VERSION,
        "deployment_id": "",
        "breezeway": env!("CARGO_PKG_VERSION"),
    }))
}

/// Whether there is a newer version. Nobody is asked.
#[utoipa::path(get, path = "/api/version/updates", tag = "service", responses((status = 200, description = "versions")))]
async fn updates(Verified(_): Verified) -> JsonAnswer<Value> {
    JsonAnswer(json!({"current": COMPATIBLE_VERSION, "latest": COMPATIBLE_VERSION}))
}

/// What a client may expect: more for those who are signed in.
#[utoipa::path(get, path = "/api/config", tag = "service", security(()), responses((status = 200, description = "the configuration")))]
async fn config(
    State(state): State<ApiState>,
    Optional(principal): Optional,
) -> ApiResult<JsonAnswer<Value>> {
    let settings = state.auth.settings();
    let mut features = json!({
        "auth": !state.config.single_user,
        "auth_trusted_header": state.config.trusted_headers,
        "enable_signup_password_confirmation": false,
        "enable_ldap": false,
        "enable_api_keys": settings.enable_api_keys,
        "enable_signup": settings.enable_signup,
        "enable_login_form": true,
        "enable_websocket": false,
        "enable_version_update_check": false,
    });
    let providers = state.sign_on.as_ref().map(|sign_on| (sign_on.provider.id(), sign_on.provider.title()));
    let providers: Map<String, Value> =
        providers.into_iter().map(|(id, title)| (id.to_owned(), title.into())).collect();
    let mut config = json!({
        "status": true,
        "name": state.config.name,
        "version": COMPATIBLE_VERSION,
        "default_locale": "",
        "i18n": {},
        "oauth": {"providers": providers, "auto_redirect": false},
    });
    if state.auth.is_empty() {
        config["onboarding"] = true.into();
    }
    // An API key counts as a stranger here, as on Open WebUI.
    let person =
        principal.filter(|principal| !matches!(principal.credential, breezeway_core::Credential::ApiKey(_)));
    if let Some(principal) = person {
        for name in [
            "enable_direct_connections",
            "enable_folders",
            "enable_channels",
            "enable_notes",
            "enable_web_search",
        ] {
            features[name] = false.into();
        }
        config["default_models"] = "".into();
        config["permissions"] = state.auth.permissions(&principal);
        let settings = retrieval_config(&state.tuning.settings());
        config["file"] = json!({
            "max_size": settings.get("FILE_MAX_SIZE"),
            "max_count": settings.get("FILE_MAX_COUNT"),
        });
    }
    config["features"] = features;
    Ok(JsonAnswer(config))
}
