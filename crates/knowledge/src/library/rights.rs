//! Who may do what to which file and collection.

use breezeway_core::{CollectionId, FileId, Permission, Principal};

use super::{Library, Wanted};
use crate::{Collection, Error, File, Result};

pub(super) fn may(principal: &Principal, collection: &Collection, wanted: Permission) -> bool {
    principal.key_allows_collection(collection.id.as_str())
        && collection.grants.allow(principal, &collection.owner, wanted)
}

/// The collections that the caller's key is narrowed to, if it is.
pub(super) fn narrowed_to(principal: &Principal) -> Option<&[String]> {
    principal.rules.as_ref()?.collections.as_deref()
}

/// Whether a collection that holds `file` passes `wanted` on to it.
///
/// Reading passes always, for putting a file into a collection is how files are shared. Writing
/// passes only if the collection belongs to the file's owner: anyone who may read a file may put it
/// into a collection of their own, and must not come to own the file by that.
fn passes_on(principal: &Principal, collection: &Collection, file: &File, wanted: Permission) -> bool {
    may(principal, collection, wanted) && (wanted == Permission::Read || collection.owner == file.owner)
}

impl Library {
    /// Whether the caller may change a collection.
    pub fn may_write(&self, principal: &Principal, collection: &Collection) -> bool {
        may(principal, collection, Permission::Write)
    }

    /// Whether the caller may change a file: rename, replace, reprocess and delete it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn may_write_file(&self, principal: &Principal, file: &File) -> Result<bool> {
        self.may_use_file(principal, file, Permission::Write).await
    }

    /// The files of one wanted thing that the caller may search: empty if it does not exist or is
    /// not theirs to read.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn searchable(&self, principal: &Principal, wanted: &Wanted) -> Result<Vec<FileId>> {
        match wanted {
            Wanted::File(id) => {
                let Some(file) = self.store.file(id).await? else { return Ok(Vec::new()) };
                let readable = self.may_use_file(principal, &file, Permission::Read).await?;
                Ok(readable.then_some(file.id).into_iter().collect())
            }
            Wanted::Collection(id) => match self.find_collection(principal, id.as_str()).await {
                Ok(Some(collection)) => Ok(self.store.member_ids(&collection.id).await?),
                Ok(None) => Ok(Vec::new()),
                Err(other) => Err(other),
            },
        }
    }

    pub(super) async fn may_use_file(
        &self,
        principal: &Principal,
        file: &File,
        wanted: Permission,
    ) -> Result<bool> {
        let whole = principal.is_admin() || principal.user == file.owner;
        if whole && narrowed_to(principal).is_none() {
            return Ok(true);
        }
        let holders = self.store.collections_of(&file.id).await?;
        if whole {
            // A key that is narrowed to collections knows the files in them and no others.
            return Ok(holders.iter().any(|holder| principal.key_allows_collection(holder.id.as_str())));
        }
        Ok(holders.iter().any(|collection| passes_on(principal, collection, file, wanted)))
    }

    pub(super) async fn readable_file(&self, principal: &Principal, id: &FileId) -> Result<File> {
        match self.store.file(id).await? {
            Some(file) if self.may_use_file(principal, &file, Permission::Read).await? => Ok(file),
            _ => Err(Error::NoSuchFile(id.clone())),
        }
    }

    pub(super) async fn writable_file(&self, principal: &Principal, id: &FileId) -> Result<File> {
        let file = self.readable_file(principal, id).await?;
        if self.may_use_file(principal, &file, Permission::Write).await? {
            return Ok(file);
        }
        Err(Error::FileForbidden(id.clone()))
    }

    pub(super) async fn readable_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
    ) -> Result<Collection> {
        self.collection_for(principal, id, Permission::Read).await
    }

    pub(super) async fn writable_collection(
        &self,
        principal: &Principal,
        id: &CollectionId,
    ) -> Result<Collection> {
        self.collection_for(principal, id, Permission::Write).await
    }

    async fn collection_for(
        &self,
        principal: &Principal,
        id: &CollectionId,
        wanted: Permission,
    ) -> Result<Collection> {
        // What the caller cannot even read must look like what nobody has.
        let found = self.store.collection(id).await?;
        let readable = found.filter(|collection| may(principal, collection, Permission::Read));
        let collection = readable.ok_or_else(|| Error::NoSuchCollection(id.clone()))?;
        if may(principal, &collection, wanted) {
            return Ok(collection);
        }
        Err(Error::CollectionForbidden(id.clone()))
    }
}
