//! Having files processed, once more or no longer.

use breezeway_core::{CollectionId, FileId, Permission, Principal};

use super::{DELETED_AT_ONCE, Library, rights::narrowed_to};
use crate::{CollectionQuery, Error, File, FileOrder, FileQuery, FileState, Result, Slice};

impl Library {
    /// Process a writable file (again).
    ///
    /// # Errors
    /// `NoSuchFile` if it is not theirs to read, `FileForbidden` if only to read,
    /// `ExtensionNotAllowed` if files like it are only kept.
    pub async fn reprocess(&self, principal: &Principal, id: &FileId) -> Result<File> {
        let file = self.writable_file(principal, id).await?;
        self.requeue(&file).await
    }

    /// Process a writable file again that failed or was cancelled.
    ///
    /// # Errors
    /// As [`Library::reprocess`], and `NothingToRetry` for a file in any other state.
    pub async fn retry(&self, principal: &Principal, id: &FileId) -> Result<File> {
        let file = self.writable_file(principal, id).await?;
        match file.state {
            FileState::Failed(_) | FileState::Cancelled => self.requeue(&file).await,
            _ => Err(Error::NothingToRetry(id.clone())),
        }
    }

    /// Process all files of a writable collection again that the caller may write; how many there are.
    /// Files that are on their way already stay as they are, and so do those that were never to be
    /// processed.
    ///
    /// # Errors
    /// `NoSuchCollection` if it is not theirs to read, `CollectionForbidden` if only to read. What was put
    /// in the queue before a store fails stays there.
    pub async fn reprocess_collection(&self, principal: &Principal, id: &CollectionId) -> Result<usize> {
        self.writable_collection(principal, id).await?;
        let members = self.store.member_ids(id).await?;
        let mut queued = 0;
        for page in members.chunks(DELETED_AT_ONCE as usize) {
            for file in self.store.files_by_id(page).await? {
                let is_done =
                    matches!(file.state, FileState::Completed | FileState::Failed(_) | FileState::Cancelled);
                if is_done && self.may_use_file(principal, &file, Permission::Write).await? {
                    self.store.requeue_file(&file.id, self.clock.now()).await?;
                    queued += 1;
                }
            }
            self.changed(true);
        }
        Ok(queued)
    }

    /// Stop the processing of a writable file.
    ///
    /// # Errors
    /// `NoSuchFile` if it is not theirs to read, `FileForbidden` if only to read, `NothingToCancel` if it
    /// neither waits nor is processed.
    pub async fn cancel(&self, principal: &Principal, id: &FileId) -> Result<File> {
        self.writable_file(principal, id).await?;
        let cancelled = self.store.cancel_file(id, self.clock.now()).await?;
        self.changed(false);
        cancelled.ok_or_else(|| Error::NothingToCancel(id.clone()))
    }

    async fn requeue(&self, file: &File) -> Result<File> {
        self.check_extension(&file.name)?;
        let queued = self.store.requeue_file(&file.id, self.clock.now()).await?;
        let file = queued.ok_or_else(|| Error::NoSuchFile(file.id.clone()))?;
        self.changed(true);
        Ok(file)
    }

    /// Make the index anew; for admins. Every collection is deleted, every vector forgotten, and every
    /// file that was ever processed is processed again. Files and their bytes stay.
    ///
    /// # Errors
    /// `AdminsOnly` for everyone else.
    pub async fn reset_index(&self, principal: &Principal) -> Result<()> {
        if !principal.is_admin() {
            return Err(Error::AdminsOnly);
        }
        if narrowed_to(principal).is_some() {
            return Err(Error::KeyNarrowed);
        }
        for (collection, _) in self.store.collections(&CollectionQuery::default()).await? {
            self.store.delete_collection(&collection.id).await?;
        }
        // Texts that have lost their vectors are found by their words until they are embedded again,
        // whether or not this gets any further.
        self.store.forget_vectors().await?;
        // Oldest first, so that uploads of the meantime come behind and no page is missed.
        let mut slice = Slice { offset: 0, limit: DELETED_AT_ONCE };
        loop {
            let query = FileQuery { order: FileOrder::OldestFirst, slice, ..FileQuery::default() };
            let files = self.store.files(&query).await?.items;
            if files.is_empty() {
                break;
            }
            for file in
                files.iter().filter(|file| !matches!(file.state, FileState::Stored | FileState::Cancelled))
            {
                self.store.requeue_file(&file.id, self.clock.now()).await?;
            }
            slice.offset += slice.limit;
        }
        self.changed(true);
        Ok(())
    }
}
