//! The registry: which models there are, who may use them, and who serves them.

mod depart;
mod overlays;
mod refresh;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use breezeway_core::{Clock, Live, ModelId, Principal};
use tokio::sync::Notify;

use self::refresh::Rounds;
use crate::{
    Connection, ConnectionKind, Error, Model, ModelStore, Offer, Overlay, Result, Upstream,
    catalog::{Listing, Overlays},
    endpoint::Endpoint,
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

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("model", &self.model.id)
            .field("kind", &self.connection.kind)
            .field("connection", &self.connection.index)
            .field("upstream_model", &self.upstream_model)
            .finish_non_exhaustive()
    }
}

/// Models and connections. Clones share one state.
#[derive(Clone)]
pub struct Registry {
    config: Arc<RegistryConfig>,
    store: Arc<dyn ModelStore>,
    connector: Connector,
    clock: Clock,
    state: Live<State>,
    shared: Arc<Shared>,
}

/// Everything a request needs, consistent in itself.
#[derive(Clone)]
struct State {
    endpoints: Vec<Endpoint>,
    overlays: Overlays,
    listing: Arc<Listing>,
}

impl State {
    fn new(endpoints: Vec<Endpoint>, overlays: Overlays, order: &[String]) -> Self {
        let catalogues = endpoints.iter().map(|endpoint| (&endpoint.connection, endpoint.catalogue.as_ref()));
        let listing = Arc::new(Listing::merge(catalogues, &overlays, order));
        Self { endpoints, overlays, listing }
    }

    fn endpoint_mut(&mut self, connection: &Arc<Connection>) -> Option<&mut Endpoint> {
        self.endpoints.iter_mut().find(|endpoint| Arc::ptr_eq(&endpoint.connection, connection))
    }

    fn at(&self, connection: &Arc<Connection>) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| Arc::ptr_eq(&endpoint.connection, connection))
    }

    /// The offer to use. The first healthy one, always: the caches of an upstream hold the beginning
    /// of a conversation, and taking turns would make every upstream read it again.
    fn choose<'a>(&'a self, offers: &'a [Offer]) -> Option<(&'a Offer, Arc<dyn Upstream>)> {
        let is_healthy = |offer: &&Offer| self.at(&offer.connection).is_some_and(Endpoint::is_healthy);
        let offer = offers.iter().find(is_healthy).or_else(|| offers.first())?;
        Some((offer, self.at(&offer.connection)?.upstream.clone()?))
    }

    fn route(&self, model: &Arc<Model>, overlay: Option<Arc<Overlay>>) -> Option<Route> {
        let (offer, upstream) = self.choose(&model.offers)?;
        Some(Route {
            overlay,
            connection: offer.connection.clone(),
            upstream,
            upstream_model: offer.entry.id.clone(),
            model: model.clone(),
        })
    }
}

/// What makes writers and refreshes wait for each other. Readers never do.
#[derive(Default)]
struct Shared {
    rounds: Rounds,
    /// Held while overlays are written, so that memory follows the store in the same order.
    writing: tokio::sync::Mutex<()>,
    /// Whether a write was cut short, so that memory may lag behind the store.
    stale: AtomicBool,
    /// Wakes the background refresh when connections have changed.
    reconnected: Notify,
}

impl Registry {
    /// Read the overlays and connect. Does not wait for any upstream.
    pub async fn open(
        config: RegistryConfig,
        connections: Vec<Connection>,
        store: Arc<dyn ModelStore>,
        connector: Connector,
        clock: Clock,
    ) -> Result<Self> {
        let endpoints = connections
            .into_iter()
            .map(|connection| Endpoint::open(connection, &connector))
            .collect::<Result<_>>()?;
        let overlays = Arc::new(store.overlays().await?.into_iter().map(Arc::new).collect());
        let state = Live::new(State::new(endpoints, overlays, &config.order));
        Ok(Self { config: Arc::new(config), store, connector, clock, state, shared: Arc::default() })
    }

