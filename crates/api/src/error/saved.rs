//! How failures of saved chats are answered.

use breezeway_chat::history::SavedError;
use http::StatusCode;

use super::{ApiError, NOT_FOUND};

impl From<SavedError> for ApiError {
    fn from(failure: SavedError) -> Self {
        match failure {
            // As Open WebUI has it for chats, except where one is deleted or asked in.
            SavedError::NoSuchChat => Self::new(StatusCode::UNAUTHORIZED, NOT_FOUND),
            SavedError::NoSuchFolder => Self::not_found(),
            SavedError::ReadOnlyKey => breezeway_auth::Error::ReadOnlyKey.into(),
            other => Self::classified(&other),
        }
    }
}
