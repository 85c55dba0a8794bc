//! Settings of retrieval that an admin changes at run time, and the port to whoever applies them.

use std::time::Duration;

use async_trait::async_trait;
use breezeway_chat::ChatConfig;
use breezeway_core::{Classify, ErrorKind, Secret, StoreError};
use breezeway_ingest::{chunk::ChunkPlan, service::EngineConfig};
use breezeway_knowledge::LibraryConfig;
use breezeway_retrieval::Leg;
use serde_json::{Map, Value};

/// How context is searched for chats and queries.
#[derive(Clone, Debug, PartialEq)]
pub struct RagConfig {
    /// Passages of one answer, over everything it may see. Five find more than three for little more
    /// text (docs/decisions/0004-ranking.md).
    pub top_k: usize,
    /// Similarity (0 to 1) below which passages are dropped.
    pub relevance_threshold: f32,
    /// Which legs search unless a request says otherwise.
    pub legs: Leg,
    /// Weight of the dense leg; `None` for the measured default.
    pub dense_weight: Option<f32>,
    /// Whole texts instead of passages, for every item.
    pub full_context: bool,
    /// Tokens of the context of one question at most, estimated: the best passages that fit are sent, and
    /// a large file that is wanted whole does not become a request of hundreds of megabytes.
    pub context_tokens: u64,
    /// How long a question waits for files that were uploaded and have no text yet.
    pub file_wait: Duration,
}

impl Default for RagConfig {
    fn default() -> Self {
        Self {
            top_k: 5,
            relevance_threshold: 0.0,
            legs: Leg::Both,
            dense_weight: None,
            full_context: false,
            context_tokens: 1_000_000,
            file_wait: Duration::from_secs(30),
        }
    }
}

/// Everything of retrieval that changes at run time: what the search goes by, and the configurations
/// of the parts that go by the rest.
#[derive(Clone, Debug)]
pub struct RetrievalSettings {
    /// The search.
    pub rag: RagConfig,
    /// The prompt around what was found.
    pub chat: ChatConfig,
    /// How texts are cut.
    pub chunks: ChunkPlan,
    /// Who reads documents.
    pub engine: EngineConfig,
    /// What uploads are accepted.
    pub library: LibraryConfig,
    /// The largest upload where no limit is set.
    pub unlimited_upload_bytes: u64,
    /// Nothing is embedded, and whole texts are used. Set at the start only.
    pub bypass: bool,
    /// Address and model of the reranker, if there is one. Set at the start only.
    pub reranker: Option<(String, String)>,
}

/// The embedding model in use, as the admin routes show it.
#[derive(Clone, Debug)]
pub struct EmbeddingView {
    /// `openai`, `ollama`, `custom`, or nothing for the local model and for none.
    pub engine: String,
    /// Its name.
    pub model: String,
    /// Texts of one request.
    pub batch: usize,
    /// Where OpenAI's dialect is spoken.
    pub openai_url: String,
    /// Where Ollama's is.
    pub ollama_url: String,
    /// The key of the service in use.
    pub key: Option<Secret>,
}

impl EmbeddingView {
    /// `embedding_config` of a passage's metadata, in the form clients have seen it in.
    pub fn metadata(&self) -> String {
        format!("{{'engine': '{}', 'model': '{}'}}", self.engine, self.model)
    }
}

/// Another embedding model.
#[derive(Clone, Debug)]
pub struct EmbeddingChange {
    /// `openai`, `ollama`, or nothing for the local model.
    pub engine: String,
    /// Its name.
    pub model: String,
    /// Texts of one request; `None` leaves it.
    pub batch: Option<usize>,
    /// Where it is; `None` leaves it.
    pub url: Option<String>,
    /// Its key; `None` leaves it, as long as the address stays.
    pub key: Option<Secret>,
}

/// Why a setting was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// It makes no sense; the text says why, for the admin.
    #[error("{0}")]
    Invalid(String),
    /// The embedding model did not embed; the text says why, for the admin.
    #[error("the embedding model cannot be used: {0}")]
    Embedding(String),
    /// It was not kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Classify for TuningError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Embedding(_) => ErrorKind::Invalid,
            Self::Store(store) => store.kind(),
        }
    }
}

/// Applies settings of retrieval and keeps them for the next start.
#[async_trait]
pub trait Tuning: Send + Sync + 'static {
    /// What is in force.
    fn settings(&self) -> RetrievalSettings;

    /// Apply a change, given by the names of [`crate::retrieval_config`], to everything that goes by it.
    async fn change(&self, change: &Map<String, Value>) -> Result<(), crate::SettingRefusal>;

    /// The embedding model in use.
    fn embedding(&self) -> EmbeddingView;

    /// Use another embedding model, once it has shown that it embeds.
    async fn change_embedding(&self, change: EmbeddingChange) -> Result<(), TuningError>;
}
