//! The library: files and collections as their users see them, with rights.

use std::sync::Arc;

use breezeway_core::{Clock, CollectionId, FileId, Live, Principal};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use tokio::sync::{Notify, RwLock};

use self::rights::narrowed_to;
use crate::{
    Bells, BlobHash, BlobStore, BlobStream, Document, Error, File, FileQuery, FileState, LibraryStore,
    NewFile, Page, Result, name,
};

mod blobs;
mod collections;
mod depart;
mod filtered;
mod named;
mod processing;
mod rights;
mod wait;

/// Files that are deleted in one transaction when all are.
const DELETED_AT_ONCE: u64 = 200;

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
/// admins and by whoever may read a collection that holds it; writable by its owner, by admins and
/// by whoever may write a collection *of its owner's* that holds it. Without the last condition
/// anyone could take a file that was only shared for reading, put it into a collection of their own
/// and delete it from there.
#[derive(Clone)]
pub struct Library {
    store: Arc<dyn LibraryStore>,
    blobs: Arc<dyn BlobStore>,
    clock: Clock,
    config: Live<LibraryConfig>,
    bells: Bells,
    changes: Arc<Notify>,
    /// Held shared from a blob's last byte to its row, and alone while an unused blob is deleted.
    /// See [`blobs`].
    blob_gate: Arc<RwLock<()>>,
}

impl Library {
    /// A library over its stores.
    pub fn new(
        config: LibraryConfig,
        store: Arc<dyn LibraryStore>,
        blobs: Arc<dyn BlobStore>,
        clock: Clock,
    ) -> Self {
        let (config, bells) = (Live::new(config), Bells::default());
        Self { store, blobs, clock, config, bells, changes: Arc::default(), blob_gate: Arc::default() }
    }

    /// Refuse other things from now on. Uploads under way keep to what was in force when they began.
    pub fn set_config(&self, config: LibraryConfig) {
        self.config.store(config);
    }

    /// What is told to and by whoever processes files.
    pub fn bells(&self) -> Bells {
        self.bells.clone()
    }

    /// Woken whenever collections were made, changed or deleted; for one that keeps a list of them.
    pub fn changes(&self) -> Arc<Notify> {
        self.changes.clone()
    }

    /// Keep an upload. The file is there when this answers; processing follows in the background.
    ///
    /// # Errors
    /// If it is empty or too large, its extension is not accepted, or the caller may not write the
    /// collection it is for. Nothing is kept then.
    pub async fn add_file(&self, principal: &Principal, upload: Upload, bytes: BlobStream) -> Result<File> {
        self.add_file_completed(principal, upload, bytes, |_| Ok(())).await
    }

    /// As [`Library::add_file`], for uploads that say more about themselves only behind their bytes, as
    /// the parts of a form may: `complete` is called when the stream has ended, before anything is
    /// written.
    ///
    /// # Errors
    /// As `add_file`, and whatever `complete` refuses. Nothing is kept then.
    pub async fn add_file_completed<F>(
        &self,
        principal: &Principal,
        upload: Upload,
        bytes: BlobStream,
        complete: F,
    ) -> Result<File>
    where
        F: FnOnce(&mut Upload) -> Result<()> + Send,
    {
        if upload.process {
            self.check_extension(&name::base_name(&upload.name))?;
        }
        self.keep_file(principal, upload, bytes, complete).await
    }

    /// As [`Library::add_file`], for what was not uploaded as a file: a text out of a request, a page
    /// of the web. Extensions mean nothing there and are not asked about.
    ///
    /// # Errors
    /// If it is empty or too large, or the caller may not write the collection it is for.
    pub async fn add_material(&self, principal: &Principal, upload: Upload, bytes: Bytes) -> Result<File> {
        let bytes = Box::pin(stream::iter([Ok(bytes)]));
        self.keep_file(principal, upload, bytes, |_| Ok(())).await
    }

