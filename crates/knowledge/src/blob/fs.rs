//! Blobs in a folder.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{BlobHash, BlobStore, BlobStream, StoredBlob};
use crate::Result;

/// A folder of blobs: `ab/cdef…` by hash, written beside and renamed when whole.
#[derive(Clone, Debug)]
pub struct FsBlobs {
    root: PathBuf,
}

impl FsBlobs {
    /// Blobs under `root`, which is made if it does not exist.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let _ = root;
        todo!()
    }
}

#[async_trait]
impl BlobStore for FsBlobs {
    async fn put(&self, _bytes: BlobStream, _limit_bytes: u64) -> Result<StoredBlob> {
        todo!()
    }
    async fn open(&self, _hash: &BlobHash, _offset: u64) -> Result<Option<BlobStream>> {
        todo!()
    }
    fn local_path(&self, _hash: &BlobHash) -> Option<PathBuf> {
        todo!("{:?}", self.root)
    }
    async fn delete(&self, _hash: &BlobHash) -> Result<()> {
        todo!()
    }
    async fn list(&self) -> Result<Vec<BlobHash>> {
        todo!()
    }
}
