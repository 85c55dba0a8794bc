use breezeway_core::{Classify, ErrorKind};
use breezeway_registry::UpstreamError;
use breezeway_usage::Refusal;

use crate::{ContextError, ToolsError};

/// The result of a chat.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a chat was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody serves the model, or not for this caller.
    #[error("model not found")]
    NoSuchModel,
    /// `messages` is not a list; the text is its JSON type.
    #[error("`messages` is a {0}, not a list")]
    BadMessages(&'static str),
    /// The upstream failed before the first byte of an answer.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The caller's key has used what it may.
    #[error(transparent)]
    Limit(#[from] Refusal),
    /// The context could not be searched.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The tools that were asked for cannot be had.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// The registry failed otherwise.
    #[error(transparent)]
    Registry(breezeway_registry::Error),
}

impl From<breezeway_registry::Error> for Error {
    fn from(error: breezeway_registry::Error) -> Self {
        match error {
            breezeway_registry::Error::NoSuchModel(_) => Self::NoSuchModel,
            breezeway_registry::Error::Upstream(upstream) => Self::Upstream(upstream),
            other => Self::Registry(other),
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchModel | Self::BadMessages(_) => ErrorKind::Invalid,
            Self::Upstream(upstream) => upstream.kind(),
            Self::Limit(refusal) => refusal.kind(),
            Self::Context(context) => context.kind,
            Self::Tools(tools) => tools.kind(),
            Self::Registry(registry) => registry.kind(),
        }
    }
}
