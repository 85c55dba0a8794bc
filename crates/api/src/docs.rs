//! The page that shows the API: Swagger UI, served from this binary and nowhere else.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, header};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::error::ApiError;

/// The page itself. It names its parts by their whole paths, so that it works without a slash at the
/// end of its own.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Breezeway - Swagger UI</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

const START: &str = r##"window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true
});
"##;

/// `/docs` and `/openapi.json`.
pub(crate) fn router(document: OpenApi) -> Router {
    let document = Arc::new(document);
    Router::new()
        .route("/docs", get(page))
        .route("/docs/", get(page))
        .route("/docs/start.js", get(start))
        .route("/docs/{part}", get(part))
        .route("/openapi.json", get(json))
        .with_state(document)
}

async fn page() -> Html<&'static str> {
    Html(PAGE)
}

async fn start() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript"))], START)
}

async fn part(Path(name): Path<String>) -> Response {
    match utoipa_swagger_ui::serve(&name, Arc::new(Config::from("/openapi.json"))) {
        Ok(Some(file)) => {
            let content_type = HeaderValue::from_str(&file.content_type);
            let content_type = content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            ([(header::CONTENT_TYPE, content_type)], file.bytes.into_owned()).into_response()
        }
        _ => ApiError::not_found().into_response(),
    }
}

async fn json(State(document): State<Arc<OpenApi>>) -> Json<OpenApi> {
    Json(OpenApi::clone(&document))
}
