//! Keeping and forgetting bytes without losing any.
//!
//! Files share equal bytes, and a blob is kept before the row that refers to it. So a deletion could
//! see a blob that no row has, just while an upload of the same bytes is about to insert one. A lock
//! for each hash does not help: an upload knows its hash only when the blob is already in its place.
//!
//! Therefore a gate. An upload passes it, together with others, when its last byte has arrived but
//! before the blob store is told so and renames the blob, and leaves it when the row is there. A
//! deletion waits until it has the gate alone, asks again whether anyone uses the blob, and only then
//! deletes. The gate is held for a rename and a row, never for a transfer, and it is fair: a stream
//! of uploads does not keep a deletion waiting.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use tokio::sync::OwnedRwLockReadGuard;

use super::{Library, not_empty};
use crate::{BlobHash, BlobStream, Result, StoredBlob};

/// Shows that the gate is held; dropped when the row is written, or was not.
pub(super) type Passage = Option<OwnedRwLockReadGuard<()>>;

impl Library {
    /// Store bytes, and hold the gate until the answer is dropped.
    pub(super) async fn keep_bytes(&self, bytes: BlobStream) -> Result<(StoredBlob, Passage)> {
        let bytes = not_empty(bytes).await?;
        let passage = Arc::new(Mutex::new(None));
        let at_the_end = stream::once({
            let (gate, passage) = (self.blob_gate.clone(), passage.clone());
            async move {
                let held = gate.read_owned().await;
                *passage.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
                None
            }
        });
        let gated = bytes.map(Some).chain(at_the_end).filter_map(async |piece| piece);
        let blob = self.blobs.put(Box::pin(gated), self.config.load().max_upload_bytes).await?;
        let held = passage.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok((blob, held))
    }

    /// Delete those of `blobs` that no file has, and answer how many there were. All are tried; the
    /// first failure is the answer.
    pub(super) async fn forget_unused(&self, blobs: &[BlobHash]) -> Result<usize> {
        let (mut forgotten, mut failed) = (0, None);
        for blob in blobs {
            match self.forget_if_unused(blob).await {
                Ok(was_unused) => forgotten += usize::from(was_unused),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(forgotten), Err)
    }

    async fn forget_if_unused(&self, blob: &BlobHash) -> Result<bool> {
        let _alone = self.blob_gate.write().await;
        if self.store.blob_in_use(blob).await? {
            return Ok(false);
        }
        self.blobs.delete(blob).await?;
        Ok(true)
    }
}
