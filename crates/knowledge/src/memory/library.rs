//! The memory library as a [`LibraryStore`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use breezeway_core::{CollectionId, FileId, Grantee, StoreError, UnixTime, UserId};
use serde_json::Value;

use super::{CollectionRow, FileRow, MemoryLibrary, contains, matches_glob, page, sort_files};
use crate::{
    BlobHash, Collection, CollectionChange, CollectionQuery, Document, File, FileQuery, FileState,
    LibraryStore, Member, MemberQuery, NewCollection, NewFile, Page, StoredBlob, Unread,
};

#[async_trait]
impl LibraryStore for MemoryLibrary {
    async fn insert_file(
        &self,
        new: NewFile,
        into: Option<&CollectionId>,
        now: UnixTime,
    ) -> Result<File, StoreError> {
        let mut state = self.state();
        #[cfg(test)]
        if state.refuses_files {
            return Err(StoreError::failed("insert a file", "the disk is full"));
        }
        state.refuse_departed(&new.owner)?;
        if state.files.contains_key(&new.id) {
            return Err(StoreError::Taken("file"));
        }
        let file = File {
            id: new.id,
            owner: new.owner,
            name: new.name,
            media_type: new.media_type,
            size_bytes: new.size_bytes,
            blob: new.blob,
            text_hash: None,
            metadata: new.metadata,
            state: new.state,
            created_at: now,
            updated_at: now,
        };
        let row = FileRow { file: file.clone(), attempt: 0, due: now, document: None, chunks: None };
        state.files.insert(file.id.clone(), row);
        if let Some(row) = into.and_then(|id| state.collections.get_mut(id)) {
            row.members.insert(file.id.clone(), now);
            row.collection.updated_at = now;
        }
        Ok(file)
    }

    async fn file(&self, id: &FileId) -> Result<Option<File>, StoreError> {
        Ok(self.state().files.get(id).map(|row| row.file.clone()))
    }

