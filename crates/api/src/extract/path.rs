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
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => ApiError::invalid(
            "value_error",
            &["path", key],
            &format!("Input should be a valid {expected_type}"),
            value.as_str().into(),
        ),
        ErrorKind::ParseError { value, expected_type } => ApiError::invalid(
            "value_error",
            &["path"],
            &format!("Input should be a valid {expected_type}"),
            value.as_str().into(),
        ),
        // Bytes that are no text name nothing.
        ErrorKind::InvalidUtf8InPathParam { .. } => ApiError::not_found(),
        other => ApiError::invalid("value_error", &["path"], &other.to_string(), Value::Null),
    }
}
