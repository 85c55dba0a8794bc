//! Blobs in memory, for tests and for embedders with small data.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::{BlobHash, BlobStore, BlobStream, StoredBlob};
use crate::{Error, Result};

/// Blobs in memory; clones share their content.
#[derive(Clone, Default)]
pub struct MemoryBlobs {
    blobs: Arc<Mutex<BTreeMap<BlobHash, Bytes>>>,
}

impl MemoryBlobs {
    fn blobs(&self) -> MutexGuard<'_, BTreeMap<BlobHash, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBlobs({})", self.blobs().len())
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, mut bytes: BlobStream, limit_bytes: u64) -> Result<StoredBlob> {
        let mut whole = BytesMut::new();
        while let Some(piece) = bytes.next().await {
            let piece = piece?;
            if (whole.len() + piece.len()) as u64 > limit_bytes {
                return Err(Error::TooLarge { limit_bytes });
            }
            whole.extend_from_slice(&piece);
        }
        let stored =
            StoredBlob { hash: BlobHash(Sha256::digest(&whole).into()), size_bytes: whole.len() as u64 };
        self.blobs().insert(stored.hash, whole.freeze());
        Ok(stored)
    }

    async fn open(&self, hash: &BlobHash, offset: u64) -> Result<Option<BlobStream>> {
        let Some(bytes) = self.blobs().get(hash).cloned() else { return Ok(None) };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.slice(from..);
        Ok(Some(Box::pin(stream::iter((!rest.is_empty()).then_some(Ok(rest))))))
    }

    fn local_path(&self, _hash: &BlobHash) -> Option<PathBuf> {
        None
    }

    async fn delete(&self, hash: &BlobHash) -> Result<()> {
        self.blobs().remove(hash);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<BlobHash>> {
        Ok(self.blobs().keys().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_blobs_keep_the_contract() {
        crate::conformance::blob_store(async || MemoryBlobs::default()).await;
    }
}
