//! Breezeway as one value.

use std::sync::Arc;

use axum::{Router, middleware::from_fn};
use breezeway_api::{ApiState, Checkup as _, Departures, Findings};
use breezeway_auth::{AuditLog, Auth};
use breezeway_chat::{ChatRouter, history::SavedChats};
use breezeway_core::StoreError;
use breezeway_ingest::Ingestor;
use breezeway_knowledge::Library;
use breezeway_middleware::{InvalidConfig, MiddlewareConfig, Stack};
use breezeway_ollama::{Passthrough, PassthroughConfig};
use breezeway_registry::Registry;
use breezeway_retrieval::Retriever;
use breezeway_store::Store;
use breezeway_tools::ToolServers;
use breezeway_upstream::{BoxError, HttpClient};
use breezeway_usage::Meter;
use bytes::Bytes;
use tower::Layer;

use crate::{
    Builder, Config,
    glue::{Embedder, Others, Shelf, Survey},
    tasks::Background,
};

/// The gateway: its parts, in process; its HTTP API, as a tower service; its background work.
/// Clones share one state.
#[derive(Clone)]
pub struct Breezeway(Arc<Parts>);

/// Put the layers around a router.
pub(crate) fn stack<B>(
    config: &MiddlewareConfig,
    auth: &Auth,
    meter: &Meter,
    router: Router,
) -> Result<Stack<B>, InvalidConfig>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    breezeway_middleware::stack(config, auth.clone(), meter.clone(), router)
}

pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) survey: Survey,
    pub(crate) auth: Auth,
    pub(crate) audit: AuditLog,
    pub(crate) meter: Meter,
    pub(crate) registry: Registry,
    pub(crate) chat: ChatRouter,
    pub(crate) tools: ToolServers,
    pub(crate) saved: SavedChats,
    pub(crate) departures: Departures,
    pub(crate) shelf: Option<Arc<Shelf>>,
    pub(crate) library: Library,
    pub(crate) ingestor: Ingestor,
    pub(crate) retriever: Retriever,
    pub(crate) state: ApiState,
    pub(crate) client: HttpClient,
    pub(crate) embedder: Arc<Embedder>,
}

impl Breezeway {
    /// Begin with a configuration.
    pub fn builder(config: Config) -> Builder {
        Builder::new(config)
    }

    pub(crate) fn join(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }

    /// The configuration it was built with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Who did what.
    pub fn audit(&self) -> &AuditLog {
        &self.0.audit
    }

    /// Accounts, sessions, keys.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    /// What was used, and what may be.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Models and connections.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Chats, without a socket.
    pub fn chat(&self) -> &ChatRouter {
        &self.0.chat
    }

    /// Chats that are kept.
    pub fn saved(&self) -> &SavedChats {
        &self.0.saved
    }

    /// Files and collections.
    pub fn library(&self) -> &Library {
        &self.0.library
    }

    /// Search.
    pub fn retriever(&self) -> &Retriever {
        &self.0.retriever
    }

    /// The database, for consistency checks.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Look for contradictions among rows, chunks, vectors, index and uploaded bytes. Reads everything.
    ///
    /// # Errors
    /// If something cannot be read at all.
    pub async fn check(&self) -> Result<Findings, StoreError> {
        self.0.survey.check().await
    }

    /// Repair what [`Breezeway::check`] finds, as far as it can be, and answer what was found. Whether
    /// anything is left, another check tells.
    ///
    /// # Errors
    /// If something cannot be read or written at all.
    pub async fn repair(&self) -> Result<Findings, StoreError> {
        self.0.survey.repair().await
    }

    /// The whole HTTP API with everything that stands in front of it, as a cloneable tower service.
    /// It can be served by hyper or nested in an axum router: `B` is whatever body requests come with.
    pub fn service<B>(&self) -> Stack<B>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        stack(&self.0.config.middleware, &self.0.auth, &self.0.meter, self.router())
            .expect("the same settings made a stack when this was built")
    }

    /// The API's routes alone, without credentials, limits and headers.
    fn router(&self) -> Router {
        let passthrough = PassthroughConfig {
            max_request_bytes: self.0.config.api.max_body_bytes,
            enabled: self.0.config.api.ollama_enabled,
            ..PassthroughConfig::default()
        };
        let (registry, client, meter) =
            (self.0.registry.clone(), self.0.client.clone(), self.0.meter.clone());
        let router = breezeway_api::router(self.0.state.clone());
        let others = Others {
            registry: self.0.registry.clone(),
            chat: self.0.chat.clone(),
            vectors: self.0.embedder.clone(),
            router: router.clone(),
        };
        let passthrough =
            Passthrough::new(registry, client, meter, passthrough).with_elsewhere(Arc::new(others));
        let passthrough = from_fn(breezeway_api::refuse_bad_credentials).layer(passthrough);
        router.nest_service("/ollama", passthrough)
    }

    /// Start the background work on the current tokio runtime: refreshing models, processing files,
    /// following the chunk log, fetching the embedding model.
    pub fn spawn(&self) -> Background {
        Background::start(self)
    }
}
