//! Refusals and failures, and the one table that gives them a status and a text.
//!
//! Open WebUI's clients read `detail`; Ollama's read `error`. What an upstream reports is said under
//! both names.

use breezeway_core::ErrorKind;
use breezeway_registry::UpstreamError;
use breezeway_upstream::message_in;
use breezeway_usage::Refusal;
use http::{
    HeaderName, HeaderValue, Response,
    header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::{Map, Value, json};

use super::body::{PassBody, json};

/// Texts that clients of Open WebUI know.
const PROHIBITED: &str =
    "You do not have permission to access this resource. Please contact your administrator for assistance.";
const DISABLED: &str = "The Ollama API is disabled. Please enable it to use this feature.";
const CONNECTION: &str = "Open WebUI: Server Connection Error";

/// Model names come from callers, at any length.
const LONGEST_NAME: usize = 256;

/// Why a request is not answered by an upstream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("nobody says who asks")]
    NotAuthenticated,
    #[error("the caller's role does not allow it")]
    Prohibited,
    #[error("no Ollama connection is enabled")]
    Disabled,
    #[error("there is no such path")]
    NoSuchPath,
    #[error("the path takes only {0}")]
    MethodNotAllowed(&'static str),
    #[error("there is no Ollama connection {0}")]
    NoSuchConnection(usize),
    #[error("no connection has the model")]
    UnknownModel(String),
    #[error("the body is not what the route takes")]
    Invalid(Value),
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    #[error("the body could not be read to its end")]
    Unreadable,
    #[error("the body stopped coming")]
    Unfinished,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Limit(#[from] Refusal),
    #[error("{text}")]
    Elsewhere { kind: ErrorKind, text: String },
}

impl Failure {
    /// A field that is not as it should be, in the shape of Open WebUI's validation.
    pub(super) fn invalid(kind: &str, location: &[&str], message: &str, input: Value) -> Self {
        Self::Invalid(json!({"type": kind, "loc": location, "msg": message, "input": input}))
    }

    pub(super) fn into_response(self) -> Response<PassBody> {
        match self {
            Self::NotAuthenticated => challenged(detail(401, "Not authenticated")),
            Self::Prohibited => challenged(detail(401, PROHIBITED)),
            Self::Disabled => detail(503, DISABLED),
            Self::NoSuchPath => detail(404, "Not Found"),
            Self::MethodNotAllowed(methods) => {
                with(detail(405, "Method Not Allowed"), ALLOW, HeaderValue::from_static(methods))
            }
            Self::NoSuchConnection(index) => detail(404, &format!("Ollama connection {index} was not found")),
            Self::UnknownModel(name) => detail(400, &format!("Model '{}' was not found", shortened(&name))),
            Self::Invalid(what) => json(422, &json!({"detail": [what]})),
            Self::TooLarge(limit) => detail(413, &format!("The request has more than {limit} bytes")),
            Self::Unreadable => detail(400, "The request's body could not be read"),
            Self::Unfinished => detail(408, "The request's body stopped coming"),
            Self::Upstream(error) => upstream(error),
            Self::Limit(refusal) => limited(&refusal),
            Self::Elsewhere { kind, text } => json(status_of(kind), &both(&text)),
        }
    }
}

fn limited(refusal: &Refusal) -> Response<PassBody> {
    let status = if matches!(refusal, Refusal::Exceeded(_)) { 429 } else { 503 };
    with(json(status, &both(&refusal.to_string())), RETRY_AFTER, refusal.retry_after_seconds().into())
}

fn upstream(error: UpstreamError) -> Response<PassBody> {
    match error {
        UpstreamError::Answered { status, content_type, body, retry_after } => {
            let response = json(status, &reported(&body, content_type.as_deref()));
            match retry_after.and_then(|after| HeaderValue::try_from(after).ok()) {
                Some(after) => with(response, RETRY_AFTER, after),
                None => response,
            }
        }
        UpstreamError::TimedOut(_) => json(504, &both("Ollama: Server Timeout")),
        UpstreamError::Busy { retry_after } => {
            let seconds = retry_after.as_secs().max(1);
            with(json(503, &both("The upstream has too much to do.")), RETRY_AFTER, seconds.into())
        }
        _ => json(502, &both(CONNECTION)),
    }
}

/// What an upstream's error is told as.
fn reported(body: &[u8], content_type: Option<&str>) -> Value {
    match serde_json::from_slice::<Map<String, Value>>(body) {
        // An error of the OpenAI-compatible routes has a shape of its own, which clients know.
        Ok(said) if said.get("error").is_some_and(Value::is_object) => said.into(),
        Ok(mut said) => {
            let message: Value = message_in(body).into();
            said.entry("error").or_insert_with(|| message.clone());
            said.entry("detail").or_insert(message);
            said.into()
        }
        Err(_)
            if content_type.is_some_and(|kind| kind.starts_with("text/plain"))
                && !body.trim_ascii().is_empty() =>
        {
            both(message_in(body).trim())
        }
        Err(_) => both(CONNECTION),
    }
}

fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::Invalid => 400,
        ErrorKind::NotFound => 404,
        ErrorKind::Overloaded => 503,
        ErrorKind::Timeout => 504,
        ErrorKind::Upstream => 502,
        _ => 500,
    }
}

fn both(message: &str) -> Value {
    json!({"detail": message, "error": message})
}

fn detail(status: u16, text: &str) -> Response<PassBody> {
    json(status, &json!({ "detail": text }))
}

fn challenged(response: Response<PassBody>) -> Response<PassBody> {
    with(response, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn with(mut response: Response<PassBody>, name: HeaderName, value: HeaderValue) -> Response<PassBody> {
    response.headers_mut().insert(name, value);
    response
}

fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST_NAME)]
}
