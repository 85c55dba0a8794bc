//! What the handlers work with.

use std::sync::Arc;

use async_trait::async_trait;
use breezeway_auth::Auth;
use breezeway_chat::ChatRouter;
use breezeway_ingest::ProgressBoard;
use breezeway_knowledge::Library;
use breezeway_registry::{Connection, Registry};
use breezeway_retrieval::Retriever;
use serde_json::{Map, Value};

/// What the API needs to know.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// `name` of `GET /api/config`.
    pub name: String,
    /// Serve `/docs` and `/openapi.json`.
    pub docs: bool,
    /// The largest body of a request that is no upload, in bytes.
    pub max_body_bytes: usize,
    /// Whether OpenAI-compatible connections are used at all.
    pub openai_enabled: bool,
    /// Whether Ollama connections are used at all.
    pub ollama_enabled: bool,
    /// Whether `/openai/{path}` is open (`ENABLE_OPENAI_API_PASSTHROUGH`).
    pub openai_passthrough: bool,
    /// Whether requests without a credential are those of the one account.
    pub single_user: bool,
    /// The contract's settings of retrieval, as the admin routes show them.
    pub retrieval: RetrievalView,
    /// Session cookies are only sent over TLS.
    pub secure_cookies: bool,
}

/// Settings of retrieval as the admin routes show them, and what the query routes default to.
#[derive(Clone, Debug)]
pub struct RetrievalView {
    /// Passages for a query that does not say how many.
    pub top_k: usize,
    /// Similarity below which passages are dropped.
    pub relevance_threshold: f32,
    /// `GET /api/v1/retrieval/config`, without secrets.
    pub config: Map<String, Value>,
    /// `GET /api/v1/retrieval/embedding`, without secrets.
    pub embedding: Map<String, Value>,
}

impl RetrievalView {
    /// `embedding_config` of a passage's metadata, in the form clients have seen it in.
    pub fn embedding_text(&self) -> String {
        let text =
            |name: &str| self.embedding.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!(
            "{{'engine': '{}', 'model': '{}'}}",
            text("RAG_EMBEDDING_ENGINE"),
            text("RAG_EMBEDDING_MODEL")
        )
    }
}

/// Answers whether the parts below the API are well.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// Whether the database answers.
    async fn database(&self) -> bool;

    /// What is not ready yet or works in a lesser way, one sentence each; empty when all is well.
    fn shortcomings(&self) -> Vec<String>;
}

/// Applies connections that an admin has changed and keeps them for the next start.
#[async_trait]
pub trait Connections: Send + Sync + 'static {
    /// Use exactly these from now on.
    async fn replace(&self, connections: Vec<Connection>) -> Result<(), breezeway_registry::Error>;

    /// Ask whether a connection that is not in use yet would work.
    async fn verify(&self, connection: &Connection) -> Result<Value, breezeway_registry::UpstreamError>;
}

/// Everything the handlers work with. Clones are cheap.
#[derive(Clone)]
pub struct ApiState {
    /// Accounts and keys.
    pub auth: Auth,
    /// Models and connections.
    pub registry: Registry,
    /// Changing connections.
    pub connections: Arc<dyn Connections>,
    /// Chats.
    pub chat: ChatRouter,
    /// Files and collections.
    pub library: Library,
    /// How far files have come.
    pub progress: ProgressBoard,
    /// Search.
    pub retriever: Retriever,
    /// How the parts below are.
    pub health: Arc<dyn Health>,
    /// Settings.
    pub config: Arc<ApiConfig>,
}
