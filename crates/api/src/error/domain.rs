//! The texts and statuses of each domain's failures.

use http::{HeaderValue, StatusCode, header};

use super::{
    ACCESS_PROHIBITED, ApiError, EMPTY_CONTENT, MODEL_NOT_FOUND, NOT_FOUND, NOT_PROCESSED, UNAUTHORIZED,
};

impl From<breezeway_auth::Error> for ApiError {
    fn from(failure: breezeway_auth::Error) -> Self {
        (&failure).into()
    }
}

impl From<&breezeway_auth::Error> for ApiError {
    fn from(failure: &breezeway_auth::Error) -> Self {
        use breezeway_auth::Error as Auth;

        let (status, detail) = match failure {
            Auth::NoCredential => (401, "Not authenticated"),
            Auth::InvalidToken => (401, UNAUTHORIZED),
            Auth::UnknownCredential => {
                (401, "Your session has expired or the token is invalid. Please sign in again.")
            }
            Auth::Revoked => (401, "Invalid token"),
            Auth::OtherPerson => (401, "User mismatch. Please sign in again."),
            Auth::UnclearPerson => (401, "The headers of the proxy name more than one person."),
            Auth::ApiKeysOff => (403, "Use of API key is not enabled in the environment."),
            Auth::EndpointNotAllowed | Auth::SignupClosed => (403, ACCESS_PROHIBITED),
            Auth::HumanRequired => (403, "A human session is required."),
            Auth::Forbidden => (401, ACCESS_PROHIBITED),
            Auth::NarrowedKey => {
                (403, "An API key with limits of its own may not manage API keys or accounts.")
            }
            Auth::ReadOnlyKey => (403, "This API key is read-only."),
            Auth::NoSuchKey => (404, NOT_FOUND),
            Auth::InvalidKey { field, why } => {
                return Self::invalid("value_error", &["body", field], why, serde_json::Value::Null);
            }
            Auth::UnnamedKey => {
                (400, "This key has no name and cannot be changed. Replace it at `/api/v1/auths/api_key`.")
            }
            Auth::KeysNotAllowed => (403, "API key creation is not allowed in the environment."),
            Auth::NoKey => (
                404,
                "Oops! It looks like there's a hiccup. The API key is missing. Please make sure to provide a valid API key to access this feature.",
            ),
            Auth::InvalidEmail => (
                400,
                "The email format you entered is invalid. Please double-check and make sure you're using a valid email address (e.g., yourname@example.com).",
            ),
            Auth::EmailTaken => (
                400,
                "Uh-oh! This email is already registered. Sign in with your existing account or choose another email to start anew.",
            ),
            Auth::PasswordTooLong => (
                400,
                "Uh-oh! The password you entered is too long. Please make sure your password is less than 72 bytes long.",
            ),
            Auth::PasswordRefused(hint) => return Self::bad_request(hint.clone()),
            Auth::PasswordTooWeak => (400, "Please choose a password."),
            Auth::WrongCredentials => (
                400,
                "The email or password provided is incorrect. Please check for typos and try logging in again.",
            ),
            Auth::WrongPassword => {
                (400, "The password provided is incorrect. Please check for typos and try again.")
            }
            Auth::Throttled(wait) => {
                let seconds = HeaderValue::from(wait.as_secs().max(1));
                return Self::new(StatusCode::TOO_MANY_REQUESTS, "API rate limit exceeded")
                    .with_header(header::RETRY_AFTER, seconds);
            }
            Auth::NoSuchAccount(_) => (400, NOT_FOUND),
            Auth::NoSuchHeir(_) => (
                400,
                "Nobody is there any more to be given what the account has. Name another account as `transfer_to`.",
            ),
            Auth::Leaving(_) => (400, "The account is being deleted."),
            Auth::NoSuchGroup => (401, NOT_FOUND),
            Auth::LastAdmin => (403, "The last admin can be neither deleted nor demoted."),
            // More passwords than can be looked at: whoever sends them is to slow down.
            Auth::Lane(breezeway_core::LaneError::Full(_)) => {
                return Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many requests at once. Please try again in a moment.",
                )
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            other => return Self::classified(other),
        };
        Self::new(StatusCode::from_u16(status).expect("the statuses above exist"), detail)
    }
}

