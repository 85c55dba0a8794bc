//! The memory library as a [`ChunkStore`].

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use breezeway_core::{FileId, StoreError, UnixTime};
use breezeway_embedding::{Fingerprint, Vector};

use super::{FileRow, MemoryLibrary, State};
use crate::{
    ChunkHash, ChunkId, ChunkRange, ChunkStore, Claim, FileCommit, FileState, LogEntry, LogOp, Seq,
    StoredChunk,
};

impl State {
    /// The row of a file that is being processed under `attempt`.
    pub(super) fn claimed(&mut self, file: &FileId, attempt: u32) -> Option<&mut FileRow> {
        self.files
            .get_mut(file)
            .filter(|row| row.attempt == attempt && row.file.state == FileState::Processing)
    }

    fn stored(&self, id: ChunkId, fingerprint: Option<&Fingerprint>) -> Option<StoredChunk> {
        let (file, ordinal, chunk) = self.chunks.get(&id)?;
        let vector =
            fingerprint.and_then(|fingerprint| self.vectors.get(&(fingerprint.clone(), chunk.hash))).cloned();
        Some(StoredChunk { id, file: file.clone(), ordinal: *ordinal, chunk: chunk.clone(), vector })
    }
}

#[async_trait]
impl ChunkStore for MemoryLibrary {
    async fn claim_pending(&self, now: UnixTime, lease: Duration) -> Result<Option<Claim>, StoreError> {
        let mut state = self.state();
        let next = state
            .files
            .values_mut()
            .filter(|row| {
                matches!(row.file.state, FileState::Pending | FileState::Processing) && row.due <= now
            })
            .min_by(|left, right| {
                let key = |row: &FileRow| (row.file.created_at, row.file.id.clone());
                key(left).cmp(&key(right))
            });
        Ok(next.map(|row| {
            row.attempt += 1;
            row.due = now.plus(lease);
            row.file.state = FileState::Processing;
            row.file.updated_at = now;
            Claim { file: row.file.clone(), attempt: row.attempt }
        }))
    }

    async fn release_claims(&self, now: UnixTime) -> Result<usize, StoreError> {
        let mut state = self.state();
        let held = state.files.values_mut().filter(|row| row.file.state == FileState::Processing);
        let held: Vec<_> = held.filter(|row| row.due > now).collect();
        let count = held.len();
        held.into_iter().for_each(|row| row.due = now);
        Ok(count)
    }

    async fn extend_claim(
        &self,
        file: &FileId,
        attempt: u32,
        now: UnixTime,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        Ok(self.state().claimed(file, attempt).map(|row| row.due = now.plus(lease)).is_some())
    }

    async fn commit_file(&self, commit: FileCommit, now: UnixTime) -> Result<bool, StoreError> {
        let mut state = self.state();
        if state.claimed(&commit.file, commit.attempt).is_none() {
            return Ok(false);
        }
        let count = u32::try_from(commit.chunks.len()).unwrap_or(u32::MAX);
        let first = state.last_chunk.saturating_add(1);
        let last = state.last_chunk.checked_add(count).ok_or_else(|| {
            StoreError::failed("number the chunks of a file", "every chunk number has been given")
        })?;

        state.remove_chunks(&commit.file);
        for (ordinal, chunk) in (0..).zip(commit.chunks) {
            state.chunks.insert(ChunkId(first + ordinal), (commit.file.clone(), ordinal, chunk));
        }
        state.last_chunk = last;
        let range = (count > 0).then_some(ChunkRange { first: ChunkId(first), last: ChunkId(last) });
        if let Some(range) = range {
            state.append(&commit.file, range, LogOp::Added);
        }
        if let Some((fingerprint, vectors)) = commit.vectors {
            let vectors = vectors.into_iter().map(|(hash, vector)| ((fingerprint.clone(), hash), vector));
            state.vectors.extend(vectors);
        }
        state.drop_unused_vectors();
        if let Some(row) = state.files.get_mut(&commit.file) {
            row.chunks = range;
            row.document = Some(commit.document);
            row.file.text_hash = Some(commit.text_hash);
            row.file.state = FileState::Completed;
            row.file.updated_at = now;
        }
        Ok(true)
    }

    async fn fail_file(
        &self,
        file: &FileId,
        attempt: u32,
        reason: &str,
        retry_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(row) = state.claimed(file, attempt) else { return Ok(false) };
        match retry_at {
            Some(at) => {
                row.file.state = FileState::Pending;
                row.due = at;
            }
            None => row.file.state = FileState::Failed(reason.to_owned()),
        }
        row.file.updated_at = now;
        Ok(true)
    }

    async fn known_vectors(
        &self,
        fingerprint: &Fingerprint,
        hashes: &[ChunkHash],
    ) -> Result<HashMap<ChunkHash, Vector>, StoreError> {
        let state = self.state();
        let known = hashes
            .iter()
            .filter_map(|hash| Some((*hash, state.vectors.get(&(fingerprint.clone(), *hash))?.clone())));
        Ok(known.collect())
    }

    async fn chunks_without_vector(
        &self,
        fingerprint: &Fingerprint,
        limit: u32,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        let state = self.state();
        let mut seen = HashSet::new();
        let missing = state.chunks.iter().filter(|(_, (_, _, chunk))| {
            !state.vectors.contains_key(&(fingerprint.clone(), chunk.hash)) && seen.insert(chunk.hash)
        });
        Ok(missing.filter_map(|(id, _)| state.stored(*id, None)).take(limit as usize).collect())
    }

    async fn add_vectors(
        &self,
        fingerprint: &Fingerprint,
        vectors: HashMap<ChunkHash, Vector>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let mut gained: BTreeMap<FileId, ChunkRange> = BTreeMap::new();
        for (id, (file, _, chunk)) in &state.chunks {
            let key = (fingerprint.clone(), chunk.hash);
            if vectors.contains_key(&chunk.hash) && !state.vectors.contains_key(&key) {
                let range = ChunkRange { first: *id, last: *id };
                gained.entry(file.clone()).or_insert(range).last = *id;
            }
        }
        let vectors = vectors.into_iter().map(|(hash, vector)| ((fingerprint.clone(), hash), vector));
        state.vectors.extend(vectors);
        state.drop_unused_vectors();
        for (file, range) in gained {
            state.append(&file, range, LogOp::Embedded);
        }
        Ok(())
    }

    async fn log_after(&self, after: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let state = self.state();
        let skip = usize::try_from(after.0).unwrap_or(usize::MAX);
        Ok(state.log.iter().skip(skip).take(limit as usize).cloned().collect())
    }

    async fn last_seq(&self) -> Result<Seq, StoreError> {
        Ok(Seq(self.state().log.len() as u64))
    }

    async fn chunks(
        &self,
        range: ChunkRange,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        if range.first > range.last {
            return Ok(Vec::new());
        }
        let state = self.state();
        let ids = state.chunks.range(range.first..=range.last).map(|(id, _)| *id);
        Ok(ids.filter_map(|id| state.stored(id, fingerprint)).collect())
    }
}
