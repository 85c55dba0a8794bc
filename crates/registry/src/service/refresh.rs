//! Refreshing: asking the upstreams for their models.
//!
//! Rounds go one after another. Whoever wants a refresh while a round is under way waits for the next
//! one, which answers all who wait: the round under way may have asked before whatever the caller
//! wants to see had happened.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{StreamExt, stream};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info, warn};

use super::{Registry, State};
use crate::{CatalogEntry, Connection, Upstream, UpstreamError};

/// The connections that failed, and how.
type Failures = Vec<(Arc<Connection>, UpstreamError)>;

/// Most upstreams that are asked at once. Those that never answer hold a place until their time is over,
/// so it is well above the number of them that a large installation has.
const AT_ONCE: usize = 32;

/// The refreshes so far.
#[derive(Default)]
pub(super) struct Rounds {
    /// How many have begun.
    begun: AtomicU64,
    /// Held by the one under way; the last one that asked everybody, by its number.
    last: Mutex<Option<(u64, Failures)>>,
}

impl Registry {
    /// Ask every upstream now, at most one round at a time. An upstream that fails keeps its last
    /// known models, unless `forget_silent`, which leaves them out until it answers again. Answers the
    /// failures.
    pub async fn refresh(&self, forget_silent: bool) -> Vec<(Arc<Connection>, UpstreamError)> {
        let rounds = &self.shared.rounds;
        let begun = rounds.begun.load(Ordering::SeqCst);
        let mut last = rounds.last.lock().await;
        let failures = match &*last {
            Some((number, failures)) if *number > begun => failures.clone(),
            _ => {
                let number = rounds.begun.fetch_add(1, Ordering::SeqCst) + 1;
                let failures = self.ask(|_, _| true).await;
                *last = Some((number, failures.clone()));
                failures
            }
        };
        if forget_silent {
            self.forget(&failures);
        }
        failures
    }

    /// Refresh for ever: at once, then every `refresh_every`; a failing upstream is asked less often.
    pub async fn run(&self) {
        loop {
            self.catch_up().await;
            {
                let _under_way = self.shared.rounds.last.lock().await;
                self.ask(|due, now| due <= now).await;
            }
            let now = Instant::now();
            let next = self.state.load().endpoints.iter().filter_map(|endpoint| endpoint.due(now)).min();
            let pause = async {
                match next {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.shared.reconnected.notified() => {}
            }
        }
    }

    /// Ask those whose time has come by `is_wanted(due, now)`, many at once, each answer taken in as it
    /// arrives: a slow upstream keeps nobody else's models away.
    async fn ask(&self, is_wanted: impl Fn(Instant, Instant) -> bool) -> Failures {
        let now = Instant::now();
        let state = self.state.load();
        let wanted: Vec<_> = state
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.due(now).is_some_and(|due| is_wanted(due, now)))
            .filter_map(|endpoint| Some((endpoint.connection.clone(), endpoint.asks()?.clone())))
            .collect();
        drop(state);
        let asking: Vec<_> = wanted
            .into_iter()
            .map(|(connection, upstream)| async move { (connection, self.catalog(&upstream).await) })
            .collect();
        let mut asked = stream::iter(asking).buffer_unordered(AT_ONCE);
        let mut failures = Failures::new();
        while let Some((connection, answer)) = asked.next().await {
            match answer {
                Ok(entries) => self.learn(&connection, entries),
                Err(error) => {
                    self.fail(&connection, &error);
                    failures.push((connection, error));
                }
            }
        }
        failures
    }

    async fn catalog(&self, upstream: &Arc<dyn Upstream>) -> Result<Vec<CatalogEntry>, UpstreamError> {
        let patience = self.config.catalog_timeout;
        timeout(patience, upstream.catalog()).await.unwrap_or(Err(UpstreamError::TimedOut(patience)))
    }

    fn learn(&self, connection: &Arc<Connection>, entries: Vec<CatalogEntry>) {
        let count = entries.len();
        let (changed, was_failing) = self.state.update(|state| {
            let mut next = state.clone();
            // The connection may have been replaced while it was asked; then the answer is nobody's.
            let Some(endpoint) = next.endpoint_mut(connection) else { return (next, (false, false)) };
            let was_failing = endpoint.failures > 0;
            let changed = endpoint.learn(entries, Instant::now(), self.config.refresh_every);
            let next = if changed { State::new(next.endpoints, next.overlays, self.setting()) } else { next };
            (next, (changed, was_failing))
        });
        let (kind, index) = (connection.kind, connection.index);
        if changed || was_failing {
            info!(connection.kind = ?kind, connection.index = index, models = count, "An upstream listed its models");
        }
    }

    fn fail(&self, connection: &Arc<Connection>, error: &UpstreamError) {
        let failures = self.state.update(|state| {
            let mut next = state.clone();
            let Some(endpoint) = next.endpoint_mut(connection) else { return (next, 0) };
            endpoint.fail(Instant::now(), self.config.refresh_every);
            let failures = endpoint.failures;
            (next, failures)
        });
        let (kind, index) = (connection.kind, connection.index);
        // Once is news; the rest would fill the log for as long as an upstream is switched off.
        match failures {
            1 => {
                warn!(connection.kind = ?kind, connection.index = index, %error, "An upstream does not list its models")
            }
            _ => {
                debug!(connection.kind = ?kind, connection.index = index, failures, %error, "An upstream still does not list its models")
            }
        }
    }

    /// Leave out the models of those that failed, unless they have answered since.
    fn forget(&self, failures: &Failures) {
        if failures.is_empty() {
            return;
        }
        self.state.update(|state| {
            let mut next = state.clone();
            for (connection, _) in failures {
                if let Some(endpoint) = next.endpoint_mut(connection).filter(|endpoint| endpoint.failures > 0)
                {
                    endpoint.catalogue = Arc::new([]);
                }
            }
            (State::new(next.endpoints, next.overlays, self.setting()), ())
        });
    }
}