    async fn keep_file<F>(
        &self,
        principal: &Principal,
        mut upload: Upload,
        bytes: BlobStream,
        complete: F,
    ) -> Result<File>
    where
        F: FnOnce(&mut Upload) -> Result<()> + Send,
    {
        let name = name::base_name(&upload.name);
        if let Some(id) = &upload.into {
            self.writable_collection(principal, id).await?;
        }
        let known = upload.into.clone();
        let (blob, gate) = self.keep_bytes(bytes).await?;
        let completed = match complete(&mut upload) {
            // Whose key is for some collections only could not see a file outside of them again.
            Ok(()) if upload.into.is_none() && narrowed_to(principal).is_some() => Err(Error::KeyNarrowed),
            Ok(()) if upload.into != known => match &upload.into {
                Some(id) => self.writable_collection(principal, id).await.map(|_| ()),
                None => Ok(()),
            },
            other => other,
        };
        if let Err(refused) = completed {
            drop(gate);
            return self.or_forget(blob.hash, Err::<File, _>(refused)).await;
        }
        let file = NewFile {
            id: FileId::mint(),
            owner: principal.user.clone(),
            name,
            media_type: name::media_type(&upload.media_type),
            size_bytes: blob.size_bytes,
            blob: blob.hash,
            metadata: upload.metadata,
            state: if upload.process { FileState::Pending } else { FileState::Stored },
        };
        let inserted = self.store.insert_file(file, upload.into.as_ref(), self.clock.now()).await;
        drop(gate);
        let file = self.or_forget(blob.hash, inserted).await?;
        if upload.process {
            self.bells.arrivals.notify_one();
        }
        Ok(file)
    }

