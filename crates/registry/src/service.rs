//! The registry: which models there are, who may use them, and who serves them.

use std::{sync::Arc, time::Duration};

use breezeway_core::{Clock, ModelId, Principal};

use crate::{
    Connection, ConnectionKind, Model, ModelStore, NewOverlay, Overlay, Result, Upstream, UpstreamError,
};

/// What the registry needs to know.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Time between two background refreshes.
    pub refresh_every: Duration,
    /// Longest wait for one upstream's list.
    pub catalog_timeout: Duration,
    /// Every user sees every model (the contract's `BYPASS_MODEL_ACCESS_CONTROL`).
    pub open_to_all: bool,
    /// Ids in the order to list them; others follow.
    pub order: Vec<String>,
}

/// Makes the adapter for a connection.
pub type Connector = Arc<dyn Fn(&Connection) -> Result<Arc<dyn Upstream>> + Send + Sync>;

/// Where a request for a model goes.
#[derive(Clone)]
pub struct Route {
    /// The model asked for.
    pub model: Arc<Model>,
    /// Its custom layer, if it has one: system prompt and parameters to apply.
    pub overlay: Option<Arc<Overlay>>,
    /// The connection chosen.
    pub connection: Arc<Connection>,
    /// How to speak to it.
    pub upstream: Arc<dyn Upstream>,
    /// What the upstream calls the model.
    pub upstream_model: String,
}

/// Models and connections. Clones share one state.
#[derive(Clone)]
pub struct Registry {
    config: Arc<RegistryConfig>,
    store: Arc<dyn ModelStore>,
    connector: Connector,
    clock: Clock,
}

#[expect(clippy::todo, unused_variables, reason = "skeleton")]
impl Registry {
    /// Read the overlays and connect. Does not wait for any upstream.
    pub async fn open(
        config: RegistryConfig,
        connections: Vec<Connection>,
        store: Arc<dyn ModelStore>,
        connector: Connector,
        clock: Clock,
    ) -> Result<Self> {
        todo!()
    }

    /// The models the caller may use, in order. From memory.
    pub fn models(&self, principal: &Principal) -> Vec<Arc<Model>> {
        todo!()
    }

    /// Every upstream model without custom ones. From memory.
    pub fn base_models(&self) -> Vec<Arc<Model>> {
        todo!()
    }

    /// Where a request of the caller for `model` goes. A name without a tag also finds `:latest`.
    /// Unknown, inactive and forbidden models (or bases) are all `NoSuchModel`.
    pub fn resolve(&self, principal: &Principal, model: &str) -> Result<Route> {
        todo!()
    }

    /// As [`Registry::resolve`], but only over connections of one kind and without custom models:
    /// for the native routes. `Err(Forbidden)` tells a model that exists from one that does not.
    pub fn resolve_at(&self, principal: &Principal, kind: ConnectionKind, model: &str) -> Result<Route> {
        todo!()
    }

    /// The connections of a kind, disabled ones included, in order.
    pub fn connections(&self, kind: ConnectionKind) -> Vec<Arc<Connection>> {
        todo!()
    }

    /// The adapter of a connection.
    pub fn upstream(
        &self,
        kind: ConnectionKind,
        index: usize,
    ) -> Option<(Arc<Connection>, Arc<dyn Upstream>)> {
        todo!()
    }

    /// Replace all connections at once, after checking that each can be used, and refresh them in
    /// the background. Requests under way finish on the old ones.
    pub fn set_connections(&self, connections: Vec<Connection>) -> Result<()> {
        todo!()
    }

    /// Ask every upstream now, at most one round at a time. An upstream that fails keeps its last
    /// known models, unless `forget_silent`, which leaves them out until it answers again. Answers the
    /// failures.
    pub async fn refresh(&self, forget_silent: bool) -> Vec<(Arc<Connection>, UpstreamError)> {
        todo!()
    }

    /// Refresh for ever: at once, then every `refresh_every`; a failing upstream is asked less often.
    pub async fn run(&self) {
        todo!()
    }

    /// Whether every enabled upstream has been asked at least once.
    pub fn is_warm(&self) -> bool {
        todo!()
    }

    // --- overlays

    /// All overlays the caller may read.
    pub fn overlays(&self, principal: &Principal) -> Vec<Arc<Overlay>> {
        todo!()
    }

    /// An overlay the caller may read.
    pub fn overlay(&self, principal: &Principal, id: &ModelId) -> Result<Arc<Overlay>> {
        todo!()
    }

    /// Make one. Whether the caller's permissions allow that is asked before.
    pub async fn create_overlay(&self, principal: &Principal, new: NewOverlay) -> Result<Arc<Overlay>> {
        todo!()
    }

    /// Replace one the caller may write.
    pub async fn update_overlay(&self, principal: &Principal, new: NewOverlay) -> Result<Arc<Overlay>> {
        todo!()
    }

    /// Flip whether one is offered.
    pub async fn toggle_overlay(&self, principal: &Principal, id: &ModelId) -> Result<Arc<Overlay>> {
        todo!()
    }

    /// Delete one.
    pub async fn delete_overlay(&self, principal: &Principal, id: &ModelId) -> Result<()> {
        todo!()
    }

    /// Insert or replace several (`sync` also deletes all others). For admins and those permitted.
    pub async fn import_overlays(
        &self,
        principal: &Principal,
        new: Vec<NewOverlay>,
        sync: bool,
    ) -> Result<()> {
        todo!()
    }
}
