//! The ports to whatever keeps the library.
//!
//! Two, because they have two users: [`LibraryStore`] is what people do with files and collections,
//! [`ChunkStore`] is what ingestion and search do with their text. One implementation serves both.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use breezeway_core::{CollectionId, FileId, Grantee, StoreError, UnixTime, UserId};
use breezeway_embedding::{Fingerprint, Vector};
use serde_json::Value;

use crate::{
    BlobHash, ChunkHash, ChunkRange, Collection, CollectionChange, CollectionQuery, Document, File,
    FileQuery, LogEntry, Member, MemberQuery, NewChunk, NewCollection, NewFile, Seq, StoredBlob, StoredChunk,
    Unread,
};

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Entries to pass over.
    pub offset: u64,
    /// Entries to return at most.
    pub limit: u64,
}

impl Default for Slice {
    /// The first 50, which is a page of the API.
    fn default() -> Self {
        Self { offset: 0, limit: 50 }
    }
}

/// Part of a list, and how long the whole list is.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The part asked for.
    pub items: Vec<T>,
    /// Entries of the whole list.
    pub total: u64,
}

/// Files and collections. Knows nothing of rights; [`crate::Library`] asks first.
///
/// # Contract
/// - every call is one transaction: it happens as a whole or not at all;
/// - what a call has written the next call reads;
/// - deleting a file removes, in that transaction, its memberships, document, draft and chunks, and
///   appends `Removed` to the chunk log if it had chunks; vectors and space follow, see
///   [`crate::DraftStore::clear_away`];
/// - lists are ordered totally (ties by id, rising), so that slices neither repeat nor skip entries;
/// - a change of a collection or of its members by hand sets its `updated_at`;
/// - once an account has departed, inserting anything for it is `StoreError::Departed`, and lines of
///   access lists that name departed accounts and groups are left out;
/// - texts are compared "in any case" for ASCII letters at least.
#[async_trait]
pub trait LibraryStore: crate::AttributeStore {
    /// Insert a file, and add it to `into` if that collection is given and exists.
    async fn insert_file(
        &self,
        file: NewFile,
        into: Option<&CollectionId>,
        now: UnixTime,
    ) -> Result<File, StoreError>;

    /// A file.
    async fn file(&self, id: &FileId) -> Result<Option<File>, StoreError>;

    /// Several files in one read, in the order asked for; unknown ids are left out.
    async fn files_by_id(&self, ids: &[FileId]) -> Result<Vec<File>, StoreError>;

    /// Those of `ids` that have no text and are pending or being processed, each once, in no particular
    /// order. A file that has a text, if only of bytes it had before it was requeued, is not among them;
    /// one that was given other bytes is.
    async fn unread_files(&self, ids: &[FileId]) -> Result<Vec<Unread>, StoreError>;

    /// List files.
    async fn files(&self, query: &FileQuery) -> Result<Page<File>, StoreError>;

    /// Give a file another name. `None` if it does not exist.
    async fn rename_file(&self, id: &FileId, name: &str, now: UnixTime) -> Result<Option<File>, StoreError>;