    async fn files_by_id(&self, ids: &[FileId]) -> Result<Vec<File>, StoreError> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| state.files.get(id)).map(|row| row.file.clone()).collect())
    }

    async fn unread_files(&self, ids: &[FileId]) -> Result<Vec<Unread>, StoreError> {
        let state = self.state();
        let ids: BTreeSet<&FileId> = ids.iter().collect();
        let rows = ids.into_iter().filter_map(|id| state.files.get(id));
        let unread = rows.filter(|row| row.file.text_hash.is_none()).filter_map(|row| {
            let next_try = match row.file.state {
                FileState::Pending => Some(row.due),
                FileState::Processing => None,
                _ => return None,
            };
            Some(Unread { id: row.file.id.clone(), name: row.file.name.clone(), next_try })
        });
        Ok(unread.collect())
    }

    async fn files(&self, query: &FileQuery) -> Result<Page<File>, StoreError> {
        let state = self.state();
        let mut files: Vec<File> = state
            .files
            .values()
            .map(|row| &row.file)
            .filter(|file| query.owner.as_ref().is_none_or(|owner| file.owner == *owner))
            .filter(|file| {
                query.held_by.as_ref().is_none_or(|holders| {
                    holders
                        .iter()
                        .filter_map(|id| state.collections.get(id))
                        .any(|row| row.members.contains_key(&file.id))
                })
            })
            .filter(|file| query.name_glob.as_ref().is_none_or(|glob| matches_glob(&file.name, glob)))
            .cloned()
            .collect();
        sort_files(&mut files, query.order, |file| file);
        Ok(page(files, query.slice))
    }

    async fn rename_file(&self, id: &FileId, name: &str, now: UnixTime) -> Result<Option<File>, StoreError> {
        Ok(self.state().files.get_mut(id).map(|row| {
            name.clone_into(&mut row.file.name);
            row.file.updated_at = now;
            row.file.clone()
        }))
    }

    async fn requeue_file(&self, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError> {
        Ok(self.state().files.get_mut(id).map(|row| row.requeue(now)))
    }

    async fn cancel_file(&self, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError> {
        let mut state = self.state();
        let waits =
            |row: &&mut super::FileRow| matches!(row.file.state, FileState::Pending | FileState::Processing);
        let Some(row) = state.files.get_mut(id).filter(waits) else { return Ok(None) };
        row.file.state = FileState::Cancelled;
        row.file.updated_at = now;
        let file = row.file.clone();
        state.drafts.remove(id);
        state.drop_unused_vectors();
        Ok(Some(file))
    }

    async fn replace_blob(
        &self,
        id: &FileId,
        blob: StoredBlob,
        media_type: &str,
        now: UnixTime,
    ) -> Result<Option<(File, Option<BlobHash>)>, StoreError> {
        let mut state = self.state();
        let Some(row) = state.files.get_mut(id) else { return Ok(None) };
        let former = std::mem::replace(&mut row.file.blob, blob.hash);
        row.file.size_bytes = blob.size_bytes;
        row.file.text_hash = None;
        media_type.clone_into(&mut row.file.media_type);
        let file = row.requeue(now);
        let unused = (!state.blob_in_use(&former)).then_some(former);
        Ok(Some((file, unused)))
    }

    async fn delete_files(&self, ids: &[FileId]) -> Result<Vec<BlobHash>, StoreError> {
        let mut state = self.state();
        let mut blobs = BTreeSet::new();
        for id in ids {
            state.remove_chunks(id);
            state.drafts.remove(id);
            if let Some(row) = state.files.remove(id) {
                blobs.insert(row.file.blob);
            }
            for row in state.collections.values_mut() {
                row.members.remove(id);
            }
        }
        state.drop_unused_vectors();
        Ok(blobs.into_iter().filter(|blob| !state.blob_in_use(blob)).collect())
    }

    async fn forget_vectors(&self) -> Result<(), StoreError> {
        self.state().vectors.clear();
        Ok(())
    }

    async fn blobs_of_files(&self) -> Result<Vec<(FileId, BlobHash)>, StoreError> {
        Ok(self.state().files.values().map(|row| (row.file.id.clone(), row.file.blob)).collect())
    }

    async fn blob_in_use(&self, blob: &BlobHash) -> Result<bool, StoreError> {
        Ok(self.state().blob_in_use(blob))
    }

    async fn document(&self, id: &FileId) -> Result<Option<Document>, StoreError> {
        Ok(self.state().files.get(id).and_then(|row| row.document.clone()))
    }

    async fn insert_collection(
        &self,
        owner: &UserId,
        new: NewCollection,
        now: UnixTime,
    ) -> Result<Collection, StoreError> {
        let mut state = self.state();
        state.refuse_departed(owner)?;
        let collection = Collection {
            id: CollectionId::mint(),
            owner: owner.clone(),
            name: new.name,
            description: new.description,
            meta: None,
            grants: state.to_those_who_stay(&new.grants),
            created_at: now,
            updated_at: now,
        };
        let row = CollectionRow { collection: collection.clone(), members: BTreeMap::new() };
        state.collections.insert(collection.id.clone(), row);
        Ok(collection)
    }

    async fn ensure_collection(
        &self,
        id: &CollectionId,
        owner: &UserId,
        new: NewCollection,
        meta: Value,
        now: UnixTime,
    ) -> Result<Collection, StoreError> {
        let mut state = self.state();
        if !state.collections.contains_key(id) {
            state.refuse_departed(owner)?;
        }
        let grants = state.to_those_who_stay(&new.grants);
        let row = state.collections.entry(id.clone()).or_insert_with(|| CollectionRow {
            collection: Collection {
                id: id.clone(),
                owner: owner.clone(),
                name: new.name,
                description: new.description,
                meta: Some(meta),
                grants,
                created_at: now,
                updated_at: now,
            },
            members: BTreeMap::new(),
        });
        Ok(row.collection.clone())
    }

    async fn collection(&self, id: &CollectionId) -> Result<Option<Collection>, StoreError> {
        Ok(self.state().collections.get(id).map(|row| row.collection.clone()))
    }

    async fn collections(&self, query: &CollectionQuery) -> Result<Vec<(Collection, u64)>, StoreError> {
        let state = self.state();
        let mut found: Vec<_> = state
            .collections
            .values()
            .filter(|row| query.owner.as_ref().is_none_or(|owner| row.collection.owner == *owner))
            .filter(|row| {
                query.text.as_ref().is_none_or(|text| {
                    contains(&row.collection.name, text) || contains(&row.collection.description, text)
                })
            })
            .map(|row| (row.collection.clone(), row.members.len() as u64))
            .collect();
        found.sort_by(|(left, _), (right, _)| {
            right.updated_at.cmp(&left.updated_at).then_with(|| left.id.cmp(&right.id))
        });
        Ok(found)
    }

    async fn update_collection(
        &self,
        id: &CollectionId,
        change: CollectionChange,
        now: UnixTime,
    ) -> Result<Option<Collection>, StoreError> {
        let mut state = self.state();
        let grants = change.grants.map(|grants| state.to_those_who_stay(&grants));
        Ok(state.collections.get_mut(id).map(|row| {
            let collection = &mut row.collection;
            if let Some(name) = change.name {
                collection.name = name;
            }
            if let Some(description) = change.description {
                collection.description = description;
            }
            if let Some(grants) = grants {
                collection.grants = grants;
            }
            collection.updated_at = now;
            collection.clone()
        }))
    }

    async fn delete_collection(&self, id: &CollectionId) -> Result<bool, StoreError> {
        Ok(self.state().collections.remove(id).is_some())
    }

    async fn add_members(
        &self,
        id: &CollectionId,
        files: &[FileId],
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        if files.iter().any(|file| !state.files.contains_key(file)) {
            return Ok(false);
        }
        let Some(row) = state.collections.get_mut(id) else { return Ok(false) };
        for file in files {
            row.members.entry(file.clone()).or_insert(now);
        }
        row.collection.updated_at = now;
        Ok(true)
    }

    async fn remove_members(
        &self,
        id: &CollectionId,
        files: &[FileId],
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        state.said.forget(id, files);
        let Some(row) = state.collections.get_mut(id) else { return Ok(()) };
        for file in files {
            row.members.remove(file);
        }
        row.collection.updated_at = now;
        Ok(())
    }

    async fn members(&self, id: &CollectionId, query: &MemberQuery) -> Result<Page<Member>, StoreError> {
        let state = self.state();
        let mut members: Vec<Member> = state
            .collections
            .get(id)
            .into_iter()
            .flat_map(|row| &row.members)
            .filter_map(|(file, added_at)| {
                Some(Member { file: state.files.get(file)?.file.clone(), added_at: *added_at })
            })
            .filter(|member| query.text.as_ref().is_none_or(|text| contains(&member.file.name, text)))
            .collect();
        sort_files(&mut members, query.order, |member| &member.file);
        Ok(page(members, query.slice))
    }

    async fn member_ids(&self, id: &CollectionId) -> Result<Vec<FileId>, StoreError> {
        let state = self.state();
        Ok(state.collections.get(id).map(|row| row.members.keys().cloned().collect()).unwrap_or_default())
    }

    async fn collections_of(&self, file: &FileId) -> Result<Vec<Collection>, StoreError> {
        let state = self.state();
        let holders = state.collections.values().filter(|row| row.members.contains_key(file));
        Ok(holders.map(|row| row.collection.clone()).collect())
    }

    async fn depart(&self, who: &Grantee) -> Result<(), StoreError> {
        let mut state = self.state();
        state.departed.insert(who.clone());
        for row in state.collections.values_mut() {
            row.collection.grants = row.collection.grants.without(who);
        }
        Ok(())
    }

    async fn hand_over(&self, from: &UserId, to: &UserId) -> Result<(), StoreError> {
        let mut state = self.state();
        state.refuse_departed(to)?;
        state.collections.retain(|_, row| row.collection.owner != *from || !row.collection.is_named());
        let files = state.files.values_mut().map(|row| &mut row.file.owner);
        files.filter(|owner| **owner == *from).for_each(|owner| *owner = to.clone());
        let collections = state.collections.values_mut().map(|row| &mut row.collection.owner);
        collections.filter(|owner| **owner == *from).for_each(|owner| *owner = to.clone());
        Ok(())
    }
}

impl FileRow {
    fn requeue(&mut self, now: UnixTime) -> File {
        self.file.state = FileState::Pending;
        self.file.updated_at = now;
        self.due = now;
        self.file.clone()
    }
}
