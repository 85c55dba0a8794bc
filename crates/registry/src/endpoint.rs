//! Endpoints: a connection, how to speak to it, and what is known about it.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use crate::{
    CatalogEntry, Connection, ConnectionKind, FleetConfig, Result, Upstream, fleet::Line, service::Connector,
};

/// More models than any upstream serves; one that lists more is broken or hostile.
const MAX_MODELS: usize = 10_000;

/// An upstream that has come back is noticed within this time, unless refreshes are rarer anyway.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The longest time between two refreshes; keeps the arithmetic of instants in range.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The shortest, so that a setting of zero does not become a busy loop.
const MIN_WAIT: Duration = Duration::from_millis(100);

/// A connection at work.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) connection: Arc<Connection>,
    /// The adapter, and what requests share.
    pub(crate) line: Arc<Line>,
    /// Its last known models.
    pub(crate) catalogue: Arc<[Arc<CatalogEntry>]>,
    /// Whether it has been asked, successfully or not.
    pub(crate) asked: bool,
    /// How often it has failed since it last answered.
    pub(crate) failures: u32,
    /// When to ask it again; `None` is at once.
    due: Option<Instant>,
}

impl Endpoint {
    /// Connect, without asking anything.
    pub(crate) fn open(connection: Connection, connector: &Connector, config: &FleetConfig) -> Result<Self> {
        let upstream = if connection.enabled { Some(connector(&connection)?) } else { None };
        let line = Arc::new(Line::new(connection, upstream, config));
        let mut endpoint = Self {
            connection: line.connection.clone(),
            line,
            catalogue: Arc::new([]),
            asked: false,
            failures: 0,
            due: None,
        };
        if endpoint.connection.enabled && endpoint.is_listed_by_hand() {
            endpoint.catalogue = endpoint.connection.model_ids.iter().map(|id| by_hand(id)).collect();
            endpoint.asked = true;
            endpoint.line.set_alive(true);
        }
        Ok(endpoint)
    }

    /// Whether its list of models is configured, so that it is never asked for one.
    fn is_listed_by_hand(&self) -> bool {
        self.connection.kind == ConnectionKind::OpenAi && !self.connection.model_ids.is_empty()
    }

    /// The adapter, if there is a list to ask for.
    pub(crate) fn asks(&self) -> Option<&Arc<dyn Upstream>> {
        self.upstream().filter(|_| !self.is_listed_by_hand())
    }

    /// The adapter; none while the connection is switched off.
    pub(crate) fn upstream(&self) -> Option<&Arc<dyn Upstream>> {
        self.line.upstream.as_ref()
    }

    /// When to ask next, if ever.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        self.asks().map(|_| self.due.unwrap_or(now))
    }

    /// Take in an answer. Says whether the models changed.
    pub(crate) fn learn(&mut self, entries: Vec<CatalogEntry>, now: Instant, every: Duration) -> bool {
        let allowed = &self.connection.model_ids;
        let is_allowed = |entry: &CatalogEntry| {
            let untagged = entry.id.strip_suffix(":latest");
            allowed.is_empty() || allowed.iter().any(|id| *id == entry.id || Some(id.as_str()) == untagged)
        };
        let entries: Vec<_> = entries.into_iter().filter(is_allowed).take(MAX_MODELS).collect();
        let changed = !entries.iter().eq(self.catalogue.iter().map(AsRef::as_ref));
        if changed {
            self.catalogue = entries.into_iter().map(Arc::new).collect();
            self.line.keep_only(&self.catalogue);
        }
        self.line.set_alive(true);
        self.asked = true;
        self.failures = 0;
        self.due = Some(now + every.clamp(MIN_WAIT, MAX_WAIT));
        changed
    }

    /// Take in a failure: keep the models, and wait longer each time.
    pub(crate) fn fail(&mut self, now: Instant, every: Duration) {
        let every = every.clamp(MIN_WAIT, MAX_WAIT);
        let wait = every.saturating_mul(1 << self.failures.min(10)).min(MAX_BACKOFF.max(every));
        self.line.set_alive(false);
        self.asked = true;
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + wait);
    }
}

/// An entry for a model that only the configuration knows.
fn by_hand(id: &str) -> Arc<CatalogEntry> {
    let details = json!({"id": id, "object": "model", "created": 0, "owned_by": "openai"});
    Arc::new(CatalogEntry {
        id: id.to_owned(),
        name: id.to_owned(),
        created: 0,
        details: details.as_object().cloned().unwrap_or_default(),
        loaded_until: None,
    })
}
