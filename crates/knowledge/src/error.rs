use breezeway_core::{Classify, CollectionId, ErrorKind, FileId, LaneError, StoreError};

/// The result of reading or changing the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong when files and collections are read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file does not exist, or not for this caller.
    #[error("file `{0}` does not exist")]
    NoSuchFile(FileId),
    /// The collection does not exist, or not for this caller.
    #[error("collection `{0}` does not exist")]
    NoSuchCollection(CollectionId),
    /// The caller may read the collection or choose its name, and may not do this to it.
    #[error("collection `{0}` is not yours to use")]
    CollectionForbidden(CollectionId),
    /// The caller may read the file and not change it.
    #[error("file `{0}` is not yours to change")]
    FileForbidden(FileId),
    /// The caller's API key is for certain collections, and this would reach beyond them.
    #[error("the API key is limited to certain collections and may not do this")]
    KeyNarrowed,
    /// The caller asked for everyone's files and is no admin.
    #[error("only admins may do this to everyone's files")]
    AdminsOnly,
    /// The file was uploaded with `process=false` and has no text.
    #[error("file `{0}` has not been processed")]
    NotProcessed(FileId),
    /// The file neither waits to be processed nor is it being processed.
    #[error("file `{0}` is not being processed")]
    NothingToCancel(FileId),
    /// The file neither failed nor was it cancelled.
    #[error("file `{0}` has neither failed nor been cancelled")]
    NothingToRetry(FileId),
    /// The file was processed and has no text.
    #[error("file `{0}` has no text")]
    NoText(FileId),
    /// The file is not in the collection.
    #[error("file `{file}` is not in collection `{collection}`")]
    NotAMember {
        /// The collection.
        collection: CollectionId,
        /// The file.
        file: FileId,
    },
    /// An upload without a byte.
    #[error("the file is empty")]
    EmptyUpload,
    /// An upload above the limit.
    #[error("the file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The extension is not among those allowed.
    #[error("files of type `{0}` are not accepted")]
    ExtensionNotAllowed(String),
    /// Nothing can have this name.
    #[error("a collection's name has 1 to 512 bytes and does not begin with `file-`")]
    BadName,
    /// What an upload says about itself cannot be read.
    #[error("the upload's `metadata` is no JSON object")]
    BadMetadata,
    /// The client stopped sending, or sent rubbish.
    #[error("the upload broke off")]
    Upload(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes could not be written or read.
    #[error("the blob store failed to {action}")]
    Blob {
        /// What was attempted.
        action: &'static str,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// The lane that writes and reads bytes did not take the work.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchFile(_) | Self::NoSuchCollection(_) => ErrorKind::NotFound,
            Self::KeyNarrowed | Self::CollectionForbidden(_) | Self::FileForbidden(_) | Self::AdminsOnly => {
                ErrorKind::Forbidden
            }
            Self::NotProcessed(_)
            | Self::NoText(_)
            | Self::NotAMember { .. }
            | Self::EmptyUpload
            | Self::ExtensionNotAllowed(_)
            | Self::BadMetadata
            | Self::BadName
            | Self::Upload(_) => ErrorKind::Invalid,
            Self::NothingToCancel(_) | Self::NothingToRetry(_) => ErrorKind::Conflict,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Blob { .. } => ErrorKind::Internal,
            Self::Lane(lane) => lane.kind(),
            Self::Store(store) => store.kind(),
        }
    }
}