    /// Files by id, whoever may read them: for showing what a search under the caller's rights found.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn files_by_id(&self, ids: &[FileId]) -> Result<Vec<File>> {
        Ok(self.store.files_by_id(ids).await?)
    }

    /// A file the caller may read.
    ///
    /// # Errors
    /// `NoSuchFile`, whether it does not exist or is not theirs to read.
    pub async fn file(&self, principal: &Principal, id: &FileId) -> Result<File> {
        self.readable_file(principal, id).await
    }

    /// List files: an admin sees everyone's unless `query.owner` says otherwise, others their own.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn files(&self, principal: &Principal, mut query: FileQuery) -> Result<Page<File>> {
        if !principal.is_admin() {
            query.owner = Some(principal.user.clone());
        }
        if let Some(collections) = narrowed_to(principal) {
            query.held_by = Some(collections.iter().filter_map(|id| id.parse().ok()).collect());
        }
        Ok(self.store.files(&query).await?)
    }

    /// A readable file's document, `None` until it has been processed.
    ///
    /// # Errors
    /// `NoSuchFile`, whether it does not exist or is not theirs to read.
    pub async fn document(&self, principal: &Principal, id: &FileId) -> Result<Option<Document>> {
        self.readable_file(principal, id).await?;
        Ok(self.store.document(id).await?)
    }

    /// A readable file and its bytes from `offset` on; the bytes are `None` if they have vanished.
    ///
    /// # Errors
    /// `NoSuchFile`, whether it does not exist or is not theirs to read.
    pub async fn content(
        &self,
        principal: &Principal,
        id: &FileId,
        offset: u64,
    ) -> Result<(File, Option<BlobStream>)> {
        let file = self.readable_file(principal, id).await?;
        let bytes = self.blobs.open(&file.blob, offset).await?;
        Ok((file, bytes))
    }

    /// Give a writable file another name.
    ///
    /// # Errors
    /// `NoSuchFile` if it is not theirs to read, `FileForbidden` if only to read.
    pub async fn rename_file(&self, principal: &Principal, id: &FileId, name: &str) -> Result<File> {
        self.writable_file(principal, id).await?;
        let renamed = self.store.rename_file(id, &name::base_name(name), self.clock.now()).await?;
        renamed.ok_or_else(|| Error::NoSuchFile(id.clone()))
    }

    /// Replace a writable file's bytes by `text` and process it again.
    ///
    /// # Errors
    /// `EmptyUpload` if the text is blank; `NoSuchFile` if the file is not theirs to read,
    /// `FileForbidden` if only to read.
    pub async fn replace_text(&self, principal: &Principal, id: &FileId, text: &str) -> Result<File> {
        self.writable_file(principal, id).await?;
        if text.trim().is_empty() {
            return Err(Error::EmptyUpload);
        }
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let (blob, gate) = self.keep_bytes(Box::pin(stream::iter([Ok(bytes)]))).await?;
        let replaced = self.store.replace_blob(id, blob, "text/plain", self.clock.now()).await;
        drop(gate);
        let Some((file, former)) = self.or_forget(blob.hash, replaced).await? else {
            self.forget_unused(&[blob.hash]).await?;
            return Err(Error::NoSuchFile(id.clone()));
        };
        self.changed(true);
        if let Some(former) = former {
            self.forget_unused(&[former]).await?;
        }
        Ok(file)
    }

    /// Delete a writable file: row, memberships, text, chunks, vectors and bytes.
    ///
    /// # Errors
    /// `NoSuchFile` if it is not theirs to read, `FileForbidden` if only to read. If the bytes
    /// cannot be deleted the rest is gone all the same, and the next sweep tries again.
    pub async fn delete_file(&self, principal: &Principal, id: &FileId) -> Result<()> {
        self.writable_file(principal, id).await?;
        self.delete_files(std::slice::from_ref(id)).await
    }

    /// Delete every file of everyone; for admins.
    ///
    /// # Errors
    /// `AdminsOnly` for everyone else.
    pub async fn delete_all_files(&self, principal: &Principal) -> Result<()> {
        if !principal.is_admin() {
            return Err(Error::AdminsOnly);
        }
        if narrowed_to(principal).is_some() {
            return Err(Error::KeyNarrowed);
        }
        self.delete_files_like(&FileQuery::default()).await
    }

    /// Delete blobs that no file refers to; run once at start, before uploads are accepted.
    /// Answers how many there were.
    ///
    /// # Errors
    /// If a store fails; what was deleted until then stays deleted.
    pub async fn sweep(&self) -> Result<usize> {
        let all = self.blobs.list().await?;
        self.forget_unused(&all).await
    }

    /// Have everybody look again who waits for files: their rows were changed by somebody else.
    pub fn look_again(&self) {
        self.changed(true);
    }

    /// The state of files changed. `queued` if some are pending now.
    fn changed(&self, queued: bool) {
        self.bells.movements.tell();
        self.bells.stops.tell();
        if queued {
            self.bells.arrivals.notify_one();
        }
    }

    async fn delete_files(&self, ids: &[FileId]) -> Result<()> {
        let unused = self.store.delete_files(ids).await?;
        self.changed(false);
        self.forget_unused(&unused).await?;
        Ok(())
    }

    /// Pass on what the store answered; if it failed, forget the bytes that were for it.
    async fn or_forget<T>(&self, blob: BlobHash, answer: Result<T, impl Into<Error>>) -> Result<T> {
        match answer {
            Ok(value) => Ok(value),
            Err(error) => {
                // The first failure is the one to report; bytes it left are found by the sweep.
                let _ = self.forget_unused(&[blob]).await;
                Err(error.into())
            }
        }
    }

    fn check_extension(&self, name: &str) -> Result<()> {
        let config = self.config.load();
        let allowed = &config.allowed_extensions;
        let extension = name::extension(name);
        if allowed.is_empty() || allowed.contains(&extension) {
            return Ok(());
        }
        Err(Error::ExtensionNotAllowed(extension))
    }
}

/// `bytes` if there is at least one; the first is read before anything is written.
async fn not_empty(mut bytes: BlobStream) -> Result<BlobStream> {
    while let Some(piece) = bytes.next().await {
        let piece = piece?;
        if !piece.is_empty() {
            return Ok(Box::pin(stream::iter([Ok(piece)]).chain(bytes)));
        }
    }
    Err(Error::EmptyUpload)
}

#[cfg(test)]
mod tests;
