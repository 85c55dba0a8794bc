//! What users do with collections.

use std::collections::HashMap;

use breezeway_core::{CollectionId, FileId, Permission, Principal};

use super::{
    Library,
    rights::{may, narrowed_to},
};
use crate::{
    Collection, CollectionChange, CollectionQuery, Error, File, FileState, Member, MemberQuery,
    NewCollection, Page, Result,
};

/// SHA-256 of no text at all: how a file without text is told without reading its document.
const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Library {
    /// Make a collection. Whether the caller's permissions allow that is asked before.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn create_collection(&self, principal: &Principal, new: NewCollection) -> Result<Collection> {
        if narrowed_to(principal).is_some() {
            return Err(Error::KeyNarrowed);
        }
        let made = self.store.insert_collection(&principal.user, new, self.clock.now()).await?;
        self.changes.notify_one();
        Ok(made)
    }

    /// A collection the caller may read.
    ///
    /// # Errors
    /// `NoSuchCollection`, whether it does not exist or is not theirs to read.
    pub async fn collection(&self, principal: &Principal, id: &CollectionId) -> Result<Collection> {
        self.readable_collection(principal, id).await
    }

    /// The collections the caller may read, most recently changed first, with their number of files.
    /// Those that were made by writing to a name are not among them.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn collections(
        &self,
        principal: &Principal,
        query: CollectionQuery,
    ) -> Result<Vec<(Collection, u64)>> {
        let mut found = self.store.collections(&query).await?;
        found
            .retain(|(collection, _)| !collection.is_named() && may(principal, collection, Permission::Read));
        Ok(found)
    }

    /// Change a writable collection.
    ///
    /// # Errors
    /// `NoSuchCollection` if it is not theirs to read, `CollectionForbidden` if only to read.
    pub async fn update_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
        change: CollectionChange,
    ) -> Result<Collection> {
        self.writable_collection(principal, id).await?;
        let changed = self.store.update_collection(id, change, self.clock.now()).await?;
        self.changes.notify_one();
        changed.ok_or_else(|| Error::NoSuchCollection(id.clone()))
    }

    /// Delete a writable collection; its files stay.
    ///
    /// # Errors
    /// `NoSuchCollection` if it is not theirs to read, `CollectionForbidden` if only to read.
    pub async fn delete_collection(&self, principal: &Principal, id: &CollectionId) -> Result<()> {
        self.writable_collection(principal, id).await?;
        let was_there = self.store.delete_collection(id).await?;
        self.changes.notify_one();
        if was_there { Ok(()) } else { Err(Error::NoSuchCollection(id.clone())) }
    }

    /// Delete a writable collection's files that the caller may delete, and empty it.
    ///
    /// # Errors
    /// `NoSuchCollection` if it is not theirs to read, `CollectionForbidden` if only to read.
    pub async fn reset_collection(&self, principal: &Principal, id: &CollectionId) -> Result<Collection> {
        self.writable_collection(principal, id).await?;
        let members = self.store.member_ids(id).await?;
        let mut theirs = Vec::new();
        for file in self.store.files_by_id(&members).await? {
            if self.may_use_file(principal, &file, Permission::Write).await? {
                theirs.push(file.id);
            }
        }
        self.store.remove_members(id, &members, self.clock.now()).await?;
        self.delete_files(&theirs).await?;
        self.again(id).await
    }

    /// Add readable files to a writable collection. Pending files are welcome: they are found as
    /// soon as they are ready. `NotProcessed` and `NoText` say why a file would never be found.
    ///
    /// # Errors
    /// As above; `NoSuchFile` for a file that is not theirs to read; `NoSuchCollection` and
    /// `CollectionForbidden` for the collection. Nothing is added then.
    pub async fn add_to_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
        files: &[FileId],
    ) -> Result<Collection> {
        self.writable_collection(principal, id).await?;
        let known = self.store.files_by_id(files).await?;
        let known: HashMap<&FileId, &File> = known.iter().map(|file| (&file.id, file)).collect();
        for file in files {
            match known.get(file) {
                Some(known) if self.may_use_file(principal, known, Permission::Read).await? => {
                    findable(known)?
                }
                _ => return Err(Error::NoSuchFile(file.clone())),
            }
        }
        if !self.store.add_members(id, files, self.clock.now()).await? {
            // Both were there a moment ago; one of them has been deleted since.
            let collection = self.again(id).await?;
            return match files.first() {
                Some(file) => Err(Error::NoSuchFile(file.clone())),
                None => Ok(collection),
            };
        }
        self.again(id).await
    }

    /// Take a file out of a writable collection.
    ///
    /// # Errors
    /// `NotAMember` if it is not in it; `NoSuchCollection` and `CollectionForbidden` for the
    /// collection.
    pub async fn remove_from_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
        file: &FileId,
    ) -> Result<Collection> {
        self.writable_collection(principal, id).await?;
        if !self.store.collections_of(file).await?.iter().any(|holder| holder.id == *id) {
            return Err(Error::NotAMember { collection: id.clone(), file: file.clone() });
        }
        self.store.remove_members(id, std::slice::from_ref(file), self.clock.now()).await?;
        self.again(id).await
    }

    /// Take a file out of a writable collection and delete it, if the caller may: whether they may is
    /// asked first, since the right can come from the file's place in this collection.
    ///
    /// # Errors
    /// As `remove_from_collection`; `NoSuchFile` if the file is not theirs to read.
    pub async fn delete_from_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
        file: &FileId,
    ) -> Result<Collection> {
        let known = self.readable_file(principal, file).await?;
        let deletes = self.may_use_file(principal, &known, Permission::Write).await?;
        let collection = self.remove_from_collection(principal, id, file).await?;
        if deletes {
            self.delete_files(std::slice::from_ref(file)).await?;
        }
        Ok(collection)
    }

    /// List the files of a readable collection.
    ///
    /// # Errors
    /// `NoSuchCollection`, whether it does not exist or is not theirs to read.
    pub async fn members(
        &self,
        principal: &Principal,
        id: &CollectionId,
        query: MemberQuery,
    ) -> Result<Page<Member>> {
        self.readable_collection(principal, id).await?;
        Ok(self.store.members(id, &query).await?)
    }

    /// All files of a readable collection, in no particular order.
    ///
    /// # Errors
    /// `NoSuchCollection`, whether it does not exist or is not theirs to read.
    pub async fn all_members(&self, principal: &Principal, id: &CollectionId) -> Result<Vec<File>> {
        self.readable_collection(principal, id).await?;
        let members = self.store.member_ids(id).await?;
        Ok(self.store.files_by_id(&members).await?)
    }

    /// Delete those of `files` that the caller may delete and that are in no other collection than
    /// `id`, which they leave in any case.
    ///
    /// # Errors
    /// `NoSuchCollection` if it is not theirs to read, `CollectionForbidden` if only to read.
    pub async fn discard_members(
        &self,
        principal: &Principal,
        id: &CollectionId,
        files: &[FileId],
    ) -> Result<()> {
        self.writable_collection(principal, id).await?;
        let mut homeless = Vec::new();
        for file in self.store.files_by_id(files).await? {
            let holders = self.store.collections_of(&file.id).await?;
            if holders.iter().all(|holder| holder.id == *id)
                && self.may_use_file(principal, &file, Permission::Write).await?
            {
                homeless.push(file.id);
            }
        }
        self.store.remove_members(id, files, self.clock.now()).await?;
        self.delete_files(&homeless).await
    }

    /// A collection as it is after a change, by a caller whose rights were asked before it.
    async fn again(&self, id: &CollectionId) -> Result<Collection> {
        self.store.collection(id).await?.ok_or_else(|| Error::NoSuchCollection(id.clone()))
    }
}

/// Whether a search can ever find something in `file`.
fn findable(file: &File) -> Result<()> {
    match &file.state {
        FileState::Stored | FileState::Cancelled => Err(Error::NotProcessed(file.id.clone())),
        FileState::Failed(_) => Err(Error::NoText(file.id.clone())),
        FileState::Pending | FileState::Processing => Ok(()),
        FileState::Completed => match file.text_hash.as_deref() {
            None | Some(HASH_OF_NOTHING) => Err(Error::NoText(file.id.clone())),
            Some(_) => Ok(()),
        },
    }
}
