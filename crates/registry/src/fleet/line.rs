//! Lines: connections at work, with what all requests over them share.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    FleetConfig,
    breaker::{Breaker, Readiness},
    gate::Gate,
    moment::Moment,
    pace::Pace,
};
use crate::{CatalogEntry, Connection, Upstream};

/// How long a model that was used stays loaded: Ollama unloads after five idle minutes unless told
/// otherwise.
const STAYS_LOADED: Duration = Duration::from_secs(240);

/// A connection, its adapter, its gate and the health of its models. It lives as long as the
/// connection stays as it is, over all refreshes of its list.
pub(crate) struct Line {
    pub(crate) connection: Arc<Connection>,
    /// The adapter; none while the connection is switched off.
    pub(crate) upstream: Option<Arc<dyn Upstream>>,
    pub(crate) gate: Gate,
    /// Whether its last answer about its models was one.
    alive: AtomicBool,
    health: Mutex<HashMap<String, Arc<Health>>>,
}

/// How a connection does at one moment.
#[derive(Clone, Debug)]
pub struct LineStatus {
    /// The connection.
    pub connection: Arc<Connection>,
    /// Requests under way and waiting.
    pub load: usize,
    /// Whether its last answer about its models was one.
    pub is_alive: bool,
    /// The models that are left alone for a while because they fail or are asked too much, in order.
    pub resting: Vec<String>,
}

/// How a model does at a connection.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) breaker: Breaker,
    pub(crate) pace: Pace,
    /// Until when it is loaded, as far as its use tells.
    warm_until: AtomicU64,
}

impl Line {
    pub(crate) fn new(
        connection: Connection,
        upstream: Option<Arc<dyn Upstream>>,
        config: &FleetConfig,
    ) -> Self {
        let routing = &connection.routing;
        let gate = Gate::new(
            routing.max_in_flight.unwrap_or(config.max_in_flight),
            routing.max_queue.unwrap_or(config.max_queue),
            routing.queue_wait.unwrap_or(config.queue_wait),
        );
        Self {
            connection: Arc::new(connection),
            upstream,
            gate,
            alive: AtomicBool::new(false),
            health: Mutex::default(),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    pub(crate) fn set_alive(&self, alive: bool) {
        self.alive.store(alive, Ordering::Relaxed);
    }

    /// The health of a model, new if it was unknown.
    pub(crate) fn health(&self, model: &str) -> Arc<Health> {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match health.get(model) {
            Some(known) => known.clone(),
            None => health.entry(model.to_owned()).or_default().clone(),
        }
    }

    pub(crate) fn status(&self, now: Moment) -> LineStatus {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let is_resting = |health: &Health| matches!(health.breaker.readiness(now), Readiness::Not(_));
        let resting = health.iter().filter(|(_, health)| is_resting(health));
        let mut resting: Vec<String> = resting.map(|(model, _)| model.clone()).collect();
        resting.sort_unstable();
        LineStatus {
            connection: self.connection.clone(),
            load: self.gate.load(),
            is_alive: self.is_alive(),
            resting,
        }
    }

    /// Forget the health of models that are not there any more.
    pub(crate) fn keep_only(&self, models: &[Arc<CatalogEntry>]) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let known: HashSet<&str> = models.iter().map(|entry| entry.id.as_str()).collect();
        health.retain(|model, _| known.contains(model.as_str()));
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("connection", &self.connection.label()).finish_non_exhaustive()
    }
}

impl Health {
    /// Whether its use tells that it is loaded.
    pub(crate) fn is_warm(&self, now: Moment) -> bool {
        self.warm_until.load(Ordering::Relaxed) > now.0
    }

    /// It is being used, and loaded for that.
    pub(crate) fn warms(&self, now: Moment) {
        self.warm_until.store(now.plus(STAYS_LOADED).0, Ordering::Relaxed);
    }

    /// Its use failed; nobody knows what is loaded.
    pub(crate) fn cools(&self) {
        self.warm_until.store(0, Ordering::Relaxed);
    }
}
