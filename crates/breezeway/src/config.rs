//! What Breezeway needs to know: plain values, no environment.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use breezeway_api::RagConfig;
use breezeway_auth::{AuthConfig, AuthSettings, ExternalPolicy, PasswordParams};
use breezeway_chat::{CacheConfig, ChatConfig, QueryGeneration, ToolLimits};
use breezeway_core::{ModelId, Secret};
use breezeway_embedding::EmbeddingModel;
use breezeway_ingest::{
    Extraction,
    chunk::ChunkPlan,
    extract::{Limits, Ocr},
    service::EngineConfig,
};
use breezeway_knowledge::LibraryConfig;
use breezeway_middleware::MiddlewareConfig;
use breezeway_oidc::OidcConfig;
use breezeway_registry::{Connection, RegistryConfig};
use breezeway_tools::ToolServer;
use breezeway_upstream::{ClientConfig, EmbedderConfig, WebConfig};
use breezeway_usage::{PriceTable, UsageConfig};

use crate::{LaneSizes, LocalModelConfig, RerankerConfig, Waits};

/// What the local model is called.
pub(crate) const LOCAL_MODEL: &str = "sentence-transformers/all-MiniLM-L6-v2";
/// The largest upload where nobody has set a limit.
pub(crate) const UNLIMITED_UPLOAD_BYTES: u64 = 4 << 30;

/// Everything that can be set. [`Config::at`] gives values that suit a fresh start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept: database, uploads, index, models.
    pub data_folder: PathBuf,
    /// Accounts, sessions and keys.
    pub auth: AuthConfig,
    /// Upstream endpoints, unless an admin has changed them since (see `persistent`).
    pub connections: Vec<Connection>,
    /// How long upstreams may take.
    pub waits: Waits,
    /// What looks at the best passages again, if anything does.
    pub reranker: Option<RerankerConfig>,
    /// Whether what admins change at run time wins over this configuration at the next start.
    pub persistent: bool,
    /// For how many days the audit log is kept; `None` for ever.
    pub audit_days: Option<u32>,
    /// For how many days the ledger of usage is kept, beside the current one; `None` for ever.
    pub usage_days: Option<u32>,
    /// How usage is counted.
    pub usage: UsageConfig,
    /// What tokens cost, by model.
    pub prices: PriceTable,
    /// The model list.
    pub registry: RegistryConfig,
    /// The chat router.
    pub chat: ChatConfig,
    /// Answers that are kept for those who ask the same again.
    pub cache: CacheConfig,
    /// Tool servers, unless an admin has changed them since (see `persistent`).
    pub tool_servers: Vec<ToolServer>,
    /// How far a request may go with tools.
    pub tool_limits: ToolLimits,
    /// The model or alias that answers for collections that are asked like models; without it none can be.
    pub knowledge_model: Option<ModelId>,
    /// What uploads are accepted.
    pub library: LibraryConfig,
    /// How text is cut.
    pub chunks: ChunkPlan,
    /// What reading a document may use.
    pub limits: Limits,
    /// Where documents are read.
    pub extraction: Extraction,
    /// The service that reads documents instead, unless an admin has changed it since (see `persistent`).
    pub engine: EngineConfig,
    /// How the text of pictures is recognised, if it is.
    pub ocr: Option<Ocr>,
    /// What turns text into vectors, unless an admin has changed it since (see `persistent`).
    pub embedding: Embedding,
    /// The local model that an admin may go over to, if there is to be one.
    pub local_model: Option<LocalModelConfig>,
    /// What an embedding service that an admin goes over to starts from: prefixes and limits. Address,
    /// key and model are the admin's.
    pub embedding_service: EmbedderConfig,
    /// Embed nothing, ever, and use whole texts.
    pub bypass_embedding: bool,
    /// How context is searched for chats and queries.
    pub rag: RagConfig,
    /// What users may have fetched from the web.
    pub web: WebConfig,
    /// The HTTP API.
    pub api: ApiSettings,
    /// The provider that people sign in through, if there is one.
    pub sign_on: Option<SignOnConfig>,
    /// What stands in front of the API.
    pub middleware: MiddlewareConfig,
    /// The client towards upstreams.
    pub client: ClientConfig,
    /// Threads for heavy work.
    pub lanes: LaneSizes,
}

