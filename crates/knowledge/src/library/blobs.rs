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

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt, stream};
use tokio::sync::OwnedRwLockReadGuard;

use super::{Library, not_empty};
use crate::{BlobHash, BlobStream, Result, StoredBlob};

/// Sentences of one kind at most.
const FINDINGS: usize = 20;

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

    /// Compare blobs and files: one sentence for each blob that no file has, and for each file whose bytes
    /// have vanished, a few of each at most. With `repair`, the former are deleted; bytes that have
    /// vanished cannot be brought back, and such a file goes on to be found by its text.
    ///
    /// # Errors
    /// If a store fails.
    pub async fn check_blobs(&self, repair: bool) -> Result<Vec<String>> {
        // Alone, so that no upload is between its blob and its row.
        let alone = self.blob_gate.write().await;
        let kept: HashSet<BlobHash> = self.blobs.list().await?.into_iter().collect();
        let files = self.store.blobs_of_files().await?;
        drop(alone);

        let used: HashSet<BlobHash> = files.iter().map(|(_, blob)| *blob).collect();
        let mut unused: Vec<BlobHash> = kept.difference(&used).copied().collect();
        unused.sort();
        let mut vanished = files.iter().filter(|(_, blob)| !kept.contains(blob));
        let vanished = vanished
            .by_ref()
            .take(FINDINGS)
            .map(|(file, _)| format!("the bytes of file `{file}` have vanished"));
        let mut findings: Vec<String> = vanished.collect();
        findings.extend(unused.iter().take(FINDINGS).map(|blob| format!("no file has the bytes `{blob}`")));
        if repair {
            self.forget_unused(&unused).await?;
        }
        Ok(findings)
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
