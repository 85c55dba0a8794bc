//! The router: every route under one roof, with one answer for paths nobody serves.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use breezeway_middleware::{AuthRefusal, RateRefusal};
use http::{Method, StatusCode, header};
use tower::ServiceExt;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{docs, error::ApiError, openapi::Document, routes, state::ApiState};

/// The largest form of accounts, groups and connections, in bytes: a profile picture fits in.
const MAX_FORM_BYTES: usize = 1 << 20;

/// The whole API as an axum router, except `/ollama`'s passthrough, which whoever serves this mounts
/// beside it.
pub fn router(state: ApiState) -> Router {
    let (router, document) = routes(state.config.max_body_bytes).split_for_parts();
    let mut router = router.with_state(state.clone());
    if state.config.docs {
        router = router.merge(docs::router(document));
    }
    let router = router.method_not_allowed_fallback(wrong_method);
    let known = router.clone();
    router.fallback(move |request| either_way(known.clone(), request))
}

/// The lists whose path ends in a slash, which is easily forgotten.
const LISTS: [&str; 8] = [
    "/api/v1/auths",
    "/api/v1/chats",
    "/api/v1/files",
    "/api/v1/folders",
    "/api/v1/groups",
    "/api/v1/knowledge",
    "/api/v1/tools",
    "/api/v1/users",
];

/// Answer a list's path without its slash like the one with it; nobody serves any other.
async fn either_way(router: Router, mut request: Request) -> Response {
    let path = request.uri().path();
    if !LISTS.contains(&path) {
        return unknown(request).await.into_response();
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    match format!("{path}/{query}").parse() {
        Ok(uri) => {
            *request.uri_mut() = uri;
            router.oneshot(request).await.unwrap_or_else(|never| match never {})
        }
        Err(_) => unknown(request).await.into_response(),
    }
}

/// The OpenAPI document of the routes.
pub fn document() -> utoipa::openapi::OpenApi {
    routes(0).into_openapi()
}

fn routes(max_body_bytes: usize) -> OpenApiRouter<ApiState> {
    // An upload is streamed and has a limit of its own, in the library; every other body is read
    // whole, so the limit is a limit on memory. The full one is for routes that carry conversations,
    // texts and pictures; a form is small, and the first of them are open to strangers.
    let uploads =
        routes::files::upload_router().merge(routes::v1::upload_router()).layer(DefaultBodyLimit::disable());
    let forms = OpenApiRouter::new()
        .merge(routes::health::router())
        .merge(routes::auths::router())
        .merge(routes::oauth::router())
        .merge(routes::users::router())
        .merge(routes::groups::router())
        .merge(routes::configs::router())
        .merge(routes::tools::router())
        .merge(routes::usage::router())
        .merge(routes::audit::router())
        .merge(routes::folders::router())
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES.min(max_body_bytes)));
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(forms)
        .merge(routes::models::router())
        .merge(routes::chat::router())
        .merge(routes::chats::router())
        .merge(routes::messages::router())
        .merge(routes::embeddings::router())
        .merge(routes::openai::router())
        .merge(routes::responses::router())
        .merge(routes::v1::router())
        .merge(routes::files::router())
        .merge(routes::knowledge::router())
        .merge(routes::retrieval::router())
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .merge(uploads)
}

/// Answer requests whose credential was refused, or that are too many, with the reason, and pass all
/// others on: for services that know principals and nothing else. A request without a credential goes on.
pub async fn refuse_bad_credentials(request: Request, next: Next) -> Response {
    if let Some(RateRefusal(refusal)) = request.extensions().get() {
        return ApiError::from(refusal.as_ref()).into_response();
    }
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
