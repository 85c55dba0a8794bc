//! Files: what was uploaded, and how far its processing has come.
//!
//! The file row is the job. There is no second queue that could disagree with it: a crash is a lease
//! that runs out, a retry is a change of state.

use breezeway_core::{CollectionId, FileId, UnixTime, UserId};
use serde_json::{Map, Value};

use crate::BlobHash;

/// An uploaded file. Its bytes are a blob, its text a [`crate::Document`], its pieces chunks.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// Who uploaded it.
    pub owner: UserId,
    /// Its base name; never a path.
    pub name: String,
    /// What the client said it is, e.g. `application/pdf`.
    pub media_type: String,
    /// Length of the bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes, under which the blob store has them.
    pub blob: BlobHash,
    /// SHA-256 of the extracted text in lower-case hex, once there is text.
    pub text_hash: Option<String>,
    /// What the uploader sent along (`metadata` of the upload), kept as it is.
    pub metadata: Map<String, Value>,
    /// How far processing has come.
    pub state: FileState,
    /// When it was uploaded.
    pub created_at: UnixTime,
    /// When it, or its state, last changed.
    pub updated_at: UnixTime,
}

/// How far the processing of a file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Kept, and not to be processed until somebody asks (`process=false`).
    Stored,
    /// Waiting for a worker.
    Pending,
    /// A worker has it. When its lease runs out another may take it.
    Processing,
    /// Its text is there and can be searched.
    Completed,
    /// It could not be processed; the text says why, for a person.
    Failed(String),
    /// Somebody stopped it before it was done. A text that it had before stays.
    Cancelled,
}

impl FileState {
    /// The word of the API and the database. `Stored` has none in the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will change by itself any more.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Stored | Self::Completed | Self::Failed(_) | Self::Cancelled)
    }
}

/// A file that has no text so far and is to get one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Which.
    pub id: FileId,
    /// What it is called.
    pub name: String,
    /// From when on a worker takes it, which is in the future if it failed and that may pass; `None` if
    /// a worker has it.
    pub next_try: Option<UnixTime>,
}

/// A file about to be inserted. Its blob is already stored.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its id, minted by the library.
    pub id: FileId,
    /// Who uploaded it.
    pub owner: UserId,
    /// Its base name.
    pub name: String,
    /// What the client said it is.
    pub media_type: String,
    /// Length of the bytes.
    pub size_bytes: u64,
    /// Where the bytes are.
    pub blob: BlobHash,
    /// What the uploader sent along.
    pub metadata: Map<String, Value>,
    /// `Pending` to have it processed, `Stored` otherwise.
    pub state: FileState,
}

/// In which order files are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileOrder {
    /// By upload, newest first.
    #[default]
    NewestFirst,
    /// By upload, oldest first.
    OldestFirst,
    /// By last change, latest first.
    LatestChangeFirst,
    /// By last change, the longest unchanged first.
    EarliestChangeFirst,
    /// By name, in the order of its bytes.
    Name,
    /// By name, the other way round.
    NameDescending,
}

/// Which files to list.
#[derive(Clone, Debug, Default)]
pub struct FileQuery {
    /// Only of this owner.
    pub owner: Option<UserId>,
    /// Only names that match this glob (`*` any text, `?` any sign), in any case.
    pub name_glob: Option<String>,
    /// Only files that one of these collections holds.
    pub held_by: Option<Vec<CollectionId>>,
    /// In which order.
    pub order: FileOrder,
    /// Which part of the list.
    pub slice: crate::Slice,
}
