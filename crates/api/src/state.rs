//! What the handlers work with.

use std::{ops::Deref, sync::Arc};

use async_trait::async_trait;
use breezeway_auth::{AuditLog, Auth};
use breezeway_chat::{ChatRouter, history::SavedChats, responses::StoredResponses};
use breezeway_ingest::Ingestor;
use breezeway_knowledge::Library;
use breezeway_middleware::Proxies;
use breezeway_registry::{Connection, Registry};
use breezeway_retrieval::Retriever;
use breezeway_tools::ToolServers;
use breezeway_usage::Meter;
use serde_json::Value;

use crate::departures::Departures;

mod checkup;
mod sign_on;
mod tool_servers;
mod tuning;
mod vectors;
mod web;

pub use self::{
    checkup::{Checkup, Findings},
    sign_on::SignOn,
    tool_servers::{ToolKeeper, ToolKeeperError},
    tuning::{EmbeddingChange, EmbeddingView, RagConfig, RetrievalSettings, Tuning, TuningError},
    vectors::OwnEmbedding,
    web::{Web, WebPage},
};

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
    /// Files taken out of a collection stay, whatever the request says
    /// (`ENABLE_KNOWLEDGE_FILE_RETENTION`).
    pub keep_removed_files: bool,
    /// Session cookies are only sent over TLS.
    pub secure_cookies: bool,
    /// Where this server is reached from outside (`WEBUI_URL`), if that is known.
    pub public_url: Option<String>,
    /// The header an API key may come in.
    pub api_key_header: String,
    /// The proxies in front.
    pub proxies: Proxies,
    /// Whether a proxy signs people in, and nobody else.
    pub trusted_headers: bool,
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

/// Everything the handlers work with. A clone, and each request takes several, is one pointer.
#[derive(Clone)]
pub struct ApiState(Arc<ApiParts>);

impl Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl From<ApiParts> for ApiState {
    fn from(parts: ApiParts) -> Self {
        Self(Arc::new(parts))
    }
}

/// What an [`ApiState`] is made of.
pub struct ApiParts {
    /// Accounts and keys.
    pub auth: Auth,
    /// Who did what.
    pub audit: AuditLog,
    /// What was used, and what may be.
    pub meter: Meter,
    /// Deleting accounts.
    pub departures: Departures,
    /// Models and connections.
    pub registry: Registry,
    /// Changing connections.
    pub connections: Arc<dyn Connections>,
    /// Tool servers.
    pub tools: ToolServers,
    /// Changing tool servers.
    pub tool_keeper: Arc<dyn ToolKeeper>,
    /// Chats.
    pub chat: ChatRouter,
    /// Chats that are kept.
    pub saved: SavedChats,
    /// Files and collections.
    pub library: Library,
    /// Reading texts, and how far files have come.
    pub ingestor: Ingestor,
    /// Search.
    pub retriever: Retriever,
    /// Settings of retrieval.
    pub tuning: Arc<dyn Tuning>,
    /// Responses that are kept.
    pub responses: StoredResponses,
    /// Vectors for clients.
    pub vectors: Arc<dyn OwnEmbedding>,
    /// The web.
    pub web: Arc<dyn Web>,
    /// Whether what is kept is in order.
    pub checkup: Arc<dyn Checkup>,
    /// How the parts below are.
    pub health: Arc<dyn Health>,
    /// The provider through which people sign in, if there is one.
    pub sign_on: Option<SignOn>,
    /// Settings.
    pub config: Arc<ApiConfig>,
}
