//! JSON bodies.
//!
//! A body is read as JSON whatever its content type: the documented examples send none. What cannot
//! be read is a 422 with a list of faults, in the shape clients of this API know.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// A JSON body read into `T`.
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that is an object, whole.
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

/// A JSON body of the sign-in routes, whose faults are all answered with one fixed text.
pub(crate) struct AuthJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let value = value(request, state).await?;
        let input = summary(&value);
        serde_json::from_value(value).map(Self).map_err(|error| fault(&error, input))
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match value(request, state).await? {
            Value::Object(object) => Ok(Self(object)),
            other => Err(ApiError::invalid(
                "dict_type",
                &["body"],
                "Input should be a valid dictionary",
                summary(&other),
            )),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for AuthJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(refusal) if refusal.status() == StatusCode::UNPROCESSABLE_ENTITY => {
                // The usual list would repeat the input, and the input is a password.
                Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid authentication request."))
            }
            Err(refusal) => Err(refusal),
        }
    }
}

async fn value<S: Send + Sync>(request: Request, state: &S) -> Result<Value, ApiError> {
    let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
    if bytes.trim_ascii().is_empty() || bytes.trim_ascii() == b"null" {
        return Err(ApiError::missing(&["body"], Value::Null));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::json(
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({"detail": [{
                "type": "json_invalid",
                "loc": ["body", error.column()],
                "msg": "JSON decode error",
                "input": {},
                "ctx": {"error": error.to_string()},
            }]}),
        )
    })
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is larger than this server accepts.")
    } else {
        ApiError::bad_request("The request body broke off.")
    }
}

/// What is wrong with a value, in the words of the list.
fn fault(error: &serde_json::Error, input: Value) -> ApiError {
    let text = error.to_string();
    let quoted = text.split('`').nth(1);
    match quoted {
        Some(field) if text.starts_with("missing field") => ApiError::missing(&["body", field], input),
        _ if text.contains("expected a sequence") => {
            ApiError::invalid("list_type", &["body"], "Input should be a valid list", input)
        }
        _ if text.contains("expected struct") => ApiError::invalid(
            "model_attributes_type",
            &["body"],
            "Input should be a valid dictionary or object to extract fields from",
            input,
        ),
        _ => ApiError::invalid("value_error", &["body"], &text, input),
    }
}

/// The input as the list of faults repeats it: small, and without anything long in it.
fn summary(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .take(16)
                .map(|(name, value)| {
                    let value = match value {
                        Value::String(text) if text.len() > 200 => json!("…"),
                        Value::Array(_) | Value::Object(_) => json!("…"),
                        plain => plain.clone(),
                    };
                    (name.clone(), value)
                })
                .collect(),
        ),
        Value::String(text) if text.len() > 200 => json!("…"),
        Value::Array(_) => json!([]),
        plain => plain.clone(),
    }
}
