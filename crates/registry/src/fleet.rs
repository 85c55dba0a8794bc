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

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use breezeway_core::Clock;
use breezeway_wire::ChatRequest;
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use tracing::debug;

use self::{
    ask::{Ask, Got, copy_or_take},
    breaker::{Pass, Readiness},
    choice::{View, Warmth, Wish, choose, foremost},
    dice::Dice,
    errand::hashed,
    gate::Full,
    lease::Held,
    line::Health,
    moment::Epoch,
};
pub use self::{
    config::{BreakerConfig, FleetConfig, Routing},
    errand::{Errand, Served},
    lease::Lease,
    line::LineStatus,
};
pub(crate) use self::{line::Line, retry::may_repeat};
use crate::{CatalogEntry, ChatReply, Connection, ConnectionKind, Upstream, UpstreamError, UpstreamReply};

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

    /// Choose an offer for a call that is made elsewhere, and take a place there.
    ///
    /// # Errors
    /// [`UpstreamError::Busy`] if no place becomes free in time.
    pub async fn lease(&self, errand: &Errand) -> Result<Lease, UpstreamError> {
        let tried = self.nothing_tried();
        let wish = Wish { conversation: errand.conversation(), model: self.model };
        let (at, pass) = self.pick(wish, &tried).ok_or(UpstreamError::Busy { retry_after: BUSY_FOR })?;
        let lease = self.enter(at, pass, self.shared.config.queue_wait).await?;
        errand.is_served_by(lease.connection(), &self.members[at].1.model);
        Ok(lease)
    }

    fn nothing_tried(&self) -> Vec<u32> {
        // An empty list allocates nothing, and for one offer nothing has to be remembered.
        if self.members.len() > 1 { vec![0; self.members.len()] } else { Vec::new() }
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
    fn pick(&self, wish: Wish, tried: &[u32]) -> Option<(usize, Pass)> {
        if self.members.len() < 2 {
            let (_, only) = self.members.first()?;
            // With nobody else to ask, an open breaker would only hide the upstream's own words.
            return Some((0, only.health.breaker.enter(self.shared.epoch.now()).unwrap_or(Pass::Plain)));
        }
        let mut roll = || self.shared.dice.roll();
        let mut at = choose(&self.views(tried), wish, &mut roll)?;
        let enter = |at: usize| self.members[at].1.health.breaker.enter(self.shared.epoch.now());
        if let Some(pass) = enter(at) {
            return Some((at, pass));
        }
        // Somebody else has become the probe of that one meanwhile.
        at = choose(&self.views(tried), wish, &mut roll)?;
        Some((at, enter(at).unwrap_or(Pass::Plain)))
    }

    async fn enter(&self, at: usize, pass: Pass, limit: Duration) -> Result<Lease, UpstreamError> {
        let member = &self.members[at].1;
        match member.line.gate.enter(limit).await {
            Ok(place) => Ok(Lease::new(self.shared.clone(), member.clone(), place, pass)),
            Err(Full) => {
                member.health.breaker.abandoned(pass);
                Err(UpstreamError::Busy { retry_after: BUSY_FOR })
            }
        }
    }

    /// How often a request may be sent.
    fn attempts(&self) -> u32 {
        let own = self.members.iter().filter_map(|(_, member)| member.line.connection.routing.attempts).max();
        let usual = if self.members.len() > 1 { self.shared.config.attempts } else { 1 };
        own.unwrap_or(usual).max(1)
    }

    /// Ask one offer after another until one answers, or what went wrong must not be repeated.
    async fn ask(&self, errand: &Errand, wish: Wish, ask: Ask<'_>) -> Result<(Got, Lease), UpstreamError> {
        let (began, within, limit) = (Instant::now(), self.shared.config.retry_within, self.attempts());
        let mut tried = self.nothing_tried();
        let mut kept = Some(ask);
        let mut said = None;
        for attempt in 1..=limit {
            let left = within.saturating_sub(began.elapsed());
            if attempt > 1 && left.is_zero() {
                break;
            }
            let Some((at, pass)) = self.pick(wish, &tried) else { break };
            let asked_before = tried.get(at).copied().unwrap_or(attempt - 1);
            if !self.wait_before(asked_before, left).await {
                break;
            }
            let Some(ask) = copy_or_take(&mut kept, attempt == limit) else { break };
            let error = match self.attempt(errand, at, pass, ask, left, attempt < limit).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(tried) = tried.get_mut(at) {
                *tried += 1;
            }
            let connection = &self.members[at].1.line.connection;
            let repeats = retry::may_repeat(&error, connection.routing.retry_broken);
            debug!(connection = connection.label(), attempt, repeats, %error, "An upstream failed before its first byte");
            said = Some(retry::more_telling(said, error));
            if !repeats {
                break;
            }
        }
        Err(said.unwrap_or(UpstreamError::Busy { retry_after: BUSY_FOR }))
    }

    /// Wait before a connection is asked again; says whether there is time for that.
    async fn wait_before(&self, asked_before: u32, left: Duration) -> bool {
        if asked_before == 0 {
            return true;
        }
        let config = &self.shared.config;
        let luck = self.shared.dice.part();
        let wait = retry::backoff(asked_before, config.backoff, config.backoff_at_most, luck);
        if wait >= left {
            return false;
        }
        sleep(wait).await;
        true
    }

    async fn attempt(
        &self,
        errand: &Errand,
        at: usize,
        pass: Pass,
        mut ask: Ask<'_>,
        left: Duration,
        may_repeat: bool,
    ) -> Result<(Got, Lease), UpstreamError> {
        let member = &self.members[at].1;
        let mut lease = self.enter(at, pass, left).await?;
        errand.is_served_by(&member.line.connection, &member.model);
        if member.line.connection.kind == ConnectionKind::Ollama {
            member.health.warms(self.shared.epoch.now());
        }
        ask.name(&member.model);
        let answer = match ask.send(member.upstream.as_ref()).await {
            // Only where a broken answer would be asked for again is it worth holding one back.
            Ok(got) if may_repeat && member.line.connection.routing.retry_broken => begun(got).await,
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
