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
            Err(rejection) => {
                let message = rejection.body_text();
                // The rejection reads "Failed to deserialize query string: missing field `filename`".
                let field = message.split('`').nth(1).filter(|_| message.contains("missing field"));
                Err(match field {
                    Some(field) => ApiError::missing(&["query", field], Value::Null),
                    None => ApiError::invalid("value_error", &["query"], &message, Value::Null),
                })
            }
        }
    }
}
