//! What the tests of this crate share: a small library that can be written to and asked.

use std::{collections::HashMap, sync::Arc, time::Duration};

use breezeway_core::{FileId, Lane, LaneConfig, UnixTime, UserId};
use breezeway_embedding::{EmbeddingModel, HashedModel, Purpose, Vector};
use breezeway_knowledge::{
    BlobHash, ChunkHash, ChunkStore, Document, FileCommit, FileState, LibraryStore, MemoryLibrary, NewChunk,
    NewFile,
};

use crate::{Answer, Leg, Question, Retriever, RetrieverConfig};

const NOW: UnixTime = UnixTime::from_seconds(0);

/// A library in memory.
pub(crate) struct Shelf {
    pub(crate) store: MemoryLibrary,
    pub(crate) model: Arc<HashedModel>,
    pub(crate) lane: Lane,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryLibrary::default(),
            model: Arc::new(HashedModel::new(256)),
            lane: Lane::new("search", LaneConfig { threads: 2, queue: 64 }),
        }
    }

    pub(crate) async fn retriever(&self, config: RetrieverConfig) -> Retriever {
        self.retriever_with(config, Some(self.model.clone())).await
    }

    pub(crate) async fn retriever_with(
        &self,
        config: RetrieverConfig,
        model: Option<Arc<dyn EmbeddingModel>>,
    ) -> Retriever {
        Retriever::open(config, Arc::new(self.store.clone()), model, self.lane.clone())
            .await
            .expect("the index opens")
    }

    /// Write a file, with vectors.
    pub(crate) async fn write(&self, name: &str, texts: &[&str]) {
        let vectors = self.vectors(texts).await;
        self.commit(name, texts, Some(vectors)).await;
    }

    /// Write a file whose vectors are yet to come.
    pub(crate) async fn write_words(&self, name: &str, texts: &[&str]) {
        self.commit(name, texts, None).await;
    }

    /// Add the vectors that are missing.
    pub(crate) async fn catch_up(&self) {
        let missing = self
            .store
            .chunks_without_vector(self.model.fingerprint(), 1000)
            .await
            .expect("the store is in memory");
        let texts: Vec<_> = missing.iter().map(|chunk| chunk.chunk.text.as_str()).collect();
        let vectors = self.vectors(&texts).await;
        self.store.add_vectors(self.model.fingerprint(), vectors).await.expect("the store is in memory");
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.store.delete_files(&[id(name)]).await.expect("the store is in memory");
    }

    async fn vectors(&self, texts: &[&str]) -> HashMap<ChunkHash, Vector> {
        let vectors = self.model.embed(Purpose::Passage, texts).await.expect("the model never fails");
        texts.iter().map(|text| ChunkHash::of(text)).zip(vectors).collect()
    }

    async fn commit(&self, name: &str, texts: &[&str], vectors: Option<HashMap<ChunkHash, Vector>>) {
        let file = id(name);
        if self.store.requeue_file(&file, NOW).await.expect("the store is in memory").is_none() {
            let new = NewFile {
                id: file.clone(),
                owner: "ada".parse::<UserId>().expect("an id"),
                name: name.to_owned(),
                media_type: "text/plain".to_owned(),
                size_bytes: 0,
                blob: BlobHash([0; 32]),
                metadata: serde_json::Map::new(),
                state: FileState::Pending,
            };
            self.store.insert_file(new, None, NOW).await.expect("the store is in memory");
        }
        let claim = self
            .store
            .claim_pending(NOW, Duration::from_secs(1))
            .await
            .expect("the store is in memory")
            .expect("one file is pending");
        let chunks = texts.iter().map(|text| chunk(text)).collect();
        let commit = FileCommit {
            file: claim.file.id,
            attempt: claim.attempt,
            text_hash: String::new(),
            document: Document::default(),
            chunks,
            vectors: vectors.map(|vectors| (self.model.fingerprint().clone(), vectors)),
        };
        assert!(self.store.commit_file(commit, NOW).await.expect("the store is in memory"));
    }
}

pub(crate) fn id(name: &str) -> FileId {
    name.parse().expect("a test names files sensibly")
}

pub(crate) fn chunk(text: &str) -> NewChunk {
    NewChunk {
        text: text.to_owned(),
        start: 0,
        end: text.len(),
        page: None,
        headings: Vec::new(),
        hash: ChunkHash::of(text),
    }
}

/// A question over files, as the settings of the product would have it.
pub(crate) fn question(text: &str, files: &[&str]) -> Question {
    Question {
        text: text.to_owned(),
        files: files.iter().map(|name| id(name)).collect(),
        limit: 10,
        min_similarity: 0.0,
        legs: Leg::Both,
        ..Question::default()
    }
}

/// The texts of an answer, best first.
pub(crate) fn texts(answer: &Answer) -> Vec<&str> {
    answer.passages.iter().map(|passage| passage.chunk.chunk.text.as_str()).collect()
}
