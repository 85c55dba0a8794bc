//! Fleets: the connections that can serve one model, as one upstream.
//!
//! A request goes to the offer that [`choice`] finds best. If that fails before its first byte in a way
//! that makes it safe ([`retry`]), the next one is asked, without those above noticing. A reader may
//! expect more: once a byte of an answer is out, nothing is repeated, and where there is one connection
//! its own words reach the client as they are.

mod ask;
mod breaker;
mod choice;
mod config;
mod dice;
mod errand;
mod gate;
mod lease;
mod line;
mod moment;
mod pace;
mod retry;
mod tries;

use std::{fmt, sync::Arc, time::Duration};

use self::{
    ask::{Ask, Got, copy_or_take},
    breaker::{Pass, Readiness},
    choice::{View, Warmth, Wish, choose, foremost},
    dice::Dice,
    errand::hashed,
    lease::{Held, Ticket},
    line::Health,
    moment::Epoch,
    tries::{Tries, Try},
};
pub use self::{
    config::{BreakerConfig, FleetConfig, Routing},
    errand::{Errand, Served},
    lease::Lease,
    line::LineStatus,
    tries::Attempt,
};
pub(crate) use self::{line::Line, retry::may_repeat};
use crate::{CatalogEntry, ChatReply, Connection, ConnectionKind, Upstream, UpstreamError, UpstreamReply};
use async_trait::async_trait;
use breezeway_core::Clock;
use breezeway_wire::ChatRequest;
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Map, Value};

/// After this time it is worth asking a full connection again.
const BUSY_FOR: Duration = Duration::from_secs(1);

/// What all fleets of a registry share.
pub(crate) struct Shared {
    pub(crate) config: FleetConfig,
    dice: Dice,
    epoch: Epoch,
    clock: Clock,
}

impl Shared {
    pub(crate) fn new(config: FleetConfig, clock: Clock) -> Self {
        Self { dice: Dice::new(config.seed), config, epoch: Epoch::begin(), clock }
    }

    pub(crate) fn status(&self, line: &Line) -> LineStatus {
        line.status(self.epoch.now())
    }
}

/// An offer at work.
struct Member {
    line: Arc<Line>,
    upstream: Arc<dyn Upstream>,
    model: Arc<str>,
    loaded_until: Option<i64>,
    health: Arc<Health>,
    id: u64,
}

/// The connections that can serve one model, or one after another of a chain of models.
pub struct Fleet {
    shared: Arc<Shared>,
    /// With the place of their model in the chain.
    members: Vec<(u32, Arc<Member>)>,
    model: u64,
}

