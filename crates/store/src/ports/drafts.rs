use async_trait::async_trait;
use breezeway_core::{FileId, StoreError, UnixTime};
use breezeway_embedding::Fingerprint;
use breezeway_knowledge::{Draft, DraftKey, DraftStore, NewChunk, NewDraft, StoredChunk};

use crate::{Store, chunks, drafts};

#[async_trait]
impl DraftStore for Store {
    async fn draft(&self, file: &FileId, key: &DraftKey) -> Result<Option<Draft>, StoreError> {
        let (file, key) = (file.clone(), key.clone());
        self.read("look for a draft", move |tx| drafts::of(tx, &file, &key)).await
    }

    async fn begin_draft(&self, draft: NewDraft) -> Result<bool, StoreError> {
        self.write("begin a draft", move |tx| drafts::begin(tx, &draft)).await
    }

    async fn write_draft(
        &self,
        file: &FileId,
        attempt: u32,
        chunks: Vec<NewChunk>,
    ) -> Result<bool, StoreError> {
        let file = file.clone();
        self.write("write a draft", move |tx| drafts::write(tx, &file, attempt, &chunks)).await
    }

    async fn draft_without_vector(
        &self,
        file: &FileId,
        fingerprint: &Fingerprint,
        after: Option<u32>,
        limit: u32,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        let (file, fingerprint) = (file.clone(), fingerprint.clone());
        self.read("read a draft", move |tx| drafts::without_vector(tx, &file, &fingerprint, after, limit))
            .await
    }

    async fn draft_embedded(&self, file: &FileId, fingerprint: &Fingerprint) -> Result<u32, StoreError> {
        let (file, fingerprint) = (file.clone(), fingerprint.clone());
        self.read("read a draft", move |tx| drafts::embedded(tx, &file, &fingerprint)).await
    }

    async fn publish_draft(&self, file: &FileId, attempt: u32, now: UnixTime) -> Result<bool, StoreError> {
        let file = file.clone();
        self.write("publish a draft", move |tx| drafts::publish(tx, &file, attempt, now)).await
    }

    async fn discard_draft(&self, file: &FileId) -> Result<(), StoreError> {
        let file = file.clone();
        self.write("give a draft up", move |tx| drafts::discard(tx, &file)).await
    }

    async fn clear_away(&self, limit: u32) -> Result<bool, StoreError> {
        self.write("clear chunks away", move |tx| chunks::clear_away(tx, limit)).await
    }
}
