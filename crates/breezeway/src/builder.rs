//! The composition root: ports meet adapters here and nowhere else.

use std::{path::Path, sync::Arc, time::Duration};

use breezeway_api::{ApiConfig, ApiParts, DepartureParts, Departures, RetrievalSettings, SignOn};
use breezeway_auth::{AccountStore, AuditLog, Auth, Sealer};
use breezeway_chat::{
    ChatRouter, ContextSource,
    history::{ChatStore, SavedChats},
    responses::StoredResponses,
};
use breezeway_core::{Clock, Lane, Live, SettingsStore};
use breezeway_ingest::{IngestConfig, IngestStores, Ingestor};
use breezeway_knowledge::{BlobStore, ChunkStore, DraftStore, FsBlobs, Library, LibraryStore};
use breezeway_middleware::Proxies;
use breezeway_oidc::OidcProvider;
use breezeway_registry::{ConnectionKind, ModelStore, Registry};
use breezeway_retrieval::{Retriever, RetrieverConfig};
use breezeway_store::{Store, StoreConfig};
use breezeway_tools::ToolServers;
use breezeway_upstream::{HttpClient, WebClient};
use breezeway_usage::{LedgerStore, Meter};
use serde_json::Map;
use tokio::sync::Mutex;

use crate::{
    Breezeway, Config, Embedding, Error, Result, SignOnConfig,
    config::UNLIMITED_UPLOAD_BYTES,
    glue::{
        Embedder, Keeper, Onlooker, Pages, Pulse, RagContext, RemoteReranker, Shed, Shelf, Survey, Tuner,
        Workshop, connector, own_model,
    },
    lanes::Lanes,
};

/// Puts Breezeway together. Ports that are not given are served by SQLite and the file system.
pub struct Builder {
    config: Config,
    clock: Clock,
    accounts: Option<Arc<dyn AccountStore>>,
    context: Option<Arc<dyn ContextSource>>,
    blobs: Option<Arc<dyn BlobStore>>,
    sweeps: bool,
}