    /// Have a file processed (again): its state becomes `Pending`, and whoever holds a claim loses
    /// it. Its document and chunks stay until the next commit replaces them. `None` if unknown.
    async fn requeue_file(&self, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError>;

    /// Stop the processing of a file that is pending or being processed: its state becomes `Cancelled`,
    /// its draft is given up, and whoever holds a claim loses it. `None` if it is unknown or in any other
    /// state.
    async fn cancel_file(&self, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError>;

    /// Give a file other bytes and have it processed again, as [`LibraryStore::requeue_file`] does; it
    /// has no `text_hash` until then.
    /// Answers the file, and the blob it had if no file has that any more. `None` if unknown.
    async fn replace_blob(
        &self,
        id: &FileId,
        blob: StoredBlob,
        media_type: &str,
        now: UnixTime,
    ) -> Result<Option<(File, Option<BlobHash>)>, StoreError>;

    /// Delete files and answer the blobs that no remaining file has, each once. Unknown ids are
    /// passed over.
    async fn delete_files(&self, ids: &[FileId]) -> Result<Vec<BlobHash>, StoreError>;

    /// Forget every vector of every model. Chunks stay, and are without a vector until
    /// [`ChunkStore::add_vectors`] or a commit brings one.
    async fn forget_vectors(&self) -> Result<(), StoreError>;

    /// Every file with its blob.
    async fn blobs_of_files(&self) -> Result<Vec<(FileId, BlobHash)>, StoreError>;

    /// Whether any file has this blob.
    async fn blob_in_use(&self, blob: &BlobHash) -> Result<bool, StoreError>;

    /// A file's document; `None` until it has been processed.
    async fn document(&self, id: &FileId) -> Result<Option<Document>, StoreError>;

    /// Make a collection.
    async fn insert_collection(
        &self,
        owner: &UserId,
        collection: NewCollection,
        now: UnixTime,
    ) -> Result<Collection, StoreError>;

    /// Make a collection under an id that is given, with `meta`, unless there is one already. Answers
    /// the one that is there, however it came to be.
    async fn ensure_collection(
        &self,
        id: &CollectionId,
        owner: &UserId,
        collection: NewCollection,
        meta: Value,
        now: UnixTime,
    ) -> Result<Collection, StoreError>;

    /// A collection.
    async fn collection(&self, id: &CollectionId) -> Result<Option<Collection>, StoreError>;

    /// All collections that match, most recently changed first, with their number of files.
    async fn collections(&self, query: &CollectionQuery) -> Result<Vec<(Collection, u64)>, StoreError>;

    /// Change a collection. `None` if it does not exist.
    async fn update_collection(
        &self,
        id: &CollectionId,
        change: CollectionChange,
        now: UnixTime,
    ) -> Result<Option<Collection>, StoreError>;

    /// Delete a collection; its files stay. Answers whether it existed.
    async fn delete_collection(&self, id: &CollectionId) -> Result<bool, StoreError>;

    /// Add files to a collection. Files already in it stay as they are; unknown files are refused
    /// as a whole by answering `false`, and so is an unknown collection.
    async fn add_members(
        &self,
        id: &CollectionId,
        files: &[FileId],
        now: UnixTime,
    ) -> Result<bool, StoreError>;

    /// Take files out of a collection; those not in it are passed over.
    async fn remove_members(
        &self,
        id: &CollectionId,
        files: &[FileId],
        now: UnixTime,
    ) -> Result<(), StoreError>;

    /// List a collection's files.
    async fn members(&self, id: &CollectionId, query: &MemberQuery) -> Result<Page<Member>, StoreError>;

    /// The ids of all files of a collection.
    async fn member_ids(&self, id: &CollectionId) -> Result<Vec<FileId>, StoreError>;

    /// The collections that hold a file.
    async fn collections_of(&self, file: &FileId) -> Result<Vec<Collection>, StoreError>;

    /// Have an account or group depart for good: from now on nothing is inserted for it or granted to
    /// it, and what was granted to it is not any more. What belongs to it stays until it is deleted or
    /// handed over. Doing so again is no error.
    async fn depart(&self, who: &Grantee) -> Result<(), StoreError>;

    /// Have all files and collections of one account belong to another; collections that were made by
    /// writing to a name of the first are deleted, their files are not.
    async fn hand_over(&self, from: &UserId, to: &UserId) -> Result<(), StoreError>;
}

/// A worker's right to process a file until its lease runs out.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The file.
    pub file: File,
    /// Which attempt this is, from 1. A commit under an older attempt is refused.
    pub attempt: u32,
}

/// Everything that makes a file searchable.
#[derive(Clone, Debug)]
pub struct FileCommit {
    /// The file.
    pub file: FileId,
    /// The attempt under which it was claimed.
    pub attempt: u32,
    /// SHA-256 of the document's text, lower-case hex.
    pub text_hash: String,
    /// The document.
    pub document: Document,
    /// Its chunks in order.
    pub chunks: Vec<NewChunk>,
    /// Which model the vectors come from, and the vectors by hash. A chunk may have none; it is then
    /// searched by words until [`ChunkStore::add_vectors`] brings it.
    pub vectors: Option<(Fingerprint, HashMap<ChunkHash, Vector>)>,
}

/// Chunks, vectors, the log and the processing of files.
///
/// # Contract
/// - `claim_pending` gives a file to one caller at a time: pending files whose retry time has come,
///   and processing files whose lease has run out, oldest first;
/// - the attempts of a file only rise, also when it is put back in the queue;
/// - `commit_file`, `fail_file` and `extend_claim` act only while the file is `Processing` under that
///   very attempt (a lease that ran out is still good until someone else takes the file), and answer
///   `false` otherwise or if the file is gone; nothing has then changed;
/// - `commit_file` replaces document and chunks, appends `Removed` for old chunks and `Added` for
///   new ones, and sets `Completed`, all in one transaction;
/// - chunk numbers of one commit are consecutive and were never given before;
/// - a vector is kept as long as a chunk has its hash; when none has any more, it may be found until
///   [`crate::DraftStore::clear_away`] has come to it. [`ChunkStore::add_vectors`] passes over hashes
///   that no chunk has;
/// - the log is ordered, has no gaps a reader could miss, and an entry is visible exactly when the
///   change it records is.
#[async_trait]
pub trait ChunkStore: Send + Sync + 'static {
    /// Take the next file to process.
    async fn claim_pending(&self, now: UnixTime, lease: Duration) -> Result<Option<Claim>, StoreError>;

