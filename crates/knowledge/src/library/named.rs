//! Collections under names that clients think of.
//!
//! A text or a page can be put into a collection that nobody has made, by writing to its name. Admins
//! share one set of such names. Everybody else has a set of their own, so that a name neither tells
//! what others have put under it nor lets anyone in.

use breezeway_core::{CollectionId, Grants, Principal};

use super::Library;
use crate::{Collection, Error, NewCollection, Result};

/// Names that stand for files.
const RESERVED: &str = "file-";

impl Library {
    /// The collection that the caller means by `name`: their own under that name, else the one with
    /// that id. `None` if there is neither, or it is not theirs to read.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn find_collection(&self, principal: &Principal, name: &str) -> Result<Option<Collection>> {
        if let Some(id) = own_id(principal, name)
            && principal.key_allows_collection(id.as_str())
            && let Some(own) = self.store.collection(&id).await?
        {
            return Ok(Some(own));
        }
        let Ok(id) = name.parse::<CollectionId>() else { return Ok(None) };
        match self.readable_collection(principal, &id).await {
            Ok(collection) => Ok(Some(collection)),
            Err(Error::NoSuchCollection(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The collection that the caller means by `name`, to be written to. One that is not there is made
    /// where the caller may: an admin under any name, everybody else only where the name was not their
    /// choice, which `is_given` says.
    ///
    /// # Errors
    /// `CollectionForbidden` if it is not theirs to write, `BadName` if it cannot be one.
    pub async fn collection_to_fill(
        &self,
        principal: &Principal,
        name: &str,
        is_given: bool,
    ) -> Result<Collection> {
        let id: CollectionId = name.parse().map_err(|_| Error::BadName)?;
        if name.starts_with(RESERVED) {
            return Err(Error::BadName);
        }
        let own = own_id(principal, name);
        if let Some(id) = own.as_ref().filter(|_| is_given) {
            return self.ensure_named(principal, id, name).await;
        }
        match self.writable_collection(principal, &id).await {
            Err(Error::NoSuchCollection(_)) if principal.is_admin() => {
                self.ensure_named(principal, &id, name).await
            }
            Err(Error::NoSuchCollection(id)) => Err(Error::CollectionForbidden(id)),
            other => other,
        }
    }

    async fn ensure_named(&self, principal: &Principal, id: &CollectionId, name: &str) -> Result<Collection> {
        if !principal.key_allows_collection(id.as_str()) {
            return Err(Error::KeyNarrowed);
        }
        let new =
            NewCollection { name: name.to_owned(), description: String::new(), grants: Grants::default() };
        let meta = Collection::named_meta();
        Ok(self.store.ensure_collection(id, &principal.user, new, meta, self.clock.now()).await?)
    }
}

/// The id of a caller's own collection under a name. Admins have none of their own.
pub(super) fn own_id(principal: &Principal, name: &str) -> Option<CollectionId> {
    // An account's id is never a name's beginning by chance: minted ids are as long as they are random.
    if principal.is_admin() { None } else { format!("{}:{name}", principal.user).parse().ok() }
}
