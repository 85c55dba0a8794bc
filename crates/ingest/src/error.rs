use breezeway_core::{LaneError, StoreError};
use breezeway_embedding::EmbedError;

use crate::extract::ExtractError;

/// The result of a step of ingestion.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be processed. The text is shown to the file's owner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its text could not be read.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// Its text could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// Its bytes could not be read.
    #[error("the uploaded bytes cannot be read")]
    Blob(#[source] breezeway_knowledge::Error),
    /// The lane was full or the work panicked.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