    /// Have the leases of all claims run out now: for a worker that starts and knows that whoever held
    /// them is gone. A holder that is not gone after all loses only work, its commit is refused once
    /// another has taken the file. Answers how many there were.
    async fn release_claims(&self, now: UnixTime) -> Result<usize, StoreError>;

    /// Keep a claim for another `lease`. `false` if it is lost.
    async fn extend_claim(
        &self,
        file: &FileId,
        attempt: u32,
        now: UnixTime,
        lease: Duration,
    ) -> Result<bool, StoreError>;

    /// Make a file searchable.
    async fn commit_file(&self, commit: FileCommit, now: UnixTime) -> Result<bool, StoreError>;

    /// End a claim without success: for good, or until `retry_at`.
    async fn fail_file(
        &self,
        file: &FileId,
        attempt: u32,
        reason: &str,
        retry_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<bool, StoreError>;

    /// The vectors already known for these hashes under a fingerprint.
    async fn known_vectors(
        &self,
        fingerprint: &Fingerprint,
        hashes: &[ChunkHash],
    ) -> Result<HashMap<ChunkHash, Vector>, StoreError>;

    /// Chunks that have no vector of this fingerprint yet, at most `limit`, oldest first, one for
    /// each hash.
    async fn chunks_without_vector(
        &self,
        fingerprint: &Fingerprint,
        limit: u32,
    ) -> Result<Vec<StoredChunk>, StoreError>;

    /// Add vectors; appends `Embedded` for every file with a chunk that gained one, over the range
    /// from the first to the last such chunk.
    async fn add_vectors(
        &self,
        fingerprint: &Fingerprint,
        vectors: HashMap<ChunkHash, Vector>,
    ) -> Result<(), StoreError>;

    /// Entries after `after`, in order, at most `limit`.
    async fn log_after(&self, after: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError>;

    /// Forget what the log says up to and with `upto` of chunks that were gone by then: no reader that
    /// has come that far needs it. The entry at `upto` itself stays, and so does the newest.
    async fn compact_log(&self, _upto: Seq) -> Result<(), StoreError> {
        Ok(())
    }

    /// How far the log was compacted: a reader that has not come that far must begin anew.
    async fn log_floor(&self) -> Result<Seq, StoreError> {
        Ok(Seq(0))
    }

    /// The position of the newest entry, 0 if there is none.
    async fn last_seq(&self) -> Result<Seq, StoreError>;

    /// The chunks of a range that still exist, in order, with their vectors of `fingerprint`.
    async fn chunks(
        &self,
        range: ChunkRange,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<Vec<StoredChunk>, StoreError>;
}
