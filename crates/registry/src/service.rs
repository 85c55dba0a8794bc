//! The registry: which models there are, who may use them, and who serves them.

mod asked;
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

pub use self::asked::AskedCollection;
use self::{asked::Desk, refresh::Rounds};
use crate::{
    Alias, Connection, ConnectionKind, Error, Fleet, FleetConfig, LineStatus, Model, ModelStore, Overlay,
    Result, Upstream,
    alias::Chain,
    catalog::{Listed, Listing, Overlays, Setting, key_allows},
    endpoint::Endpoint,
    fleet,
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
    /// Names for chains of models.
    pub aliases: Vec<Alias>,
    /// How fleets choose, repeat and give up.
    pub fleet: FleetConfig,
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
    /// The connection that would be chosen first, and whose kind all of the fleet are.
    pub connection: Arc<Connection>,
    /// How to ask: a fleet, which chooses a connection, names the model as it is called there, and goes
    /// on to the next if one fails before its first byte. `chat_for` and its like say who answered.
    pub upstream: Arc<dyn Upstream>,
    /// The fleet of the model, for those who send bytes themselves: [`Fleet::call`].
    pub fleet: Arc<Fleet>,
    /// What `connection` calls the model.
    pub upstream_model: String,
    /// Where to go if `upstream` fails before its first byte and [`UpstreamError::may_go_elsewhere`]:
    /// the next model of an alias, or the same at connections of another kind. Its parameters may differ,
    /// so whoever filled them in does that anew.
    ///
    /// [`UpstreamError::may_go_elsewhere`]: crate::UpstreamError::may_go_elsewhere
    pub fallback: Option<Arc<Route>>,
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
    fleets: Arc<fleet::Shared>,
    /// Collections that can be asked like models.
    desk: Live<Desk>,
}

/// Everything a request needs, consistent in itself.
#[derive(Clone)]
struct State {
    endpoints: Vec<Endpoint>,
    overlays: Overlays,
    listing: Arc<Listing>,
}

impl State {
    fn new(endpoints: Vec<Endpoint>, overlays: Overlays, setting: Setting<'_>) -> Self {
        let catalogues = endpoints.iter().map(|endpoint| (&endpoint.line, endpoint.catalogue.as_ref()));
        let listing = Arc::new(Listing::merge(catalogues, &overlays, setting));
        Self { endpoints, overlays, listing }
    }

    fn endpoint_mut(&mut self, connection: &Arc<Connection>) -> Option<&mut Endpoint> {
        self.endpoints.iter_mut().find(|endpoint| Arc::ptr_eq(&endpoint.connection, connection))
    }

    /// The route of a model. Where an OpenAI-compatible connection has what Ollama is preferred for, it
    /// is the fallback.
    fn route(&self, listed: &Listed) -> Option<Route> {
        let mut route = listed.route()?;
        if route.connection.kind == ConnectionKind::Ollama {
            let base = listed.model.overlay.as_ref().and_then(|overlay| overlay.base.as_ref());
            let base = base.unwrap_or(&listed.model.id);
            let twin = self.listing.of_kind(ConnectionKind::OpenAi).find(base.as_str());
            let twin = twin.filter(|twin| twin.is_active()).and_then(Listed::route);
            let as_asked = |twin: Route| Route {
                model: listed.model.clone(),
                overlay: listed.model.overlay.clone(),
                ..twin
            };
            route.fallback = twin.map(as_asked).map(Arc::new);
        }
        Some(route)
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
            .map(|connection| Endpoint::open(connection, &connector, &config.fleet))
            .collect::<Result<_>>()?;
        let overlays = Arc::new(store.overlays().await?.into_iter().map(Arc::new).collect());
        let fleets = Arc::new(fleet::Shared::new(config.fleet.clone(), clock.clone()));
        let setting = Setting { order: &config.order, aliases: &config.aliases, fleets: &fleets };
        let state = Live::new(State::new(endpoints, overlays, setting));
        let (config, shared, desk) = (Arc::new(config), Arc::default(), Live::default());
        Ok(Self { config, store, connector, clock, state, shared, fleets, desk })
    }

