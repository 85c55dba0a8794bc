//! Drafts: what a worker has made of a file before anybody sees it.
//!
//! Reading a large file takes minutes and embedding it longer. A draft keeps each step as it is done,
//! so that a worker that is killed leaves its work to the next one; and it keeps it in pieces, so
//! that neither memory nor a transaction is as large as the file.

use async_trait::async_trait;
use breezeway_core::{FileId, StoreError, UnixTime};
use breezeway_embedding::Fingerprint;

use crate::{BlobHash, Document, NewChunk, StoredChunk};

/// What a draft was made of, and how. One that was made of anything else is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftKey {
    /// The file's bytes.
    pub blob: BlobHash,
    /// How text was read and cut, in words of the worker's own.
    pub plan: String,
}

/// A draft about to be begun.
#[derive(Clone, Debug)]
pub struct NewDraft {
    /// Whose.
    pub file: FileId,
    /// The attempt under which the file was claimed.
    pub attempt: u32,
    /// What it is made of.
    pub key: DraftKey,
    /// SHA-256 of the document's text, lower-case hex.
    pub text_hash: String,
    /// The document.
    pub document: Document,
    /// How many chunks it will have.
    pub chunks: u32,
}

/// How far a draft has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Chunks it will have.
    pub chunks: u32,
    /// Chunks that are written, the first ones.
    pub written: u32,
}

/// The drafts of files that are being processed.
///
/// # Contract
/// - a file has one draft at most; nobody finds any of it, and the log does not speak of it;
/// - `begin_draft`, `write_draft` and `publish_draft` act only while the file is `Processing` under that
///   very attempt, and answer `false` otherwise; nothing has then changed;
/// - chunks are written in order, and no more than were announced;
/// - the vectors of a draft's texts are kept as those of any other chunk: known ones are found, and
///   [`crate::ChunkStore::add_vectors`] takes them;
/// - `publish_draft` is the commit of [`crate::ChunkStore::commit_file`] and has its contract; a draft
///   that lacks chunks is refused with an error;
/// - a draft survives that its worker is gone, and ends with its file, with a file's next draft, and
///   with `discard_draft`.
#[async_trait]
pub trait DraftStore: Send + Sync + 'static {
    /// The draft of a file, if it was made of this.
    async fn draft(&self, file: &FileId, key: &DraftKey) -> Result<Option<Draft>, StoreError>;

    /// Begin a draft, in place of the one there was.
    async fn begin_draft(&self, draft: NewDraft) -> Result<bool, StoreError>;

    /// Write the next chunks.
    async fn write_draft(
        &self,
        file: &FileId,
        attempt: u32,
        chunks: Vec<NewChunk>,
    ) -> Result<bool, StoreError>;

    /// Chunks behind the one at `after` (their places, from 0) whose text has no vector of this
    /// fingerprint, in order, at most `limit`. Texts may repeat.
    async fn draft_without_vector(
        &self,
        file: &FileId,
        fingerprint: &Fingerprint,
        after: Option<u32>,
        limit: u32,
    ) -> Result<Vec<StoredChunk>, StoreError>;

    /// How many chunks of the draft have a vector of this fingerprint.
    async fn draft_embedded(&self, file: &FileId, fingerprint: &Fingerprint) -> Result<u32, StoreError>;

    /// Have the draft be what the file is: in one transaction, however large it is.
    async fn publish_draft(&self, file: &FileId, attempt: u32, now: UnixTime) -> Result<bool, StoreError>;

    /// Give the draft up.
    async fn discard_draft(&self, file: &FileId) -> Result<(), StoreError>;

    /// Give back the space of up to `limit` chunks that are gone, of deleted files and of what files
    /// were before. Answers whether nothing is left.
    async fn clear_away(&self, limit: u32) -> Result<bool, StoreError>;
}
