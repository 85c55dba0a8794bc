//! The memory library as a [`DraftStore`].

use async_trait::async_trait;
use breezeway_core::{FileId, StoreError, UnixTime};
use breezeway_embedding::Fingerprint;

use super::{DraftRow, MemoryLibrary};
use crate::{ChunkId, ChunkStore, Draft, DraftKey, DraftStore, FileCommit, NewChunk, NewDraft, StoredChunk};

#[async_trait]
impl DraftStore for MemoryLibrary {
    async fn draft(&self, file: &FileId, key: &DraftKey) -> Result<Option<Draft>, StoreError> {
        let state = self.state();
        let row = state.drafts.get(file).filter(|row| row.draft.key == *key);
        Ok(row.map(|row| Draft { chunks: row.draft.chunks, written: row.chunks.len() as u32 }))
    }

    async fn begin_draft(&self, draft: NewDraft) -> Result<bool, StoreError> {
        let mut state = self.state();
        if state.claimed(&draft.file, draft.attempt).is_none() {
            return Ok(false);
        }
        state.drafts.insert(draft.file.clone(), DraftRow { draft, chunks: Vec::new() });
        state.drop_unused_vectors();
        Ok(true)
    }

    async fn write_draft(
        &self,
        file: &FileId,
        attempt: u32,
        chunks: Vec<NewChunk>,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        if state.claimed(file, attempt).is_none() {
            return Ok(false);
        }
        let Some(row) = state.drafts.get_mut(file) else { return Ok(false) };
        if row.chunks.len() + chunks.len() > row.draft.chunks as usize {
            let why = "a draft gets no more chunks than it was announced to have";
            return Err(StoreError::failed("write a draft", why));
        }
        row.chunks.extend(chunks);
        Ok(true)
    }

    async fn draft_without_vector(
        &self,
        file: &FileId,
        fingerprint: &Fingerprint,
        after: Option<u32>,
        limit: u32,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        let state = self.state();
        let chunks = state.drafts.get(file).into_iter().flat_map(|row| (0..).zip(&row.chunks));
        let missing = chunks
            .filter(|(place, _)| after.is_none_or(|after| *place > after))
            .filter(|(_, chunk)| !state.vectors.contains_key(&(fingerprint.clone(), chunk.hash)));
        let stored = missing.map(|(ordinal, chunk)| StoredChunk {
            // Numbers are given when the draft is published.
            id: ChunkId(0),
            file: file.clone(),
            ordinal,
            chunk: chunk.clone(),
            vector: None,
        });
        Ok(stored.take(limit as usize).collect())
    }

    async fn draft_embedded(&self, file: &FileId, fingerprint: &Fingerprint) -> Result<u32, StoreError> {
        let state = self.state();
        let chunks = state.drafts.get(file).into_iter().flat_map(|row| &row.chunks);
        Ok(chunks.filter(|it| state.vectors.contains_key(&(fingerprint.clone(), it.hash))).count() as u32)
    }

    async fn publish_draft(&self, file: &FileId, attempt: u32, now: UnixTime) -> Result<bool, StoreError> {
        let commit = {
            let mut state = self.state();
            if state.claimed(file, attempt).is_none() {
                return Ok(false);
            }
            let Some(row) = state.drafts.get(file) else { return Ok(false) };
            if row.chunks.len() != row.draft.chunks as usize {
                let why = "a draft without all of its chunks is not published";
                return Err(StoreError::failed("publish a draft", why));
            }
            FileCommit {
                file: file.clone(),
                attempt,
                text_hash: row.draft.text_hash.clone(),
                document: row.draft.document.clone(),
                chunks: row.chunks.clone(),
                vectors: None,
            }
        };
        // The draft keeps its vectors until its chunks are there.
        let published = self.commit_file(commit, now).await?;
        self.discard_draft(file).await?;
        Ok(published)
    }

    async fn discard_draft(&self, file: &FileId) -> Result<(), StoreError> {
        let mut state = self.state();
        state.drafts.remove(file);
        state.drop_unused_vectors();
        Ok(())
    }

    async fn clear_away(&self, _: u32) -> Result<bool, StoreError> {
        Ok(true)
    }
}