/// What turns text into vectors.
#[derive(Clone)]
pub enum Embedding {
    /// Nothing: search goes by words.
    None,
    /// The local default model, fetched when it is not there yet.
    Local(LocalModelConfig),
    /// A service that speaks OpenAI's embeddings API.
    OpenAi(EmbedderConfig),
    /// An Ollama server.
    Ollama(EmbedderConfig),
    /// Any other model.
    Model(Arc<dyn EmbeddingModel>),
}

impl Embedding {
    /// The engine's and the model's names, as the API shows them.
    pub(crate) fn names(&self) -> (&'static str, String) {
        match self {
            Self::None => ("", String::new()),
            Self::Local(_) => ("", LOCAL_MODEL.into()),
            Self::OpenAi(config) => ("openai", config.model.clone()),
            Self::Ollama(config) => ("ollama", config.model.clone()),
            Self::Model(model) => ("custom", model.fingerprint().to_string()),
        }
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (engine, model) = self.names();
        f.debug_struct("Embedding").field("engine", &engine).field("model", &model).finish()
    }
}

/// The HTTP API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// What the server calls itself.
    pub name: String,
    /// Serve `/docs` and `/openapi.json`.
    pub docs: bool,
    /// The largest body of a request that is no upload, in bytes.
    pub max_body_bytes: usize,
    /// Whether OpenAI-compatible connections are used at all.
    pub openai_enabled: bool,
    /// Whether Ollama connections are used at all.
    pub ollama_enabled: bool,
    /// Whether `/openai/{path}` is open.
    pub openai_passthrough: bool,
    /// Session cookies are only sent over TLS.
    pub secure_cookies: bool,
    /// Files taken out of a collection stay, whatever the request says.
    pub keep_removed_files: bool,
    /// Where this server is reached from outside, such as `https://chat.example.org`.
    pub public_url: Option<String>,
}

/// Signing in through an OpenID Connect provider.
#[derive(Clone, Debug)]
pub struct SignOnConfig {
    /// The provider, and what its claims mean.
    pub provider: OidcConfig,
    /// What its people may do here.
    pub policy: ExternalPolicy,
    /// The address of ours to which it sends people back; `None` for `/oauth/oidc/callback` where this
    /// server is reached.
    pub return_to: Option<String>,
}

impl Config {
    /// A configuration for the data in `folder`: no upstreams, no embedding model, documents read in
    /// this process. `secret` signs session tokens and seals keys; losing it ends all sessions.
    pub fn at(folder: impl Into<PathBuf>, secret: impl Into<Secret>) -> Self {
        Self {
            data_folder: folder.into(),
            auth: AuthConfig {
                secret: secret.into(),
                previous_secrets: Vec::new(),
                password: PasswordParams::default(),
                password_rule: None,
                settings: AuthSettings::default(),
                persistent_settings: true,
                single_user: false,
            },
            connections: Vec::new(),
            waits: Waits::default(),
            reranker: None,
            persistent: true,
            audit_days: None,
            usage_days: None,
            usage: UsageConfig::default(),
            prices: PriceTable::empty(),
            registry: RegistryConfig {
                refresh_every: Duration::from_secs(30),
                catalog_timeout: Duration::from_secs(10),
                open_to_all: false,
                order: Vec::new(),
                aliases: Vec::new(),
                fleet: Default::default(),
            },
            chat: ChatConfig {
                rag_template: String::new(),
                rag_in_system: false,
                links: None,
                query_generation: QueryGeneration::Auto,
                task_model: None,
            },
            knowledge_model: None,
            cache: CacheConfig { max_bytes: 0, time_to_live: Duration::from_secs(3600) },
            tool_servers: Vec::new(),
            tool_limits: ToolLimits::default(),
            library: LibraryConfig {
                max_upload_bytes: UNLIMITED_UPLOAD_BYTES,
                allowed_extensions: Vec::new(),
            },
            chunks: ChunkPlan::default(),
            limits: Limits::default(),
            extraction: Extraction::InProcess,
            engine: EngineConfig::default(),
            ocr: None,
            embedding: Embedding::None,
            local_model: None,
            embedding_service: EmbedderConfig::new("", ""),
            bypass_embedding: false,
            web: WebConfig::default(),
            rag: RagConfig::default(),
            api: ApiSettings {
                name: "Breezeway".into(),
                docs: false,
                max_body_bytes: 64 << 20,
                openai_enabled: true,
                ollama_enabled: true,
                openai_passthrough: false,
                secure_cookies: false,
                keep_removed_files: false,
                public_url: None,
            },
            sign_on: None,
            middleware: MiddlewareConfig::default(),
            client: ClientConfig::default(),
            lanes: LaneSizes::default(),
        }
    }
}
