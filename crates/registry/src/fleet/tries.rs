//! The attempts at one request: which offer is next, after what pause, and when to give up.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::debug;

use super::{BUSY_FOR, Fleet, Lease, choice::Wish, lease::Ticket, retry};
use crate::{Connection, UpstreamError};

/// The attempts at one request.
pub(super) struct Tries<'a> {
    fleet: &'a Fleet,
    wish: Wish,
    began: Instant,
    limit: u32,
    /// The attempts so far.
    attempt: u32,
    /// How often each offer was asked; empty where there is one.
    tried: Vec<u32>,
    said: Option<UpstreamError>,
}

/// An attempt to make.
pub(super) struct Try {
    /// The offer's place in the fleet.
    pub(super) at: usize,
    pub(super) ticket: Ticket,
    /// The time that is left to begin it.
    pub(super) left: Duration,
    /// Whether no other follows it.
    pub(super) is_last: bool,
}

impl<'a> Tries<'a> {
    pub(super) fn new(fleet: &'a Fleet, wish: Wish) -> Self {
        // An empty list allocates nothing, and for one offer nothing has to be remembered.
        let tried = if fleet.members.len() > 1 { vec![0; fleet.members.len()] } else { Vec::new() };
        let (began, limit) = (Instant::now(), fleet.attempts());
        Self { fleet, wish, began, limit, attempt: 0, tried, said: None }
    }

    /// The next attempt, once it is time for it.
    pub(super) async fn next(&mut self) -> Option<Try> {
        let left = self.fleet.shared.config.retry_within.saturating_sub(self.began.elapsed());
        if self.attempt == self.limit || (self.attempt > 0 && left.is_zero()) {
            return None;
        }
        let (at, ticket) = self.fleet.pick(self.wish, &self.tried)?;
        let asked_before = self.tried.get(at).copied().unwrap_or(self.attempt);
        if asked_before > 0 && !self.wait(asked_before, left).await {
            return None;
        }
        self.attempt += 1;
        Some(Try { at, ticket, left, is_last: self.attempt == self.limit })
    }

    /// Wait before a connection is asked again; says whether there is time for that.
    async fn wait(&self, asked_before: u32, left: Duration) -> bool {
        let config = &self.fleet.shared.config;
        let luck = self.fleet.shared.dice.part();
        let wait = retry::backoff(asked_before, config.backoff, config.backoff_at_most, luck);
        if wait >= left {
            return false;
        }
        sleep(wait).await;
        true
    }

    /// An attempt failed before its first byte. Says whether it may be repeated.
    pub(super) fn failed(&mut self, at: usize, error: UpstreamError) -> bool {
        if let Some(tried) = self.tried.get_mut(at) {
            *tried += 1;
        }
        let connection = &self.fleet.members[at].1.line.connection;
        let repeats = retry::may_repeat(&error, connection.routing.retry_broken);
        let attempt = self.attempt;
        debug!(connection = connection.label(), attempt, repeats, %error, "An upstream failed before its first byte");
        self.said = Some(retry::more_telling(self.said.take(), error));
        repeats
    }

    /// What to tell whoever asked.
    pub(super) fn into_error(self) -> UpstreamError {
        self.said.unwrap_or(UpstreamError::Busy { retry_after: BUSY_FOR })
    }
}

/// One attempt of a call that is made elsewhere ([`Fleet::call`]).
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The connection to ask.
    pub connection: Arc<Connection>,
    /// What it calls the model.
    pub upstream_model: Arc<str>,
    /// Whether an answer that breaks before its first piece would be asked for again, so that it is worth
    /// waiting for that piece.
    pub holds_back: bool,
}

impl Attempt {
    pub(super) fn of(lease: &Lease, is_last: bool) -> Self {
        let (connection, upstream_model) = (lease.connection().clone(), lease.model().clone());
        let holds_back = !is_last && connection.routing.retry_broken;
        Self { connection, upstream_model, holds_back }
    }
}
