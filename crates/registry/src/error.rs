use breezeway_core::{Classify, ErrorKind, ModelId, StoreError};

use crate::UpstreamError;

/// The result of a question to the registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong when models are looked up or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody serves it, or not for this caller: the two look alike.
    #[error("model `{0}` does not exist")]
    NoSuchModel(String),
    /// A custom model with this id exists.
    #[error("model id `{0}` is taken")]
    Taken(ModelId),
    /// The caller may see the custom model and not change it.
    #[error("model `{0}` is not yours to change")]
    Forbidden(ModelId),
    /// A connection cannot be used as configured.
    #[error("connection `{url}` cannot be used: {why}")]
    BadConnection {
        /// Its URL.
        url: String,
        /// Why.
        why: String,
    },
    /// An upstream failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchModel(_) => ErrorKind::NotFound,
            Self::Taken(_) => ErrorKind::Conflict,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::BadConnection { .. } => ErrorKind::Invalid,
            Self::Upstream(upstream) => upstream.kind(),
            Self::Store(store) => store.kind(),
        }
    }
}
