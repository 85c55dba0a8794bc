//! The router: every route under one roof, with one answer for paths nobody serves.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use breezeway_middleware::AuthRefusal;
use http::{Method, StatusCode, header};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{docs, error::ApiError, openapi::Document, routes, state::ApiState};

/// The whole API as an axum router, except `/ollama`'s passthrough, which whoever serves this mounts
/// beside it.
pub fn router(state: ApiState) -> Router {
    let (router, document) = routes(state.config.max_body_bytes).split_for_parts();
    let mut router = router.with_state(state.clone());
    if state.config.docs {
        router = router.merge(docs::router(document));
    }
    router.fallback(unknown).method_not_allowed_fallback(wrong_method)
}

/// The OpenAPI document of the routes.
pub fn document() -> utoipa::openapi::OpenApi {
    routes(0).into_openapi()
}

fn routes(max_body_bytes: usize) -> OpenApiRouter<ApiState> {
    // An upload is streamed and has a limit of its own, in the library; every other body is read
    // whole, so the limit is a limit on memory.
    let uploads = routes::files::upload_router().layer(DefaultBodyLimit::disable());
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(routes::health::router())
        .merge(routes::auths::router())
        .merge(routes::users::router())
        .merge(routes::groups::router())
        .merge(routes::models::router())
        .merge(routes::chat::router())
        .merge(routes::messages::router())
        .merge(routes::embeddings::router())
        .merge(routes::openai::router())
        .merge(routes::configs::router())
        .merge(routes::files::router())
        .merge(routes::knowledge::router())
        .merge(routes::retrieval::router())
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .merge(uploads)
}

/// Answer requests whose credential was refused, with the reason, and pass all others on: for services
/// that know principals and nothing else. A request without a credential goes on.
pub async fn refuse_bad_credentials(request: Request, next: Next) -> Response {
    let refusal = request.extensions().get::<AuthRefusal>().map(|refusal| refusal.0.clone());
    match refusal.as_deref() {
        None | Some(breezeway_auth::Error::NoCredential) => next.run(request).await,
        Some(reason) => ApiError::from(reason).into_response(),
    }
}

async fn unknown(request: Request) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("There is no `{}` here.", request.uri().path()))
}

async fn wrong_method(method: Method) -> Response {
    let mut response = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response();
    if method == Method::HEAD {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    response
}
