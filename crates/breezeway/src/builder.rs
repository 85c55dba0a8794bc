//! The composition root: ports meet adapters here and nowhere else.

use std::sync::Arc;

use breezeway_api::{ApiConfig, ApiState, RetrievalView};
use breezeway_auth::{AccountStore, Auth, Sealer};
use breezeway_chat::{ChatRouter, ContextSource};
use breezeway_core::{Clock, Lane, Live, SettingsStore};
use breezeway_embedding::EmbeddingModel;
use breezeway_ingest::{IngestConfig, Ingestor};
use breezeway_knowledge::{BlobStore, ChunkStore, FsBlobs, Library, LibraryStore};
use breezeway_ollama::OllamaEmbedder;
use breezeway_registry::{ConnectionKind, ModelStore, Registry};
use breezeway_retrieval::{Leg, Retriever, RetrieverConfig};
use breezeway_store::{Store, StoreConfig};
use breezeway_upstream::{HttpClient, OpenAiEmbedder};
use serde_json::{Map, Value, json};
use std::time::Duration;

use crate::{
    Breezeway, Config, Embedding, Error, Result,
    glue::{Keeper, Pulse, RagContext, connector},
    lanes::Lanes,
    local_model::LocalModel,
};

/// Puts Breezeway together. Ports that are not given are served by SQLite and the file system.
pub struct Builder {
    config: Config,
    clock: Clock,
    accounts: Option<Arc<dyn AccountStore>>,
    context: Option<Arc<dyn ContextSource>>,
    blobs: Option<Arc<dyn BlobStore>>,
}

impl Builder {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, clock: Clock::system(), accounts: None, context: None, blobs: None }
    }

    /// Tell the time by another clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keep accounts somewhere else.
    #[must_use]
    pub fn accounts(mut self, accounts: Arc<dyn AccountStore>) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// Find context somewhere else.
    #[must_use]
    pub fn context(mut self, context: Arc<dyn ContextSource>) -> Self {
        self.context = Some(context);
        self
    }

    /// Keep uploaded bytes somewhere else.
    #[must_use]
    pub fn blobs(mut self, blobs: Arc<dyn BlobStore>) -> Self {
        self.blobs = Some(blobs);
        self
    }

    /// Open the stores and join the parts. No upstream is waited for, and nothing runs in the
    /// background until [`Breezeway::spawn`].
    ///
    /// # Errors
    /// If the data folder cannot be used, or what is in it cannot be read.
    pub async fn build(self) -> Result<Breezeway> {
        let Self { config, clock, accounts, context, blobs } = self;
        let lanes = Lanes::start(config.lanes);
        make_folder(&lanes.extract, &config).await?;

        let database = StoreConfig::at(config.data_folder.join("breezeway.db"));
        let store = Store::open(database, lanes.write.clone(), lanes.read.clone()).await?;
        let shared = Arc::new(store.clone());
        let settings: Arc<dyn SettingsStore> = shared.clone();
        let chunks: Arc<dyn ChunkStore> = shared.clone();
        let library_store: Arc<dyn LibraryStore> = shared.clone();
        let models: Arc<dyn ModelStore> = shared.clone();
        let accounts = accounts.unwrap_or(shared);

        let auth =
            Auth::open(config.auth.clone(), accounts, settings.clone(), lanes.hash.clone(), clock.clone()).await?;
        // What cannot be served is told now and not when the first request comes.
        crate::service::stack::<axum::body::Body>(&config.middleware, &auth, axum::Router::new())?;
        let sealer = Arc::new(Sealer::new(&config.auth.secret, &config.auth.previous_secrets)?);

        let client = HttpClient::new(config.client.clone());
        let kept = match config.persistent {
            true => Keeper::kept(settings.as_ref(), &sealer, config.waits).await?,
            false => None,
        };
        let mut connections = kept.unwrap_or_else(|| config.connections.clone());
        for connection in &mut connections {
            connection.timeout = config.waits.timeout;
            connection.idle_timeout = config.waits.idle_timeout;
            connection.enabled &= match connection.kind {
                ConnectionKind::OpenAi => config.api.openai_enabled,
                ConnectionKind::Ollama => config.api.ollama_enabled,
            };
        }
        let registry = Registry::open(
            config.registry.clone(),
            connections,
            models,
            connector(client.clone(), clock.clone()),
            clock.clone(),
        )
        .await?;
        let keeper = Keeper {
            registry: registry.clone(),
            settings: settings.clone(),
            sealer,
            client: client.clone(),
            waits: config.waits,
        };

        let blobs = match blobs {
            Some(blobs) => blobs,
            None => Arc::new(FsBlobs::open(config.data_folder.join("blobs")).await?),
        };
        let library = Library::new(config.library.clone(), library_store, blobs.clone(), clock.clone());
        library.sweep().await?;

        let (model, local) = model(&config, &client, &lanes)?;
        let missing = Live::new(match &config.embedding {
            Embedding::None => Some("No embedding model is configured: search goes by words alone.".to_owned()),
            _ => None,
        });
        let ingest = IngestConfig {
            plan: config.chunks,
            limits: config.limits,
            extraction: config.extraction.clone(),
            workers: config.lanes.extract.threads.max(1),
            lease: Duration::from_secs(30),
            attempts: 5,
            embed_batch: 32,
            poll_every: Duration::from_secs(5),
        };
        let ingestor = Ingestor::new(
            ingest,
            chunks.clone(),
            blobs,
            model.clone(),
            lanes.extract.clone(),
            clock.clone(),
            library.arrivals(),
        );
        let retriever_config =
            RetrieverConfig { index_folder: Some(config.data_folder.join("index")), ..RetrieverConfig::default() };
        let retriever = Retriever::open(retriever_config, chunks, model, lanes.search.clone()).await?;

        let retrieval = retrieval_view(&config);
        let context = context.unwrap_or_else(|| {
            Arc::new(RagContext {
                library: library.clone(),
                retriever: retriever.clone(),
                config: Arc::new(config.rag.clone()),
                embedding: retrieval.embedding_text(),
            })
        });
        let chat = ChatRouter::new(config.chat.clone(), registry.clone(), Some(context));
        let health = Pulse { store: store.clone(), registry: registry.clone(), embedding: missing.clone() };
        let state = ApiState {
            auth: auth.clone(),
            registry: registry.clone(),
            connections: Arc::new(keeper),
            chat: chat.clone(),
            library: library.clone(),
            progress: ingestor.progress().clone(),
            retriever: retriever.clone(),
            health: Arc::new(health),
            config: Arc::new(api_config(&config, retrieval)),
        };
        Ok(Breezeway::join(crate::service::Parts {
            config,
            store,
            auth,
            registry,
            chat,
            library,
            ingestor,
            retriever,
            state,
            client,
            local,
            missing,
        }))
    }
}

