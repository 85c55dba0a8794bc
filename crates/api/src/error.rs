//! How failures are answered: the one table from kind to status, and the texts clients know.
//!
//! The domain says what went wrong; only here does that become a status and a body. Clients of this
//! API match on some of the texts, so those are spelled exactly as Open WebUI spells them.

use std::error::Error as StdError;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use breezeway_core::{Classify, ErrorKind, StoreError};
use breezeway_registry::UpstreamError;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tracing::error;

mod domain;
mod saved;

/// Who the caller is is known, and that is not enough.
pub(crate) const ACCESS_PROHIBITED: &str =
    "You do not have permission to access this resource. Please contact your administrator for assistance.";
/// The thing does not exist, or not for this caller.
pub(crate) const NOT_FOUND: &str = "We could not find what you're looking for :/";
/// Another spelling of a refusal, which some routes use.
pub(crate) const UNAUTHORIZED: &str = "401 Unauthorized";
/// There is nothing to read in it.
pub(crate) const EMPTY_CONTENT: &str =
    "The content provided is empty. Please ensure that there is text or data present before proceeding.";
/// A file that was uploaded without being processed.
pub(crate) const NOT_PROCESSED: &str = "Extracted content is not available for this file. Please ensure that the file is processed before proceeding.";
/// A model that does not exist, or not for this caller.
pub(crate) const MODEL_NOT_FOUND: &str = "Model not found";

/// A failure on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: Body,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
enum Body {
    Json(Value),
    Raw { content_type: HeaderValue, bytes: bytes::Bytes },
}

/// The result of a handler.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// `{"detail": <text>}` with a status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::json(status, json!({ "detail": detail.into() }))
    }

    /// Any JSON body with a status.
    pub fn json(status: StatusCode, body: Value) -> Self {
        Self { status, body: Body::Json(body), headers: Vec::new() }
    }

    /// 400 with a text.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404 with the usual text.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, NOT_FOUND)
    }

    /// 401 with the text for a known caller who may not do this.
    pub fn prohibited() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ACCESS_PROHIBITED)
    }

    /// 422: one thing is wrong with one part of the request. `location` is where, outermost first.
    pub fn invalid(kind: &str, location: &[&str], message: &str, input: Value) -> Self {
        Self::json(
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({"detail": [{"type": kind, "loc": location, "msg": message, "input": input}]}),
        )
    }

    /// 422: a field is missing.
    pub fn missing(location: &[&str], input: Value) -> Self {
        Self::invalid("missing", location, "Field required", input)
    }

    /// The same failure under another status and text, unless it is a fault of ours or of load: those
    /// keep what they say.
    #[must_use]
    pub fn or(self, status: StatusCode, detail: &str) -> Self {
        match self.status.as_u16() {
            429 | 500.. => self,
            _ => Self::new(status, detail),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Add a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A failure of the store.
    pub(crate) fn from_store(failure: &StoreError) -> Self {
        Self::classified(failure)
    }

    /// A failure by its kind alone: our faults are logged here, once, with their whole chain, and
    /// answered blandly; the caller's are answered with their text.
    fn classified(failure: &(impl StdError + Classify)) -> Self {
        let kind = failure.kind();
        let status = status_of(kind);
        match kind {
            ErrorKind::Internal => {
                error!(error = %chain(failure), "A request failed");
                Self::new(status, "Something went wrong on our side. The server's log says more.")
            }
            ErrorKind::Overloaded => Self::new(status, "The server is busy. Please try again in a moment.")
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => Self::new(status, failure.to_string()),
        }
    }
}

/// The one table from kind to status.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Upstream => StatusCode::BAD_GATEWAY,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn chain(failure: &dyn StdError) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// What an upstream said is the answer: its status and its body. An Ollama error, `{"error": "x"}`,
/// is spelled as `{"detail": "x"}` too, which is what clients of this API look for.
impl From<UpstreamError> for ApiError {
    fn from(failure: UpstreamError) -> Self {
        let UpstreamError::Answered { status, body, retry_after, .. } = failure else {
            let refused = Self::new(status_of(failure.kind()), sentence(&failure));
            let UpstreamError::Busy { retry_after } = failure else { return refused };
            let seconds = HeaderValue::from(retry_after.as_secs().max(1));
            return refused.with_header(header::RETRY_AFTER, seconds);
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut answer = match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Object(object)) if object.get("error").is_some_and(Value::is_string) => {
                Self::json(status, json!({"detail": object["error"], "error": object["error"]}))
            }
            read => {
                // A page of somebody else's is text here: as HTML it would run with this server's
                // cookies.
                let content_type = match read {
                    Ok(_) => HeaderValue::from_static("application/json"),
                    Err(_) => HeaderValue::from_static("text/plain; charset=utf-8"),
                };
                Self { status, body: Body::Raw { content_type, bytes: body }, headers: Vec::new() }
            }
        };
        if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(&text).ok()) {
            answer = answer.with_header(header::RETRY_AFTER, value);
        }
        answer
    }
}

/// An error's text as a sentence for people.
pub(crate) fn sentence(failure: &dyn StdError) -> String {
    let text = failure.to_string();
    let mut signs = text.chars();
    match signs.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), signs.as_str()),
        None => text,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Body::Json(body) => (self.status, Json(body)).into_response(),
            Body::Raw { content_type, bytes } => {
                (self.status, [(header::CONTENT_TYPE, content_type)], bytes).into_response()
            }
        };
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.headers_mut().extend(self.headers);
        response
    }
}