impl From<breezeway_knowledge::Error> for ApiError {
    fn from(failure: breezeway_knowledge::Error) -> Self {
        use breezeway_knowledge::Error as Library;

        match failure {
            Library::NoSuchFile(_) => Self::not_found(),
            Library::NoSuchCollection(_) | Library::NotAMember { .. } => Self::bad_request(NOT_FOUND),
            Library::CollectionForbidden(_) => Self::bad_request(ACCESS_PROHIBITED),
            Library::FileForbidden(_) => Self::prohibited(),
            Library::KeyNarrowed => Self::new(
                StatusCode::FORBIDDEN,
                "This API key is limited to certain collections and may not do this.",
            ),
            Library::NotProcessed(_) => Self::bad_request(NOT_PROCESSED),
            Library::NoText(_) => Self::bad_request(format!("400: {EMPTY_CONTENT}")),
            Library::EmptyUpload => Self::bad_request(EMPTY_CONTENT),
            Library::TooLarge { limit_bytes } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "Oops! The file you're trying to upload is too large. Please upload a file that is less than {} MB.",
                    limit_bytes / (1024 * 1024)
                ),
            ),
            Library::ExtensionNotAllowed(extension) => {
                Self::bad_request(format!("[ERROR: File type {extension} is not allowed]"))
            }
            Library::BadMetadata => Self::bad_request("[ERROR: Invalid metadata format]"),
            Library::Upload(_) => Self::bad_request("There was an error parsing the body"),
            other => Self::classified(&other),
        }
    }
}

impl From<breezeway_registry::Error> for ApiError {
    fn from(failure: breezeway_registry::Error) -> Self {
        use breezeway_registry::Error as Registry;

        match failure {
            Registry::NoSuchModel(_) => Self::new(StatusCode::UNAUTHORIZED, NOT_FOUND),
            Registry::Taken(_) => Self::new(
                StatusCode::UNAUTHORIZED,
                "Uh-oh! This model id is already registered. Please choose another model id string.",
            ),
            Registry::Forbidden(_) => Self::new(StatusCode::UNAUTHORIZED, UNAUTHORIZED),
            Registry::Upstream(upstream) => upstream.into(),
            other => Self::classified(&other),
        }
    }
}

impl From<breezeway_chat::Error> for ApiError {
    fn from(failure: breezeway_chat::Error) -> Self {
        use breezeway_chat::Error as Chat;

        match failure {
            Chat::NoSuchModel => Self::bad_request(MODEL_NOT_FOUND),
            Chat::BadMessages(kind) => Self::bad_request(format!("`messages` must be a list, not a {kind}.")),
            Chat::Upstream(upstream) => upstream.into(),
            Chat::Registry(registry) => registry.into(),
            Chat::Limit(refusal) => (&refusal).into(),
            other => Self::classified(&other),
        }
    }
}

impl From<&breezeway_usage::Refusal> for ApiError {
    fn from(refusal: &breezeway_usage::Refusal) -> Self {
        Self::classified(refusal).with_header(header::RETRY_AFTER, refusal.retry_after_seconds().into())
    }
}

impl From<crate::metered::SearchError> for ApiError {
    fn from(failure: crate::metered::SearchError) -> Self {
        match failure {
            crate::metered::SearchError::Limit(refusal) => (&refusal).into(),
            crate::metered::SearchError::Search(failure) => failure.into(),
        }
    }
}

impl From<crate::metered::EmbeddingError> for ApiError {
    fn from(failure: crate::metered::EmbeddingError) -> Self {
        match failure {
            crate::metered::EmbeddingError::Limit(refusal) => (&refusal).into(),
            crate::metered::EmbeddingError::Model(failure) => Self::classified(&failure),
        }
    }
}

impl From<breezeway_retrieval::Error> for ApiError {
    fn from(failure: breezeway_retrieval::Error) -> Self {
        Self::classified(&failure)
    }
}

impl From<crate::state::ToolKeeperError> for ApiError {
    fn from(failure: crate::state::ToolKeeperError) -> Self {
        Self::classified(&failure)
    }
}

impl From<crate::state::TuningError> for ApiError {
    fn from(failure: crate::state::TuningError) -> Self {
        use crate::state::TuningError;

        match failure {
            TuningError::Invalid(why) => Self::bad_request(why),
            failed @ TuningError::Embedding(_) => {
                Self::new(StatusCode::BAD_REQUEST, super::sentence(&failed))
            }
            other => Self::classified(&other),
        }
    }
}