async fn make_folder(lane: &Lane, config: &Config) -> Result<()> {
    let folder = config.data_folder.clone();
    let shown = folder.display().to_string();
    let made = lane.run(move || std::fs::create_dir_all(folder)).await;
    let made = made.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    made.map_err(|source| Error::Folder { path: shown, source })
}

/// The embedding model, and the local one that may have to be fetched first.
fn model(
    config: &Config,
    client: &HttpClient,
    lanes: &Lanes,
) -> Result<(Option<Arc<dyn EmbeddingModel>>, Option<LocalModel>)> {
    Ok(match &config.embedding {
        Embedding::None => (None, None),
        Embedding::Model(model) => (Some(model.clone()), None),
        Embedding::OpenAi(embedder) => {
            (Some(Arc::new(OpenAiEmbedder::new(embedder.clone(), client.clone())?)), None)
        }
        Embedding::Ollama(embedder) => {
            (Some(Arc::new(OllamaEmbedder::new(embedder.clone(), client.clone())?)), None)
        }
        Embedding::Local(local) => {
            let local = LocalModel::new(local.clone(), client.clone(), lanes.embed.clone(), lanes.fetch.clone());
            (None, Some(local))
        }
    })
}

fn api_config(config: &Config, retrieval: RetrievalView) -> ApiConfig {
    ApiConfig {
        name: config.api.name.clone(),
        docs: config.api.docs,
        max_body_bytes: config.api.max_body_bytes,
        openai_enabled: config.api.openai_enabled,
        ollama_enabled: config.api.ollama_enabled,
        openai_passthrough: config.api.openai_passthrough,
        single_user: config.auth.single_user,
        retrieval,
        secure_cookies: config.api.secure_cookies,
    }
}

/// The settings of retrieval as the admin routes show them.
fn retrieval_view(config: &Config) -> RetrievalView {
    let (engine, model) = config.embedding.names();
    let mut shown = config.api.shown.clone();
    let ours = json!({
        "status": true,
        "TOP_K": config.rag.top_k,
        "RELEVANCE_THRESHOLD": config.rag.relevance_threshold,
        "ENABLE_RAG_HYBRID_SEARCH": config.rag.legs == Leg::Both,
        "RAG_FULL_CONTEXT": config.rag.full_context,
        "RAG_TEMPLATE": config.chat.rag_template,
        "CHUNK_SIZE": config.chunks.size,
        "CHUNK_OVERLAP": config.chunks.overlap,
        "CHUNK_MIN_SIZE_TARGET": config.chunks.min_size,
        "ENABLE_MARKDOWN_HEADER_TEXT_SPLITTER": config.chunks.by_heading,
        "TEXT_SPLITTER": "",
        "CONTENT_EXTRACTION_ENGINE": "",
        "ALLOWED_FILE_EXTENSIONS": config.library.allowed_extensions,
    });
    extend(&mut shown, ours);
    let mut embedding = Map::new();
    let (url, batch) = match &config.embedding {
        Embedding::OpenAi(embedder) | Embedding::Ollama(embedder) => (embedder.url.clone(), embedder.batch),
        _ => (String::new(), 8),
    };
    // Keys are not shown, not even in part: whoever set one knows it, and nobody else needs it.
    let at = |wanted: &str| json!({"url": if engine == wanted { url.as_str() } else { "" }, "key": ""});
    extend(
        &mut embedding,
        json!({
            "status": true,
            "RAG_EMBEDDING_ENGINE": engine,
            "RAG_EMBEDDING_MODEL": model,
            "RAG_EMBEDDING_BATCH_SIZE": batch,
            "openai_config": at("openai"),
            "ollama_config": at("ollama"),
        }),
    );
    RetrievalView {
        top_k: config.rag.top_k,
        relevance_threshold: config.rag.relevance_threshold,
        config: shown,
        embedding,
    }
}

fn extend(map: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        map.extend(more);
    }
}
