//! The library: files and collections as their users see them, with rights.

use std::sync::Arc;

use breezeway_core::{Clock, CollectionId, FileId, Principal};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::{
    BlobStore, BlobStream, Collection, CollectionChange, CollectionQuery, Document, File, FileQuery,
    LibraryStore, Member, MemberQuery, NewCollection, Page, Result,
};

/// What the library refuses.
#[derive(Clone, Debug)]
pub struct LibraryConfig {
    /// The largest upload, in bytes.
    pub max_upload_bytes: u64,
    /// Extensions accepted for processing, in lower case without the dot; empty means all.
    pub allowed_extensions: Vec<String>,
}

/// An upload, without its bytes.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The name the client gave, paths and all.
    pub name: String,
    /// The type the client gave.
    pub media_type: String,
    /// Whether to extract and embed it.
    pub process: bool,
    /// What the client sent along.
    pub metadata: Map<String, Value>,
    /// A collection to add it to.
    pub into: Option<CollectionId>,
}

/// One thing a caller wants searched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A file.
    File(FileId),
    /// All files of a collection.
    Collection(CollectionId),
}

/// Files and collections with rights.
///
/// Someone else's file looks like one that does not exist. A file is readable by its owner, by
/// admins and by whoever may read a collection that holds it; writable likewise.
#[derive(Clone)]
pub struct Library {
    store: Arc<dyn LibraryStore>,
    blobs: Arc<dyn BlobStore>,
    clock: Clock,
    config: Arc<LibraryConfig>,
    arrivals: Arc<Notify>,
}

#[expect(clippy::todo, unused_variables, reason = "skeleton")]
impl Library {
    /// A library over its stores.
    pub fn new(
        config: LibraryConfig,
        store: Arc<dyn LibraryStore>,
        blobs: Arc<dyn BlobStore>,
        clock: Clock,
    ) -> Self {
        Self { store, blobs, clock, config: Arc::new(config), arrivals: Arc::default() }
    }

    /// Woken whenever a file became pending; the ingest worker waits on it.
    pub fn arrivals(&self) -> Arc<Notify> {
        self.arrivals.clone()
    }

    /// Keep an upload. The file is there when this answers; processing follows in the background.
    pub async fn add_file(&self, principal: &Principal, upload: Upload, bytes: BlobStream) -> Result<File> {
        todo!()
    }

    /// A file the caller may read.
    pub async fn file(&self, principal: &Principal, id: &FileId) -> Result<File> {
        todo!()
    }

    /// List files: an admin sees everyone's unless `query.owner` says otherwise, others their own.
    pub async fn files(&self, principal: &Principal, query: FileQuery) -> Result<Page<File>> {
        todo!()
    }

    /// A readable file's document, `None` until it has been processed.
    pub async fn document(&self, principal: &Principal, id: &FileId) -> Result<Option<Document>> {
        todo!()
    }

    /// A readable file and its bytes from `offset` on; the bytes are `None` if they have vanished.
    pub async fn content(
        &self,
        principal: &Principal,
        id: &FileId,
        offset: u64,
    ) -> Result<(File, Option<BlobStream>)> {
        todo!()
    }

    /// Give a writable file another name.
    pub async fn rename_file(&self, principal: &Principal, id: &FileId, name: &str) -> Result<File> {
        todo!()
    }

    /// Replace a writable file's bytes by `text` and process it again.
    pub async fn replace_text(&self, principal: &Principal, id: &FileId, text: &str) -> Result<File> {
        todo!()
    }

    /// Process a writable file (again).
    pub async fn reprocess(&self, principal: &Principal, id: &FileId) -> Result<File> {
        todo!()
    }

    /// Delete a writable file: row, memberships, text, chunks, vectors and bytes.
    pub async fn delete_file(&self, principal: &Principal, id: &FileId) -> Result<()> {
        todo!()
    }

    /// Delete every file of everyone; for admins.
    pub async fn delete_all_files(&self, principal: &Principal) -> Result<()> {
        todo!()
    }

    /// Make a collection. Whether the caller's permissions allow that is asked before.
    pub async fn create_collection(&self, principal: &Principal, new: NewCollection) -> Result<Collection> {
        todo!()
    }

    /// A collection the caller may read: `NoSuchCollection` if it does not exist,
    /// `CollectionForbidden` if it is not theirs to read.
    pub async fn collection(&self, principal: &Principal, id: &CollectionId) -> Result<Collection> {
        todo!()
    }

    /// Whether the caller may change a collection.
    pub fn may_write(&self, principal: &Principal, collection: &Collection) -> bool {
        todo!()
    }

    /// The collections the caller may read, most recently changed first, with their number of files.
    pub async fn collections(
        &self,
        principal: &Principal,
        query: CollectionQuery,
    ) -> Result<Vec<(Collection, u64)>> {
        todo!()
    }

    /// Change a writable collection.
    pub async fn update_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
        change: CollectionChange,
    ) -> Result<Collection> {
        todo!()
    }

    /// Delete a writable collection; its files stay.
    pub async fn delete_collection(&self, principal: &Principal, id: &CollectionId) -> Result<()> {
        todo!()
    }

    /// Delete a writable collection's files that the caller may delete, and empty it.
    pub async fn reset_collection(&self, principal: &Principal, id: &CollectionId) -> Result<Collection> {
        todo!()
    }

    /// Add readable files to a writable collection. Pending files are welcome: they are found as
    /// soon as they are ready. `NotProcessed` and `NoText` say why a file would never be found.
    pub async fn add_to_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
        files: &[FileId],
    ) -> Result<Collection> {
        todo!()
    }

    /// Take a file out of a writable collection.
    pub async fn remove_from_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
        file: &FileId,
    ) -> Result<Collection> {
        todo!()
    }

    /// List the files of a readable collection.
    pub async fn members(
        &self,
        principal: &Principal,
        id: &CollectionId,
        query: MemberQuery,
    ) -> Result<Page<Member>> {
        todo!()
    }

    /// The files of one wanted thing that the caller may search: empty if it does not exist or is
    /// not theirs to read.
    pub async fn searchable(&self, principal: &Principal, wanted: &Wanted) -> Result<Vec<FileId>> {
        todo!()
    }

    /// Delete blobs that no file refers to; run once at start, before uploads are accepted.
    pub async fn sweep(&self) -> Result<usize> {
        todo!()
    }
}