impl Builder {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, clock: Clock::system(), accounts: None, context: None, blobs: None, sweeps: true }
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

    /// Leave uploaded bytes that no file has where they are, for a look at what there is. Otherwise they
    /// are deleted when this is built.
    #[must_use]
    pub fn without_sweep(mut self) -> Self {
        self.sweeps = false;
        self
    }

    /// Open the stores and join the parts. No upstream is waited for, and nothing runs in the
    /// background until [`Breezeway::spawn`].
    ///
    /// # Errors
    /// If the data folder cannot be used, or what is in it cannot be read.
    pub async fn build(self) -> Result<Breezeway> {
        let Self { config, clock, accounts, context, blobs, sweeps } = self;
        let lanes = Lanes::start(config.lanes);
        make_folder(&lanes.extract, &config).await?;

        let database = StoreConfig::at(config.data_folder.join("breezeway.db"));
        let store = Store::open(database, lanes.write.clone(), lanes.read.clone()).await?;
        let shared = Arc::new(store.clone());
        let settings: Arc<dyn SettingsStore> = shared.clone();
        let chunks: Arc<dyn ChunkStore> = shared.clone();
        let drafts: Arc<dyn DraftStore> = shared.clone();
        let library_store: Arc<dyn LibraryStore> = shared.clone();
        let models: Arc<dyn ModelStore> = shared.clone();
        let ledger: Arc<dyn LedgerStore> = shared.clone();
        let audit = AuditLog::new(shared.clone(), clock.clone());
        let chats: Arc<dyn ChatStore> = shared.clone();
        let saved = SavedChats::new(chats, clock.clone());
        let responses = StoredResponses::new(shared.clone(), clock.clone());
        let accounts = accounts.unwrap_or(shared);

        let auth =
            Auth::open(config.auth.clone(), accounts, settings.clone(), lanes.hash.clone(), clock.clone())
                .await?;
        let meter = Meter::open(config.usage.clone(), ledger, config.prices.clone(), clock.clone()).await?;
        // What cannot be served is told now and not when the first request comes.
        crate::service::stack::<axum::body::Body>(&config.middleware, &auth, &meter, axum::Router::new())?;
        let sealer = Arc::new(Sealer::new(&config.auth.secret, &config.auth.previous_secrets)?);

        let client = HttpClient::new(config.client.clone());
        let kept = match config.persistent {
            true => Keeper::kept(settings.as_ref(), &sealer, config.waits).await?,
            false => None,
        };
        if let Some(kept) = kept.as_ref().filter(|_| sealer.has_previous()) {
            Keeper::seal_anew(settings.as_ref(), &sealer, kept).await?;
        }
        let mut connections = kept.unwrap_or_else(|| config.connections.clone());
        for connection in &mut connections {
            connection.timeout = connection.timeout.or(config.waits.timeout);
            connection.idle_timeout = connection.idle_timeout.or(config.waits.idle_timeout);
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
        let changes = match config.persistent {
            true => Tuner::kept(settings.as_ref()).await?,
            false => Map::new(),
        };
        let tuned = Tuner::with_kept(retrieval_settings(&config), &changes);

        let blobs = match blobs {
            Some(blobs) => blobs,
            None => Arc::new(FsBlobs::open(config.data_folder.join("blobs")).await?),
        };
        let library =
            Library::new(tuned.library.clone(), library_store.clone(), blobs.clone(), clock.clone());
        if sweeps {
            library.sweep().await?;
        }
        let shelf = match config.knowledge_model.clone() {
            Some(base) => {
                let (registry, changes) = (registry.clone(), library.changes());
                let shelf = Shelf { base, store: library_store, registry, changes };
                shelf.renew().await?;
                Some(Arc::new(shelf))
            }
            None => None,
        };

        let workshop = Workshop::new(&config, &client, &lanes);
        let kept = match config.persistent && !config.bypass_embedding {
            true => workshop.kept(settings.as_ref(), &sealer).await?,
            false => None,
        };
        if let Some(kept) = kept.as_ref().filter(|_| sealer.has_previous()) {
            Workshop::seal_anew(settings.as_ref(), &sealer, kept).await?;
        }
        let embedding = kept.unwrap_or_else(|| config.embedding.clone());
        let model = workshop.model(&embedding)?;
        let missing = Live::new(match &embedding {
            Embedding::None => {
                Some("No embedding model is configured: search goes by words alone.".to_owned())
            }
            Embedding::Local(_) => Some(
                "The local embedding model is being made ready; until then search goes by words alone."
                    .to_owned(),
            ),
            _ => None,
        });
        let ingest = IngestConfig {
            plan: tuned.chunks,
            limits: config.limits,
            extraction: config.extraction.clone(),
            workers: config.lanes.extract.threads.max(1),
            lease: Duration::from_secs(30),
            attempts: 5,
            embed_batch: 32,
            embeds_at_once: 2,
            poll_every: Duration::from_secs(5),
        };
        let ingestor = Ingestor::new(
            ingest,
            IngestStores { chunks: chunks.clone(), drafts, blobs },
            model.clone(),
            lanes.extract.clone(),
            clock.clone(),
            library.bells(),
        );
        let own = own_model(&embedding, model.as_ref()).filter(|_| !config.bypass_embedding);
        let retriever_config = RetrieverConfig {
            index_folder: Some(config.data_folder.join("index")),
            ..RetrieverConfig::default()
        };
        let retriever = Retriever::open(retriever_config, chunks, model, lanes.search.clone()).await?;
        if let Some(reranker) = &config.reranker {
            let reranker = RemoteReranker::new(reranker, client.clone()).map_err(Error::Reranker)?;
            retriever.set_reranker(Some(Arc::new(reranker)));
        }
        let embedder = Arc::new(Embedder {
            own: Live::new(own),
            now: Live::new(embedding),
            turn: Mutex::default(),
            workshop,
            bypass: config.bypass_embedding,
            settings: settings.clone(),
            sealer: sealer.clone(),
            registry: registry.clone(),
            ingestor: ingestor.clone(),
            retriever: retriever.clone(),
            missing: missing.clone(),
        });

        let live = Live::new(tuned.clone());
        let context = context.unwrap_or_else(|| {
            Arc::new(RagContext {
                library: library.clone(),
                retriever: retriever.clone(),
                meter: meter.clone(),
                onlooker: Onlooker { library: library.clone(), audit: audit.clone() },
                settings: live.clone(),
                embedder: embedder.clone(),
            })
        });
        let kept = match config.persistent {
            true => Shed::kept(settings.as_ref(), &sealer).await?,
            false => None,
        };
        if let Some(kept) = kept.as_ref().filter(|_| sealer.has_previous()) {
            Shed::keep(settings.as_ref(), &sealer, kept).await?;
        }
        let tools = ToolServers::new(client.clone());
        tools.set(kept.unwrap_or_else(|| config.tool_servers.clone()))?;
        let chat = ChatRouter::new(tuned.chat, registry.clone(), meter.clone(), Some(context))
            .with_cache(config.cache)
            .with_tools(Arc::new(tools.clone()), config.tool_limits);
        let shed = Shed {
            servers: tools.clone(),
            settings: settings.clone(),
            sealer: sealer.clone(),
            turn: Mutex::default(),
        };
        let tuner = Tuner {
            live,
            changes: Mutex::new(changes),
            settings: settings.clone(),
            library: library.clone(),
            chat: chat.clone(),
            ingestor: ingestor.clone(),
            embedder: embedder.clone(),
            client: client.clone(),
        };
        tuner.begin();
        ingestor.set_ocr(config.ocr.clone());
        let keeper = Keeper {
            registry: registry.clone(),
            settings,
            sealer,
            client: client.clone(),
            waits: config.waits,
        };
        let health = Pulse { store: store.clone(), registry: registry.clone(), embedding: missing };
        let sign_on = config.sign_on.clone().map(|sign_on| provider(sign_on, &clock)).transpose()?;
        let departures = Departures::from(DepartureParts {
            auth: auth.clone(),
            audit: audit.clone(),
            library: library.clone(),
            registry: registry.clone(),
            responses: responses.clone(),
            saved: saved.clone(),
        });
        let survey = Survey { store: store.clone(), library: library.clone(), retriever: retriever.clone() };
        let state = ApiParts {
            auth: auth.clone(),
            departures: departures.clone(),
            audit: audit.clone(),
            meter: meter.clone(),
            registry: registry.clone(),
            connections: Arc::new(keeper),
            tools: tools.clone(),
            tool_keeper: Arc::new(shed),
            chat: chat.clone(),
            saved: saved.clone(),
            library: library.clone(),
            ingestor: ingestor.clone(),
            retriever: retriever.clone(),
            tuning: Arc::new(tuner),
            responses,
            vectors: embedder.clone(),
            web: Arc::new(Pages(WebClient::new(config.web.clone()))),
            checkup: Arc::new(survey.clone()),
            health: Arc::new(health),
            sign_on,
            config: Arc::new(api_config(&config)?),
        };
        Ok(Breezeway::join(crate::service::Parts {
            config,
            store,
            survey,
            auth,
            audit,
            meter,
            registry,
            chat,
            tools,
            saved,
            departures,
            shelf,
            library,
            ingestor,
            retriever,
            state: state.into(),
            client,
            embedder,
        }))
    }
}

