use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use breezeway_core::{FileId, StoreError, UnixTime};
use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{ChunkHash, ChunkRange, ChunkStore, Claim, FileCommit, LogEntry, Seq, StoredChunk};

use crate::{
    Store, chunks,
    db::Tx,
    documents, drafts, files, log,
    vectors::{self, Gains},
};

/// The commit point: state, document, chunks, vectors and log entries, or nothing of it.
fn commit(tx: &mut Tx<'_>, commit: &FileCommit, now: UnixTime) -> Result<bool, StoreError> {
    let file = &commit.file;
    if !files::complete(tx, file, commit.attempt, &commit.text_hash, now)? {
        return Ok(false);
    }
    documents::put(tx, file, &commit.document)?;
    drafts::discard(tx, file)?;
    chunks::bury(tx, file)?;
    // Vectors go in before the chunks: whoever has such a text now has been waiting for its vector
    // and is told by an entry of its own, while the new chunks come with theirs.
    let mut gains = Gains::default();
    if let Some((fingerprint, vectors)) = &commit.vectors {
        // In the order of the text, so that neighbours there are neighbours on disk.
        for chunk in &commit.chunks {
            if let Some(vector) = vectors.get(&chunk.hash) {
                gains.add(tx, fingerprint, &chunk.hash, vector, true)?;
            }
        }
        let own: HashSet<_> = commit.chunks.iter().map(|chunk| chunk.hash).collect();
        for (hash, vector) in vectors.iter().filter(|(hash, _)| !own.contains(hash)) {
            gains.add(tx, fingerprint, hash, vector, false)?;
        }
    }
    chunks::insert(tx, file, &commit.chunks)?;
    gains.log(tx)?;
    Ok(true)
}

#[async_trait]
impl ChunkStore for Store {
    async fn claim_pending(&self, now: UnixTime, lease: Duration) -> Result<Option<Claim>, StoreError> {
        self.write("claim a file", move |tx| files::claim(tx, now, lease)).await
    }

    async fn release_claims(&self, now: UnixTime) -> Result<usize, StoreError> {
        self.write("release claims", move |tx| files::release_claims(tx, now)).await
    }

    async fn extend_claim(
        &self,
        file: &FileId,
        attempt: u32,
        now: UnixTime,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let (file, until) = (file.clone(), now.plus(lease));
        self.write("extend a claim", move |tx| files::extend_claim(tx, &file, attempt, until)).await
    }

    async fn commit_file(&self, file: FileCommit, now: UnixTime) -> Result<bool, StoreError> {
        self.write("commit a file", move |tx| commit(tx, &file, now)).await
    }

    async fn fail_file(
        &self,
        file: &FileId,
        attempt: u32,
        reason: &str,
        retry_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let (file, reason) = (file.clone(), reason.to_owned());
        self.write("fail a file", move |tx| files::fail(tx, &file, attempt, &reason, retry_at, now)).await
    }

    async fn known_vectors(
        &self,
        fingerprint: &Fingerprint,
        hashes: &[ChunkHash],
    ) -> Result<HashMap<ChunkHash, Vector>, StoreError> {
        let (fingerprint, hashes) = (fingerprint.clone(), hashes.to_vec());
        self.read("read vectors", move |tx| vectors::known(tx, &fingerprint, &hashes)).await
    }

    async fn chunks_without_vector(
        &self,
        fingerprint: &Fingerprint,
        limit: u32,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        let fingerprint = fingerprint.clone();
        self.read("look for missing vectors", move |tx| chunks::without_vector(tx, &fingerprint, limit)).await
    }

    async fn add_vectors(
        &self,
        fingerprint: &Fingerprint,
        vectors: HashMap<ChunkHash, Vector>,
    ) -> Result<(), StoreError> {
        let fingerprint = fingerprint.clone();
        self.write("add vectors", move |tx| {
            let mut gains = Gains::default();
            for (hash, vector) in &vectors {
                gains.add(tx, &fingerprint, hash, vector, false)?;
            }
            gains.log(tx)
        })
        .await
    }

    async fn log_after(&self, after: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.read("read the chunk log", move |tx| log::after(tx, after, limit)).await
    }

    async fn compact_log(&self, upto: Seq) -> Result<(), StoreError> {
        let gone = self.read("read the chunk log", move |tx| log::compactable(tx, upto)).await?;
        // In pieces: the floor goes up with the first, and a rest that a crash leaves does no harm.
        let mut pieces: Vec<Vec<u64>> = gone.chunks(1000).map(<[u64]>::to_vec).collect();
        if pieces.is_empty() {
            pieces.push(Vec::new());
        }
        for seqs in pieces {
            self.write("compact the chunk log", move |tx| log::forget(tx, upto, &seqs)).await?;
        }
        Ok(())
    }

    async fn log_floor(&self) -> Result<Seq, StoreError> {
        self.read("read the chunk log", log::floor).await
    }

    async fn last_seq(&self) -> Result<Seq, StoreError> {
        self.read("read the chunk log", log::last_seq).await
    }

    async fn chunks(
        &self,
        range: ChunkRange,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        let fingerprint = fingerprint.cloned();
        self.read("read chunks", move |tx| chunks::in_range(tx, range, fingerprint.as_ref())).await
    }
}
