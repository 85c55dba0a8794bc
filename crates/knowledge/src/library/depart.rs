//! What happens to files and collections when an account or a group goes.

use breezeway_core::{Grantee, GroupId, UserId};

use super::{DELETED_AT_ONCE, Library};
use crate::{CollectionQuery, FileOrder, FileQuery, Result, Slice};

impl Library {
    /// Part with an account that is being deleted: what was granted to it is not any more, and its files
    /// and collections are deleted, or belong to `heir`. Whether the caller may do that is asked before.
    ///
    /// From the first moment on nothing new can come to be the account's, so an upload under way leaves
    /// nothing behind. Deleting takes a transaction for a few hundred files each; if one fails, or nobody
    /// waits for the end, doing it again goes on where it stopped.
    ///
    /// # Errors
    /// If a store fails, or the heir has departed.
    pub async fn depart(&self, account: &UserId, heir: Option<&UserId>) -> Result<()> {
        self.store.depart(&Grantee::User(account.clone())).await?;
        self.changes.notify_one();
        if let Some(heir) = heir {
            self.store.hand_over(account, heir).await?;
            self.changes.notify_one();
            return Ok(());
        }
        let query = CollectionQuery { owner: Some(account.clone()), ..CollectionQuery::default() };
        for (collection, _) in self.store.collections(&query).await? {
            self.store.delete_collection(&collection.id).await?;
        }
        self.changes.notify_one();
        self.delete_files_like(&FileQuery { owner: Some(account.clone()), ..FileQuery::default() }).await
    }

    /// Part with a group that is being deleted: what was granted to it is not any more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn depart_group(&self, group: &GroupId) -> Result<()> {
        self.store.depart(&Grantee::Group(group.clone())).await?;
        self.changes.notify_one();
        Ok(())
    }

    /// Delete every file that matches, a few hundred at a time.
    pub(super) async fn delete_files_like(&self, query: &FileQuery) -> Result<()> {
        let query = FileQuery {
            order: FileOrder::OldestFirst,
            slice: Slice { offset: 0, limit: DELETED_AT_ONCE },
            ..query.clone()
        };
        loop {
            let files = self.store.files(&query).await?.items;
            if files.is_empty() {
                return Ok(());
            }
            let ids: Vec<_> = files.into_iter().map(|file| file.id).collect();
            self.delete_files(&ids).await?;
        }
    }
}
