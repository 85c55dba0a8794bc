//! What clients say, in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use breezeway_core::{CollectionId, FileId, StoreError, UnixTime};
use serde_json::{Map, Value};

use super::MemoryLibrary;
use crate::{AttributeStore, Batch, Collection, File};

/// What is said, beside the rest of the state. What it says about files and collections that are gone
/// altogether is passed over, not deleted.
#[derive(Default)]
pub(super) struct Said {
    attributes: HashMap<(CollectionId, FileId), Map<String, Value>>,
    batches: HashMap<String, Batch>,
}

impl Said {
    /// Files leave a collection.
    pub(super) fn forget(&mut self, collection: &CollectionId, files: &[FileId]) {
        self.attributes.retain(|(place, file), _| place != collection || !files.contains(file));
    }
}

#[async_trait]
impl AttributeStore for MemoryLibrary {
    async fn put_attributes(
        &self,
        collection: &CollectionId,
        file: &FileId,
        attributes: Map<String, Value>,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let is_member = state.collections.get(collection).is_some_and(|row| row.members.contains_key(file));
        if is_member {
            state.said.attributes.insert((collection.clone(), file.clone()), attributes);
        }
        Ok(is_member)
    }

    async fn attributes(
        &self,
        collection: &CollectionId,
    ) -> Result<HashMap<FileId, Map<String, Value>>, StoreError> {
        let state = self.state();
        let Some(row) = state.collections.get(collection) else { return Ok(HashMap::new()) };
        let said = |file: &FileId| {
            let attributes = state.said.attributes.get(&(collection.clone(), file.clone()))?;
            state.files.contains_key(file).then(|| (file.clone(), attributes.clone()))
        };
        Ok(row.members.keys().filter_map(said).collect())
    }

    async fn put_metadata(
        &self,
        file: &FileId,
        metadata: Map<String, Value>,
        now: UnixTime,
    ) -> Result<Option<File>, StoreError> {
        Ok(self.state().files.get_mut(file).map(|row| {
            row.file.metadata = metadata;
            row.file.updated_at = now;
            row.file.clone()
        }))
    }

    async fn put_meta(
        &self,
        collection: &CollectionId,
        meta: Value,
    ) -> Result<Option<Collection>, StoreError> {
        Ok(self.state().collections.get_mut(collection).map(|row| {
            row.collection.meta = Some(meta);
            row.collection.clone()
        }))
    }

    async fn insert_batch(&self, batch: Batch) -> Result<bool, StoreError> {
        let mut state = self.state();
        if !state.collections.contains_key(&batch.collection) {
            return Ok(false);
        }
        state.said.batches.insert(batch.id.clone(), batch);
        Ok(true)
    }

    async fn batch(&self, collection: &CollectionId, id: &str) -> Result<Option<Batch>, StoreError> {
        let state = self.state();
        let found = state.said.batches.get(id).filter(|batch| batch.collection == *collection);
        Ok(found.filter(|batch| state.collections.contains_key(&batch.collection)).cloned())
    }
}
