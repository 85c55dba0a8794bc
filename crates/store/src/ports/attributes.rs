use std::collections::HashMap;

use async_trait::async_trait;
use breezeway_core::{CollectionId, FileId, StoreError, UnixTime};
use breezeway_knowledge::{AttributeStore, Batch, Collection, File};
use serde_json::{Map, Value};

use crate::{Store, attributes};

#[async_trait]
impl AttributeStore for Store {
    async fn put_attributes(
        &self,
        collection: &CollectionId,
        file: &FileId,
        said: Map<String, Value>,
    ) -> Result<bool, StoreError> {
        let (collection, file) = (collection.clone(), file.clone());
        self.write("keep a file's attributes", move |tx| attributes::put(tx, &collection, &file, &said)).await
    }

    async fn attributes(
        &self,
        collection: &CollectionId,
    ) -> Result<HashMap<FileId, Map<String, Value>>, StoreError> {
        let collection = collection.clone();
        self.read("read the attributes of files", move |tx| attributes::of(tx, &collection)).await
    }

    async fn put_metadata(
        &self,
        file: &FileId,
        metadata: Map<String, Value>,
        now: UnixTime,
    ) -> Result<Option<File>, StoreError> {
        let file = file.clone();
        self.write("keep a file's metadata", move |tx| attributes::put_metadata(tx, &file, &metadata, now))
            .await
    }

    async fn put_meta(
        &self,
        collection: &CollectionId,
        meta: Value,
    ) -> Result<Option<Collection>, StoreError> {
        let collection = collection.clone();
        self.write("keep a collection's meta", move |tx| attributes::put_meta(tx, &collection, &meta)).await
    }

    async fn insert_batch(&self, batch: Batch) -> Result<bool, StoreError> {
        self.write("keep a batch of files", move |tx| attributes::insert_batch(tx, &batch)).await
    }

    async fn batch(&self, collection: &CollectionId, id: &str) -> Result<Option<Batch>, StoreError> {
        let (collection, id) = (collection.clone(), id.to_owned());
        self.read("read a batch of files", move |tx| attributes::batch(tx, &collection, &id)).await
    }
}
