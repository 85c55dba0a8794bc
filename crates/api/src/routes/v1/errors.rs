//! Failures in the shape of the dialect they were asked in.
//!
//! SDKs show `error.message` and decide by the status whether to try again. What the handlers say is
//! put there; `detail`, which clients of the older routes read, stays beside it.

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::error::MODEL_NOT_FOUND;

/// An error of an upstream is cut at a megabyte before it gets here; ours are small.
const MOST_BYTES: usize = 2 << 20;

/// Failures as OpenAI's clients read them.
pub(super) async fn openai(request: Request, next: Next) -> Response {
    shaped(next.run(request).await, |status, failure| {
        let kind = match status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        let code = match (status.as_u16(), failure.no_model) {
            (_, true) => json!("model_not_found"),
            (401, _) => json!("invalid_api_key"),
            (429, _) => json!("rate_limit_exceeded"),
            _ => Value::Null,
        };
        let param = if failure.no_model { json!("model") } else { failure.param };
        json!({"error": {"message": failure.message, "type": kind, "param": param, "code": code}})
    })
    .await
}

/// Failures as Anthropic's clients read them.
pub(super) async fn anthropic(request: Request, next: Next) -> Response {
    shaped(next.run(request).await, |status, failure| {
        let kind = match status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": failure.message}})
    })
    .await
}

/// What a failure says.
struct Failure {
    message: String,
    /// Which field it is about.
    param: Value,
    /// Whether the model is not there.
    no_model: bool,
}

async fn shaped(response: Response, shape: fn(StatusCode, Failure) -> Value) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let bytes = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let said = serde_json::from_slice::<Map<String, Value>>(&bytes);
    let failure = match &said {
        Ok(said) => read(said),
        Err(_) => Failure {
            message: String::from_utf8_lossy(&bytes).into_owned(),
            param: Value::Null,
            no_model: false,
        },
    };
    // The list of faults that 422 stands for is nothing these clients know.
    let status = match (failure.no_model, status) {
        (true, _) => StatusCode::NOT_FOUND,
        (_, StatusCode::UNPROCESSABLE_ENTITY) => StatusCode::BAD_REQUEST,
        (_, other) => other,
    };
    let shaped = shape(status, failure);
    let is_shaped = said.as_ref().is_ok_and(|said| {
        said.get("error").is_some_and(Value::is_object)
            && said.contains_key("type") == shaped["type"].is_string()
    });
    head.status = status;
    head.headers.remove(header::CONTENT_LENGTH);
    if is_shaped {
        return Response::from_parts(head, Body::from(bytes));
    }
    let mut answer = shaped;
    if let Some(detail) = said.ok().and_then(|mut said| said.shift_remove("detail")) {
        answer["detail"] = detail;
    }
    head.headers.remove(header::CONTENT_TYPE);
    let mut response = (status, Json(answer)).into_response();
    response.headers_mut().extend(head.headers);
    response
}

fn read(said: &Map<String, Value>) -> Failure {
    let detail = &said.get("detail").cloned().unwrap_or_default();
    let faults = detail.as_array().and_then(|faults| faults.first());
    let param = faults.and_then(|fault| fault["loc"].get(1)).filter(|name| name.is_string());
    let message = [&said.get("error").cloned().unwrap_or_default(), detail]
        .into_iter()
        .find_map(|place| place["message"].as_str().or(place.as_str()).map(str::to_owned));
    let message = message.or_else(|| {
        let text = faults?["msg"].as_str()?;
        Some(match param.and_then(Value::as_str) {
            Some(name) => format!("`{name}`: {text}"),
            None => text.to_owned(),
        })
    });
    Failure {
        message: message.unwrap_or_else(|| Value::from(said.clone()).to_string()),
        param: param.cloned().unwrap_or_default(),
        no_model: detail == MODEL_NOT_FOUND,
    }
}