impl Fleet {
    /// The fleet of a model's offers. Connections that are switched off are not in it.
    pub(crate) fn new<'a>(
        shared: &Arc<Shared>,
        offers: impl Iterator<Item = (&'a Arc<Line>, &'a CatalogEntry)>,
    ) -> Self {
        let member = |(line, entry): (&'a Arc<Line>, &'a CatalogEntry)| {
            Some(Arc::new(Member {
                upstream: line.upstream.clone()?,
                model: entry.id.as_str().into(),
                loaded_until: entry.loaded_until,
                health: line.health(&entry.id),
                id: hashed((&line.connection.url, line.connection.index)),
                line: line.clone(),
            }))
        };
        let members: Vec<_> = offers.filter_map(member).map(|member| (0, member)).collect();
        let model = hashed(members.first().map(|(_, member)| &member.model));
        Self { shared: shared.clone(), members, model }
    }

    /// One fleet after another.
    pub(crate) fn chain(fleets: &[&Arc<Self>]) -> Option<Self> {
        let first = fleets.first()?;
        let members = (0..)
            .zip(fleets)
            .flat_map(|(place, fleet)| fleet.members.iter().map(move |(_, member)| (place, member.clone())));
        Some(Self { shared: first.shared.clone(), members: members.collect(), model: first.model })
    }

    /// The part of it that one connection is, if it is in it.
    pub fn only(&self, connection: &Arc<Connection>) -> Option<Self> {
        let is_it = |member: &Member| Arc::ptr_eq(&member.line.connection, connection);
        let members: Vec<_> = self.members.iter().filter(|(_, member)| is_it(member)).cloned().collect();
        let part = Self { shared: self.shared.clone(), members, model: self.model };
        (!part.is_empty()).then_some(part)
    }

    /// The connections in it.
    pub fn connections(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.members.iter().map(|(_, member)| &member.line.connection)
    }

    /// Whether there is more than one to choose from.
    pub fn has_choice(&self) -> bool {
        self.members.len() > 1
    }

    /// Whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether an offer can be asked now.
    pub(crate) fn is_ready(&self) -> bool {
        let now = self.shared.epoch.now();
        let ready = |member: &Member| !matches!(member.health.breaker.readiness(now), Readiness::Not(_));
        self.members.iter().any(|(_, member)| ready(member))
    }

    /// The connection that would be asked first, all else being equal, and what it calls the model.
    pub(crate) fn foremost(&self) -> Option<(&Arc<Connection>, &str)> {
        let at = match self.members.len() {
            0 | 1 => 0,
            _ => foremost(&self.views(&[]))?,
        };
        let (_, member) = self.members.get(at)?;
        Some((&member.line.connection, &member.model))
    }

    /// Make a call elsewhere than over the port, at one offer after another as for those: until `call`
    /// has an answer, or a failure that must not be repeated. Whoever gets the lease holds it until the
    /// answer has ended, and says how it went.
    ///
    /// # Errors
    /// The most telling failure of `call`; [`UpstreamError::Busy`] if no place becomes free in time.
    pub async fn call<T, F, Called>(&self, errand: &Errand, mut call: F) -> Result<(T, Lease), UpstreamError>
    where
        F: FnMut(Attempt) -> Called,
        Called: Future<Output = Result<T, UpstreamError>>,
    {
        let wish = Wish { conversation: errand.conversation(), model: self.model };
        let mut tries = Tries::new(self, wish);
        while let Some(next) = tries.next().await {
            let Try { at, is_last, .. } = next;
            let error = match self.enter(errand, next).await {
                Ok(mut lease) => match call(Attempt::of(&lease, is_last)).await {
                    Ok(answer) => return Ok((answer, lease)),
                    Err(error) => {
                        lease.failed(&error);
                        error
                    }
                },
                Err(error) => error,
            };
            if !tries.failed(at, error) {
                break;
            }
        }
        Err(tries.into_error())
    }

    fn views(&self, tried: &[u32]) -> Vec<View> {
        let (now, wall) = (self.shared.epoch.now(), self.shared.clock.now().seconds());
        let view = |(at, (place, member)): (usize, &(u32, Arc<Member>))| {
            let (line, health) = (&member.line, &member.health);
            let is_loaded = || member.loaded_until.is_some_and(|until| until > wall) || health.is_warm(now);
            View {
                id: member.id,
                group: u64::from(*place) << 32 | u64::from(line.connection.routing.priority),
                weight: f64::from(line.connection.routing.weight.max(1)),
                load: line.gate.load(),
                has_room: line.gate.has_room(),
                seconds: health.pace.seconds(now),
                readiness: health.breaker.readiness(now),
                is_alive: line.is_alive(),
                warmth: match line.connection.kind {
                    ConnectionKind::Ollama if is_loaded() => Warmth::Warm,
                    ConnectionKind::Ollama => Warmth::Cold,
                    ConnectionKind::OpenAi => Warmth::Untold,
                },
                tried: tried.get(at).copied().unwrap_or(0),
            }
        };
        self.members.iter().enumerate().map(view).collect()
    }

    /// Choose, and begin the call at the breaker.
    fn pick(&self, wish: Wish, tried: &[u32]) -> Option<(usize, Ticket)> {
        if self.members.len() < 2 {
            let (_, only) = self.members.first()?;
            // With nobody else to ask, an open breaker would only hide the upstream's own words.
            let pass = only.health.breaker.enter(self.shared.epoch.now()).unwrap_or(Pass::Plain);
            return Some((0, Ticket::new(only.clone(), pass)));
        }
        let mut roll = || self.shared.dice.roll();
        let mut at = choose(&self.views(tried), wish, &mut roll)?;
        let enter = |at: usize| self.members[at].1.health.breaker.enter(self.shared.epoch.now());
        let ticket = |at: usize, pass| (at, Ticket::new(self.members[at].1.clone(), pass));
        if let Some(pass) = enter(at) {
            return Some(ticket(at, pass));
        }
        // Somebody else has become the probe of that one meanwhile.
        at = choose(&self.views(tried), wish, &mut roll)?;
        Some(ticket(at, enter(at).unwrap_or(Pass::Plain)))
    }

    /// Take the place of an attempt.
    async fn enter(&self, errand: &Errand, next: Try) -> Result<Lease, UpstreamError> {
        let member = &self.members[next.at].1;
        let Ok(place) = member.line.gate.enter(next.left).await else {
            return Err(UpstreamError::Busy { retry_after: BUSY_FOR });
        };
        errand.is_served_by(&member.line.connection, &member.model);
        if member.line.connection.kind == ConnectionKind::Ollama {
            member.health.warms(self.shared.epoch.now());
        }
        let lease = next.ticket.into_lease(self.shared.clone(), place);
        lease.ok_or(UpstreamError::Busy { retry_after: BUSY_FOR })
    }

    /// How often a request may be sent.
    fn attempts(&self) -> u32 {
        let own = self.members.iter().filter_map(|(_, member)| member.line.connection.routing.attempts).max();
        let usual = if self.members.len() > 1 { self.shared.config.attempts } else { 1 };
        own.unwrap_or(usual).max(1)
    }

    /// Ask one offer after another until one answers, or what went wrong must not be repeated.
    async fn ask(&self, errand: &Errand, wish: Wish, ask: Ask<'_>) -> Result<(Got, Lease), UpstreamError> {
        let mut tries = Tries::new(self, wish);
        let mut kept = Some(ask);
        while let Some(next) = tries.next().await {
            let Some(ask) = copy_or_take(&mut kept, next.is_last) else { break };
            let at = next.at;
            let error = match self.attempt(errand, next, ask).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !tries.failed(at, error) {
                break;
            }
        }
        Err(tries.into_error())
    }

    async fn attempt(
        &self,
        errand: &Errand,
        next: Try,
        mut ask: Ask<'_>,
    ) -> Result<(Got, Lease), UpstreamError> {
        let (at, is_last) = (next.at, next.is_last);
        let mut lease = self.enter(errand, next).await?;
        let member = &self.members[at].1;
        ask.name(&member.model);
        let answer = match ask.send(member.upstream.as_ref()).await {
            // Only where a broken answer would be asked for again is it worth holding one back.
            Ok(got) if !is_last && member.line.connection.routing.retry_broken => begun(got).await,
            answer => answer,
        };
        match answer {
            Ok(got) => Ok((got, lease)),
            Err(error) => {
                lease.failed(&error);
                Err(error)
            }
        }
    }
}