    /// The clock it was opened with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The models the caller may use, in order. From memory.
    pub fn models(&self, principal: &Principal) -> Vec<Arc<Model>> {
        let state = self.state.load();
        let open = self.config.open_to_all;
        let readable = state.listing.offered.iter().filter(|listed| listed.is_for(principal, open));
        readable.map(|listed| listed.model.clone()).collect()
    }

    /// Every upstream model without custom ones, those that are switched off included. From memory.
    pub fn base_models(&self) -> Vec<Arc<Model>> {
        self.state.load().listing.bases.iter().map(|listed| listed.model.clone()).collect()
    }

    /// Where a request of the caller for `model` goes. A name without a tag also finds `:latest`.
    /// Unknown, inactive and forbidden models (or bases) are all `NoSuchModel`.
    pub fn resolve(&self, principal: &Principal, model: &str) -> Result<Route> {
        let state = self.state.load();
        let listed = state.listing.offered.find(model);
        listed
            .filter(|listed| listed.is_for(principal, self.config.open_to_all))
            .and_then(|listed| state.route(&listed.model, listed.model.overlay.clone()))
            .ok_or_else(|| no_such_model(model))
    }

    /// As [`Registry::resolve`], but only over connections of one kind and without custom models:
    /// for the native routes.
    pub fn resolve_at(&self, principal: &Principal, kind: ConnectionKind, model: &str) -> Result<Route> {
        let state = self.state.load();
        let listed = state.listing.of_kind(kind).find(model).filter(|listed| listed.is_active());
        listed
            .filter(|listed| listed.is_for(principal, self.config.open_to_all))
            .and_then(|listed| state.route(&listed.model, None))
            .ok_or_else(|| no_such_model(model))
    }

    /// The connections of a kind, disabled ones included, in order.
    pub fn connections(&self, kind: ConnectionKind) -> Vec<Arc<Connection>> {
        let state = self.state.load();
        let connections = state.endpoints.iter().map(|endpoint| &endpoint.connection);
        connections.filter(|connection| connection.kind == kind).cloned().collect()
    }

    /// The adapter of a connection; `None` if there is no such connection or it is disabled.
    pub fn upstream(
        &self,
        kind: ConnectionKind,
        index: usize,
    ) -> Option<(Arc<Connection>, Arc<dyn Upstream>)> {
        let state = self.state.load();
        let endpoint = state
            .endpoints
            .iter()
            .find(|endpoint| endpoint.connection.kind == kind && endpoint.connection.index == index)?;
        Some((endpoint.connection.clone(), endpoint.upstream.clone()?))
    }

    /// Replace all connections at once, after checking that each can be used, and refresh them in
    /// the background. Requests under way finish on the old ones.
    pub fn set_connections(&self, connections: Vec<Connection>) -> Result<()> {
        self.state.update(|state| {
            let endpoint = |connection: Connection| {
                match state.endpoints.iter().find(|known| *known.connection == connection) {
                    // Its models, its pool of sockets and what is known of its health stay good.
                    Some(known) => Ok(known.clone()),
                    None => Endpoint::open(connection, &self.connector),
                }
            };
            match connections.into_iter().map(endpoint).collect::<Result<_>>() {
                Ok(endpoints) => (State::new(endpoints, state.overlays.clone(), &self.config.order), Ok(())),
                Err(error) => (state.clone(), Err(error)),
            }
        })?;
        self.shared.reconnected.notify_one();
        Ok(())
    }

    /// Whether every enabled upstream has been asked at least once.
    pub fn is_warm(&self) -> bool {
        let state = self.state.load();
        state.endpoints.iter().all(|endpoint| endpoint.asked || endpoint.upstream.is_none())
    }
}

fn no_such_model(name: impl Into<String>) -> Error {
    // Model names come from callers, at any length; the error is shown and logged.
    let mut name: String = name.into();
    if name.len() > MAX_SHOWN {
        name.truncate(name.floor_char_boundary(MAX_SHOWN));
        name.push('…');
    }
    Error::NoSuchModel(name)
}

/// The longest name an error repeats, in bytes.
const MAX_SHOWN: usize = 256;

fn no_such_overlay(id: &ModelId) -> Error {
    Error::NoSuchModel(id.to_string())
}

#[cfg(test)]
mod tests;
