use breezeway_core::{LaneError, StoreError};
use breezeway_embedding::EmbedError;

use crate::{extract::ExtractError, service::ServiceError};

/// The result of a step of ingestion.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be processed. The text is shown to the file's owner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its text could not be read.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// The service that reads documents did not read it.
    #[error("Error calling {name}: {reason}")]
    Service {
        /// What its users call it.
        name: &'static str,
        /// What it said.
        reason: ServiceError,
    },
    /// The process that reads texts could not be started.
    #[error("the text extractor could not be started")]
    Start(#[source] std::io::Error),
    /// Its text could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// Its bytes could not be read.
    #[error("the uploaded bytes cannot be read")]
    Blob(#[source] breezeway_knowledge::Error),
    /// Its bytes are gone.
    #[error("the uploaded bytes are no longer there")]
    BlobMissing,
    /// The lane was full or the work panicked.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something it went through panicked.
    #[error("processing the file failed unexpectedly")]
    Panicked,
}

impl Error {
    /// Whether the same file may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Extract(_) | Self::BlobMissing | Self::Panicked => false,
            Self::Service { reason, .. } => matches!(reason, ServiceError::Unavailable(_)),
            Self::Start(_) | Self::Blob(_) => true,
            Self::Embed(error) => error.is_transient(),
            Self::Lane(error) => !matches!(error, LaneError::Panicked(_)),
            Self::Store(error) => !matches!(error, StoreError::Taken(_) | StoreError::Unreadable { .. }),
        }
    }
}