/// The answer once its first piece is here.
async fn begun(got: Got) -> Result<Got, UpstreamError> {
    Ok(match got {
        Got::Chat(ChatReply::Stream(mut frames)) => match frames.next().await {
            Some(first) => {
                let first = first?;
                let again = futures_util::stream::iter([Ok(first)]);
                Got::Chat(ChatReply::Stream(Box::pin(again.chain(frames))))
            }
            None => return Err(UpstreamError::Broken("it ended before it began".to_owned())),
        },
        whole => whole,
    })
}

#[async_trait]
impl Upstream for Fleet {
    async fn catalog(&self) -> Result<Vec<CatalogEntry>, UpstreamError> {
        Err(UpstreamError::Unsupported("list of its own"))
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, UpstreamError> {
        self.chat_for(&Errand::default(), request).await
    }

    async fn embeddings(&self, request: Map<String, Value>) -> Result<Bytes, UpstreamError> {
        self.embeddings_for(&Errand::default(), request).await
    }

    async fn relay(&self, path: &str, request: Map<String, Value>) -> Result<UpstreamReply, UpstreamError> {
        self.relay_for(&Errand::default(), path, request).await
    }

    async fn chat_for(&self, errand: &Errand, request: ChatRequest) -> Result<ChatReply, UpstreamError> {
        let conversation = if self.members.len() > 1 { errand.conversation_of(&request) } else { None };
        let wish = Wish { conversation, model: self.model };
        match self.ask(errand, wish, Ask::Chat(request)).await? {
            (Got::Chat(ChatReply::Stream(frames)), lease) => {
                Ok(ChatReply::Stream(Held::stream(frames, lease)))
            }
            (Got::Chat(whole), mut lease) => {
                lease.answered();
                Ok(whole)
            }
            _ => Err(mixed_up()),
        }
    }

    async fn embeddings_for(
        &self,
        errand: &Errand,
        request: Map<String, Value>,
    ) -> Result<Bytes, UpstreamError> {
        let wish = Wish { conversation: errand.conversation(), model: self.model };
        match self.ask(errand, wish, Ask::Embeddings(request)).await? {
            (Got::Embeddings(answer), mut lease) => {
                lease.answered();
                Ok(answer)
            }
            _ => Err(mixed_up()),
        }
    }

    async fn relay_for(
        &self,
        errand: &Errand,
        path: &str,
        request: Map<String, Value>,
    ) -> Result<UpstreamReply, UpstreamError> {
        let wish = Wish { conversation: errand.conversation(), model: self.model };
        match self.ask(errand, wish, Ask::Relay(path, request)).await? {
            (Got::Relay(reply), lease) => {
                let body = Held::stream(reply.body, lease);
                Ok(UpstreamReply { body, ..reply })
            }
            _ => Err(mixed_up()),
        }
    }
}

/// A question got the answer to another: `Ask::send` keeps them together.
fn mixed_up() -> UpstreamError {
    UpstreamError::Malformed("an answer to another question".to_owned())
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = self.members.iter().map(|(_, member)| member.line.connection.label());
        f.debug_list().entries(connections).finish()
    }
}