    /// The clock it was opened with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn setting(&self) -> Setting<'_> {
        let RegistryConfig { order, aliases, .. } = &*self.config;
        Setting { order, aliases, fleets: &self.fleets }
    }

    /// The models the caller may use, in order, and behind them the aliases for them and the collections
    /// that can be asked. From memory.
    pub fn models(&self, principal: &Principal) -> Vec<Arc<Model>> {
        let state = self.state.load();
        let (open, chains) = (self.config.open_to_all, &state.listing.chains);
        let is_hidden = |listed: &&Listed| chains.find(listed.model.id.as_str()).is_some();
        let readable = state.listing.offered.iter().filter(|listed| listed.is_for(principal, open));
        let readable = readable.filter(|listed| !is_hidden(listed)).map(|listed| listed.model.clone());
        let chains = self.config.aliases.iter().filter_map(|alias| chains.find(alias.id.as_str()));
        let is_for =
            |chain: &&Chain| chain.targets.iter().any(|target| self.reaches(principal, chain, target));
        let mut models: Vec<_> =
            readable.chain(chains.filter(is_for).map(|chain| chain.model.clone())).collect();
        let asked = self.asked_models(principal, &state);
        models.retain(|model| asked.iter().all(|collection| collection.id != model.id));
        models.extend(asked);
        models
    }

    /// Whether the caller may use a target of an alias: a key that names either of them allows it.
    fn reaches(&self, principal: &Principal, chain: &Chain, target: &Listed) -> bool {
        (key_allows(principal, &chain.model.id) || key_allows(principal, &target.model.id))
            && target.is_granted_to(principal, self.config.open_to_all)
    }

    /// Every upstream model without custom ones, those that are switched off included. From memory.
    pub fn base_models(&self) -> Vec<Arc<Model>> {
        self.state.load().listing.bases.iter().map(|listed| listed.model.clone()).collect()
    }

    /// Where a request of the caller for `model` goes. A name without a tag also finds `:latest`.
    /// Unknown, inactive and forbidden models (or bases) are all `NoSuchModel`. An alias goes to the first
    /// of its targets that the caller may use and that is not broken. `knowledge:<name>` is a collection
    /// (see [`Registry::offer_collections`]), if the caller may read one of that name.
    pub fn resolve(&self, principal: &Principal, model: &str) -> Result<Route> {
        let state = self.state.load();
        if let Some(route) = self.asked_route(principal, &state, model) {
            return Ok(route);
        }
        let route = match state.listing.chains.find(model) {
            Some(chain) => chain.route(|target| self.reaches(principal, chain, target)),
            None => {
                let listed = state.listing.offered.find(model);
                let listed = listed.filter(|listed| listed.is_for(principal, self.config.open_to_all));
                listed.and_then(|listed| state.route(listed))
            }
        };
        route.ok_or_else(|| no_such_model(model))
    }

    /// As [`Registry::resolve`], but only over connections of one kind and without custom models:
    /// for the native routes. An alias leads to those of its targets that such connections have. One that
    /// begins with another is none of Ollama's: it is answered where all of its targets are known.
    pub fn resolve_at(&self, principal: &Principal, kind: ConnectionKind, model: &str) -> Result<Route> {
        let state = self.state.load();
        let shelf = state.listing.of_kind(kind);
        let route = match state.listing.chains.find(model) {
            Some(chain) => {
                let leads = kind == ConnectionKind::Ollama;
                chain.route_at(shelf, |target| self.reaches(principal, chain, target), leads)
            }
            None => {
                let listed = shelf.find(model).filter(|listed| listed.is_active());
                let listed = listed.filter(|listed| listed.is_for(principal, self.config.open_to_all));
                listed.and_then(Listed::route)
            }
        };
        route.map(|route| Route { overlay: None, ..route }).ok_or_else(|| no_such_model(model))
    }

    /// The connections of a kind, disabled ones included, in order.
    pub fn connections(&self, kind: ConnectionKind) -> Vec<Arc<Connection>> {
        let state = self.state.load();
        let connections = state.endpoints.iter().map(|endpoint| &endpoint.connection);
        connections.filter(|connection| connection.kind == kind).cloned().collect()
    }

    /// How every connection does now, in order: what it has to do and what of it is left alone.
    pub fn status(&self) -> Vec<LineStatus> {
        self.state.load().endpoints.iter().map(|endpoint| self.fleets.status(&endpoint.line)).collect()
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
        Some((endpoint.connection.clone(), endpoint.upstream()?.clone()))
    }

    /// Replace all connections at once, after checking that each can be used, and refresh them in
    /// the background. Requests under way finish on the old ones.
    pub fn set_connections(&self, connections: Vec<Connection>) -> Result<()> {
        self.state.update(|state| {
            let endpoint = |connection: Connection| {
                match state.endpoints.iter().find(|known| *known.connection == connection) {
                    // Its models, its pool of sockets and what is known of its health stay good.
                    Some(known) => Ok(known.clone()),
                    None => Endpoint::open(connection, &self.connector, &self.config.fleet),
                }
            };
            match connections.into_iter().map(endpoint).collect::<Result<_>>() {
                Ok(endpoints) => (State::new(endpoints, state.overlays.clone(), self.setting()), Ok(())),
                Err(error) => (state.clone(), Err(error)),
            }
        })?;
        self.shared.reconnected.notify_one();
        Ok(())
    }

    /// Whether every enabled upstream has been asked at least once.
    pub fn is_warm(&self) -> bool {
        let state = self.state.load();
        state.endpoints.iter().all(|endpoint| endpoint.asked || endpoint.upstream().is_none())
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
