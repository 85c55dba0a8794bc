//! Query strings.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;

/// A query string read into `T`; what does not fit is a 422 in this API's shape.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(fault(&rejection.body_text())),
        }
    }
}

/// What is wrong, from a rejection such as "Failed to deserialize query string: missing field
/// `filename`" or "…: page: invalid digit found in string".
fn fault(rejection: &str) -> ApiError {
    let text = rejection.split_once(": ").map_or(rejection, |(_, text)| text);
    if let Some(field) = text.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return ApiError::missing(&["query", field], Value::Null);
    }
    match text.split_once(": ") {
        Some((field, why)) => ApiError::invalid("value_error", &["query", field], why, Value::Null),
        None => ApiError::invalid("value_error", &["query"], text, Value::Null),
    }
}
