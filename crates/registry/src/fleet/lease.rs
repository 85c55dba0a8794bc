//! Leases: a call under way, its place at the gate and what its outcome tells.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt};
use tracing::warn;

use super::{
    Member, Shared,
    breaker::Pass,
    gate::Place,
    moment::Moment,
    retry::{Verdict, pause, verdict},
};
use crate::{Connection, UpstreamError};

/// A call of one offer. It holds its connection's place until it is dropped; whoever holds it says how
/// the call went. One that is dropped without a word, because its client left, says nothing about the
/// upstream.
#[must_use]
pub struct Lease {
    shared: Arc<Shared>,
    member: Arc<Member>,
    _place: Place,
    /// Gone once the outcome is known.
    pass: Option<Pass>,
    began: Moment,
}

/// The right to make a call of one offer, before there is a place for it. One that is dropped, because
/// there was no place in time or because its client left, lets another call be the probe.
pub(super) struct Ticket(Option<(Arc<Member>, Pass)>);

impl Ticket {
    pub(super) fn new(member: Arc<Member>, pass: Pass) -> Self {
        Self(Some((member, pass)))
    }

    pub(super) fn into_lease(mut self, shared: Arc<Shared>, place: Place) -> Option<Lease> {
        let (member, pass) = self.0.take()?;
        let began = shared.epoch.now();
        Some(Lease { shared, member, _place: place, pass: Some(pass), began })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some((member, pass)) = self.0.take() {
            member.health.breaker.abandoned(pass);
        }
    }
}

impl Lease {
    pub(super) fn model(&self) -> &Arc<str> {
        &self.member.model
    }

    /// The connection to ask.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.member.line.connection
    }

    /// What it calls the model.
    pub fn upstream_model(&self) -> &str {
        &self.member.model
    }

    /// The first byte of an answer is here. Later calls change nothing.
    pub fn answered(&mut self) {
        if self.pass.take().is_none() {
            return;
        }
        let now = self.shared.epoch.now();
        let health = &self.member.health;
        health.pace.sample(now.since(self.began), now);
        health.breaker.succeeded(now, &self.shared.config.breaker);
    }

    /// The call failed, before or after its first byte.
    pub fn failed(&mut self, error: &UpstreamError) {
        let pass = self.pass.take();
        let now = self.shared.epoch.now();
        let health = &self.member.health;
        if let Some(pause) = pause(error) {
            health.breaker.cool(now.plus(pause));
        }
        match verdict(error) {
            Verdict::Works => health.breaker.succeeded(now, &self.shared.config.breaker),
            Verdict::Silent => health.breaker.abandoned(pass.unwrap_or(Pass::Plain)),
            Verdict::Fails => {
                health.cools();
                let luck = self.shared.dice.part();
                let pass = pass.unwrap_or(Pass::Plain);
                let opened = health.breaker.failed(pass, now, &self.shared.config.breaker, luck);
                if let Some(time) = opened {
                    let connection = self.connection().label();
                    let model = self.upstream_model();
                    let open_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                    warn!(connection, upstream.model = model, open_ms, %error, "`{model}` at `{connection}` fails and is left alone for {open_ms} ms");
                }
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.member.health.breaker.abandoned(pass);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("connection", &self.connection().label()).finish_non_exhaustive()
    }
}

type Pieces<T> = Pin<Box<dyn Stream<Item = Result<T, UpstreamError>> + Send>>;

/// A streamed answer that holds its lease until it ends.
pub(super) struct Held<T> {
    pieces: Pieces<T>,
    lease: Option<Lease>,
}

impl<T: 'static> Held<T> {
    pub(super) fn stream(pieces: Pieces<T>, lease: Lease) -> Pieces<T> {
        Box::pin(Self { pieces, lease: Some(lease) })
    }
}

impl<T> Stream for Held<T> {
    type Item = Result<T, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.pieces.poll_next_unpin(cx);
        match (&polled, &mut self.lease) {
            (Poll::Ready(Some(Ok(_))), Some(lease)) => lease.answered(),
            (Poll::Ready(Some(Err(error))), Some(lease)) => lease.failed(error),
            (Poll::Ready(None), lease) => {
                // An answer without a piece is one all the same.
                if let Some(lease) = lease {
                    lease.answered();
                }
                *lease = None;
            }
            _ => {}
        }
        polled
    }
}
