//! Parts of the path.

use axum::extract::{FromRequestParts, path::ErrorKind, rejection::PathRejection};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;

/// The variable parts of a path read into `T`; what does not fit is a 422 in this API's shape.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(failure)) => Err(fault(failure.kind())),
            Err(_) => Err(ApiError::not_found()),
        }
    }
}

fn fault(kind: &ErrorKind) -> ApiError {
    match kind {
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
            wrong(&["path", key], value, expected_type)
        }
        ErrorKind::ParseError { value, expected_type } => wrong(&["path"], value, expected_type),
        // Bytes that are no text name nothing.
        ErrorKind::InvalidUtf8InPathParam { .. } => ApiError::not_found(),
        other => ApiError::invalid("value_error", &["path"], &other.to_string(), Value::Null),
    }
}

fn wrong(location: &[&str], value: &str, expected_type: &str) -> ApiError {
    match expected_type {
        "u16" | "u32" | "u64" | "usize" | "i64" => {
            ApiError::invalid("int_parsing", location, "Input should be a valid integer", value.into())
        }
        _ => ApiError::invalid("value_error", location, "Input should be a valid value", value.into()),
    }
}