/// A folder that only its owner can look into: it holds what others have uploaded. One that is there
/// already keeps the rights its owner gave it.
///
/// # Errors
/// If it cannot be made.
pub fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

async fn make_folder(lane: &Lane, config: &Config) -> Result<()> {
    let folder = config.data_folder.clone();
    let shown = folder.display().to_string();
    let made = lane.run(move || private_folder(&folder)).await;
    let made = made.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    made.map_err(|source| Error::Folder { path: shown, source })
}

fn provider(config: SignOnConfig, clock: &Clock) -> Result<SignOn> {
    let SignOnConfig { provider, policy, return_to } = config;
    Ok(SignOn { provider: Arc::new(OidcProvider::new(provider, clock.clone())?), policy, return_to })
}

fn api_config(config: &Config) -> Result<ApiConfig> {
    Ok(ApiConfig {
        name: config.api.name.clone(),
        docs: config.api.docs,
        max_body_bytes: config.api.max_body_bytes,
        openai_enabled: config.api.openai_enabled,
        ollama_enabled: config.api.ollama_enabled,
        openai_passthrough: config.api.openai_passthrough,
        single_user: config.auth.single_user,
        keep_removed_files: config.api.keep_removed_files,
        secure_cookies: config.api.secure_cookies,
        public_url: config.api.public_url.clone(),
        api_key_header: config.middleware.api_key_header.clone(),
        proxies: Proxies::new(&config.middleware.proxies)?,
        trusted_headers: config.middleware.trusted_headers.is_some(),
    })
}

/// The settings of retrieval as they are configured.
pub(crate) fn retrieval_settings(config: &Config) -> RetrievalSettings {
    RetrievalSettings {
        rag: config.rag.clone(),
        chat: config.chat.clone(),
        chunks: config.chunks,
        engine: config.engine.clone(),
        library: config.library.clone(),
        unlimited_upload_bytes: UNLIMITED_UPLOAD_BYTES,
        bypass: config.bypass_embedding,
        reranker: config.reranker.as_ref().map(|it| (it.url.clone(), it.model.clone())),
    }
}
