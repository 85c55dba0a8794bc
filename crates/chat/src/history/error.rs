//! What goes wrong with saved chats.

use breezeway_core::{Classify, ErrorKind, StoreError};

use super::MOST_CHAT_BYTES;

/// Why something could not be done with saved chats.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// There is no such chat, or it is somebody else's.
    #[error("the chat does not exist")]
    NoSuchChat,
    /// There is no such folder, or it is somebody else's.
    #[error("the folder does not exist")]
    NoSuchFolder,
    /// A chat is longer than [`MOST_CHAT_BYTES`].
    #[error("a saved chat cannot have more than {} MB", MOST_CHAT_BYTES >> 20)]
    TooLarge,
    /// Too many answers wait to be written.
    #[error("too many answers wait to be saved")]
    Busy,
    /// The caller's key is for certain collections, and chats tell of all.
    #[error("this API key is limited to certain collections and cannot use saved chats")]
    KeyNarrowed,
    /// The caller's key changes nothing.
    #[error("this API key is read-only and cannot write into a saved chat")]
    ReadOnlyKey,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for SavedError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchChat | Self::NoSuchFolder => ErrorKind::NotFound,
            Self::TooLarge => ErrorKind::TooLarge,
            Self::Busy => ErrorKind::Overloaded,
            Self::KeyNarrowed | Self::ReadOnlyKey => ErrorKind::Forbidden,
            Self::Store(failure) => failure.kind(),
        }
    }
}
