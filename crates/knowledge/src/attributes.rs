//! What clients say about files and collections: data for filters, which nothing else reads.

use std::collections::HashMap;

use async_trait::async_trait;
use breezeway_core::{CollectionId, FileId, StoreError, UnixTime};
use serde_json::{Map, Value};

use crate::{Collection, File};

/// Files that were put into a collection together, to be asked about together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// Into which collection.
    pub collection: CollectionId,
    /// When.
    pub created_at: UnixTime,
    /// Which files. They may have left the collection since.
    pub files: Vec<FileId>,
}

/// Keeps what clients say.
///
/// # Contract
/// - every call is one transaction, and what it has written the next call reads;
/// - attributes belong to a file's place in a collection and go when the file leaves it; batches go with
///   their collection.
#[async_trait]
pub trait AttributeStore: Send + Sync + 'static {
    /// Say something about a file in a collection, instead of what was said before. `false` if it is not
    /// in it.
    async fn put_attributes(
        &self,
        collection: &CollectionId,
        file: &FileId,
        attributes: Map<String, Value>,
    ) -> Result<bool, StoreError>;

    /// What is said about the files of a collection; files about which nothing is said are left out.
    async fn attributes(
        &self,
        collection: &CollectionId,
    ) -> Result<HashMap<FileId, Map<String, Value>>, StoreError>;

    /// Give a file other metadata. `None` if it does not exist.
    async fn put_metadata(
        &self,
        file: &FileId,
        metadata: Map<String, Value>,
        now: UnixTime,
    ) -> Result<Option<File>, StoreError>;

    /// Give a collection another `meta`; its `updated_at` stays. `None` if it does not exist.
    async fn put_meta(
        &self,
        collection: &CollectionId,
        meta: Value,
    ) -> Result<Option<Collection>, StoreError>;

    /// Keep a batch. `false` if its collection does not exist.
    async fn insert_batch(&self, batch: Batch) -> Result<bool, StoreError>;

    /// A batch of a collection.
    async fn batch(&self, collection: &CollectionId, id: &str) -> Result<Option<Batch>, StoreError>;
}
