//! All tool servers: who may use which, and what each offers.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use breezeway_chat::{Tool, ToolFailure, ToolFunction, ToolSource, ToolsError};
use breezeway_core::{Live, Principal};
use breezeway_upstream::HttpClient;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Map, Value};
use tokio::{
    sync::{
        Mutex, Notify,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Instant, interval},
};
use tracing::{debug, info};

use crate::{
    Error, Listing, Result, ToolServer, ToolServerKind,
    caller::{Caller, LISTING_WAIT, MOST_DESCRIPTION, split},
    listing::Offer,
    mcp::{Closing, Session},
    openapi,
};

/// How often servers are asked again what they offer.
const EVERY: Duration = Duration::from_secs(300);

/// For how long that is believed where nobody asks in the background.
const BELIEVED: Duration = Duration::from_secs(600);

/// When a server that did not answer is asked again at the earliest.
const AGAIN: Duration = Duration::from_secs(10);

/// Servers that are asked at the same time.
const AT_ONCE: usize = 8;

/// Sessions that wait to be ended; further ones are left to their servers.
const MOST_CLOSINGS: usize = 64;

/// The tool servers in use. Clones share one state.
#[derive(Clone)]
pub struct ToolServers(Arc<Inner>);

struct Inner {
    client: HttpClient,
    served: Live<Vec<Arc<Served>>>,
    changed: Notify,
    closings: Sender<Closing>,
    /// Held by whoever ends sessions.
    waiting: Mutex<Receiver<Closing>>,
}

/// A tool server in use.
pub struct Served {
    server: ToolServer,
    index: usize,
    caller: Caller,
    known: Live<Option<Known>>,
    /// Held by whoever asks it.
    turn: Mutex<()>,
}

/// What was learned when a server was last asked.
#[derive(Clone)]
struct Known {
    at: Instant,
    listing: Option<Arc<Listing>>,
    has_failed: bool,
}

impl ToolServers {
    /// None yet.
    pub fn new(client: HttpClient) -> Self {
        let (closings, waiting) = channel(MOST_CLOSINGS);
        let waiting = Mutex::new(waiting);
        Self(Arc::new(Inner { client, served: Live::default(), changed: Notify::new(), closings, waiting }))
    }

    /// Use exactly these from now on. Requests under way finish with what they began with.
    ///
    /// # Errors
    /// [`Error::BadServer`] if one cannot be used; then nothing changes.
    pub fn set(&self, servers: Vec<ToolServer>) -> Result<()> {
        let known = self.all();
        let served = servers.into_iter().enumerate().map(|(index, server)| {
            let kept = known.iter().find(|kept| kept.index == index && kept.server == server);
            match kept {
                Some(kept) => Ok(kept.clone()),
                None => Served::new(server, index, self.0.client.clone()).map(Arc::new),
            }
        });
        self.0.served.store(served.collect::<Result<_>>()?);
        self.0.changed.notify_one();
        Ok(())
    }

    /// All there are, in order.
    pub fn all(&self) -> Arc<Vec<Arc<Served>>> {
        self.0.served.load()
    }

    /// Those the caller may use.
    pub fn for_caller(&self, principal: &Principal) -> Vec<Arc<Served>> {
        self.all().iter().filter(|served| served.server.is_for(principal)).cloned().collect()
    }

    /// Ask a server that is not in use yet what it offers.
    ///
    /// # Errors
    /// If it cannot be used, or says nothing useful.
    pub async fn inspect(&self, server: &ToolServer) -> Result<Listing> {
        let served = Served::new(server.clone(), 0, self.0.client.clone())?;
        served.ask(&self.0.closings).await
    }

    /// Work for ever: learn what servers offer before somebody has to wait for it, and tell them when
    /// sessions are over.
    pub async fn run(&self) {
        tokio::join!(self.refresh(), self.close());
    }

    async fn refresh(&self) {
        let mut often = interval(EVERY);
        loop {
            tokio::select! {
                _ = often.tick() => {}
                () = self.0.changed.notified() => {}
            }
            let mut stale: Vec<Arc<Served>> = self.all().as_ref().clone();
            stale.retain(|served| served.server.enabled && !served.is_fresh(EVERY / 2));
            let asked = stale.into_iter().map(|served| {
                let closings = self.0.closings.clone();
                async move { served.learn(&closings, EVERY / 2).await }
            });
            stream::iter(asked).buffer_unordered(AT_ONCE).for_each(async |_| {}).await;
        }
    }

    async fn close(&self) {
        let mut waiting = self.0.waiting.lock().await;
        while let Some(closing) = waiting.recv().await {
            closing.run().await;
        }
    }

    fn find(&self, id: &str, principal: &Principal) -> Option<Arc<Served>> {
        let usable = self.for_caller(principal);
        let by_place = |served: &&Arc<Served>| id == format!("server:{}", served.index);
        let named = usable.iter().find(|served| served.id() == id);
        named.or_else(|| usable.iter().find(by_place)).cloned()
    }
}

impl fmt::Debug for ToolServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolServers").field("servers", &self.all().len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ToolSource for ToolServers {
    async fn tools(&self, principal: &Principal, ids: &[String]) -> Result<Vec<Box<dyn Tool>>, ToolsError> {
        let mut tools: Vec<Box<dyn Tool>> = Vec::new();
        let mut seen: Vec<Arc<Served>> = Vec::new();
        for id in ids {
            let served = self.find(id, principal).ok_or_else(|| ToolsError::NoSuchTool(shown(id)))?;
            if seen.iter().any(|known| Arc::ptr_eq(known, &served)) {
                continue;
            }
            let listing = served.learn(&self.0.closings, BELIEVED).await;
            let listing = listing.ok_or_else(|| ToolsError::Unavailable(shown(id)))?;
            tools.extend(served.tools(&listing, &self.0.closings));
            seen.push(served);
        }
        Ok(tools)
    }
}

/// An id as an error repeats it: it is typed by callers.
fn shown(id: &str) -> String {
    id.chars().take(100).collect()
}

impl Served {
    fn new(server: ToolServer, index: usize, client: HttpClient) -> Result<Self> {
        let base = match server.kind {
            ToolServerKind::OpenApi => server.url.as_str(),
            ToolServerKind::Mcp => split(&server.url).0,
        };
        let caller = Caller::new(client, &server, base)?;
        Ok(Self { server, index, caller, known: Live::default(), turn: Mutex::default() })
    }

    /// Its configuration.
    pub fn server(&self) -> &ToolServer {
        &self.server
    }

    /// The id that requests name it by.
    pub fn id(&self) -> String {
        let kind = match self.server.kind {
            ToolServerKind::OpenApi => "server:",
            ToolServerKind::Mcp => "server:mcp:",
        };
        match &self.server.id {
            Some(id) => format!("{kind}{id}"),
            None => format!("{kind}{}", self.index),
        }
    }

    /// What people see: as it is configured, or as it calls itself once it has been asked.
    pub fn name(&self) -> String {
        let said = || self.listing().map(|listing| listing.title.clone()).filter(|title| !title.is_empty());
        self.server.name.clone().or_else(said).unwrap_or_else(|| "Tool Server".into())
    }

    /// What it is for.
    pub fn description(&self) -> String {
        let said = || self.listing().map(|listing| listing.description.clone());
        self.server.description.clone().or_else(said).unwrap_or_default()
    }

    /// What it offers, as far as that is known.
    fn listing(&self) -> Option<Arc<Listing>> {
        self.known.load().as_ref().as_ref()?.listing.clone()
    }

    fn is_fresh(&self, believed: Duration) -> bool {
        let known = self.known.load();
        let waits = |known: &Known| if known.has_failed { AGAIN } else { believed };
        known.as_ref().as_ref().is_some_and(|known| known.at.elapsed() < waits(known))
    }

    /// What it offers; it is asked unless that was learned lately. What it said earlier is good as long
    /// as it does not answer.
    async fn learn(&self, closings: &Sender<Closing>, believed: Duration) -> Option<Arc<Listing>> {
        if !self.is_fresh(believed) {
            let _turn = self.turn.lock().await;
            if !self.is_fresh(believed) {
                let asked = self.ask(closings).await;
                let has_failed = asked.is_err();
                let listing = match asked {
                    Ok(listing) => {
                        debug!(
                            tool.id = self.id(),
                            functions = listing.offers.len(),
                            "Learned what a tool server offers"
                        );
                        Some(Arc::new(listing))
                    }
                    Err(error) => {
                        info!(tool.id = self.id(), %error, "A tool server does not say what it offers");
                        self.listing()
                    }
                };
                self.known.store(Some(Known { at: Instant::now(), listing, has_failed }));
            }
        }
        self.listing()
    }

    async fn ask(&self, closings: &Sender<Closing>) -> Result<Listing> {
        let asked = async {
            match self.server.kind {
                ToolServerKind::OpenApi => self.document().await,
                ToolServerKind::Mcp => self.session(closings).listing().await,
            }
        };
        let timed_out = breezeway_registry::UpstreamError::TimedOut(LISTING_WAIT);
        let mut listing =
            tokio::time::timeout(LISTING_WAIT, asked).await.unwrap_or_else(|_| Err(timed_out.into()))?;
        listing.offers.retain(|offer| self.server.offers(&offer.function.name));
        Ok(listing)
    }

    async fn document(&self) -> Result<Listing> {
        if let Some(spec) = &self.server.spec {
            return openapi::listing(spec.as_bytes());
        }
        let path = self.server.path.as_str();
        let elsewhere = path.contains("://").then(|| split(path));
        let (caller, path) = match elsewhere {
            Some((base, path)) => {
                let client = self.caller.client().clone();
                // Another server is not to see this one's key.
                let is_same = base == split(&self.server.url).0;
                let asked = ToolServer { url: base.into(), ..self.server.clone() };
                let asked = if is_same { asked } else { ToolServer::new(asked.kind, base) };
                (Caller::new(client, &asked, base)?, path.to_owned())
            }
            None => (self.caller.clone(), format!("/{}", path.trim_start_matches('/'))),
        };
        let accept = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
        let answer = caller.send(Method::GET, &path, accept, None).await?;
        if answer.content_type.starts_with("text/html") {
            return Err(Error::BadDescription("it is a web page".into()));
        }
        openapi::listing(&answer.whole(MOST_DESCRIPTION).await?)
    }

    fn session(&self, closings: &Sender<Closing>) -> Session {
        Session::new(self.caller.clone(), split(&self.server.url).1, closings.clone())
    }

    fn tools(&self, listing: &Listing, closings: &Sender<Closing>) -> Vec<Box<dyn Tool>> {
        let session = Arc::new(self.session(closings));
        let tool = |offer: &Offer| -> Box<dyn Tool> {
            Box::new(Offered { offer: offer.clone(), caller: self.caller.clone(), session: session.clone() })
        };
        listing.offers.iter().map(tool).collect()
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// A function of a server, for the time of one request.
struct Offered {
    offer: Offer,
    caller: Caller,
    /// The same for all functions of the server. One that is called without is never begun.
    session: Arc<Session>,
}

#[async_trait]
impl Tool for Offered {
    fn function(&self) -> &ToolFunction {
        &self.offer.function
    }

    async fn call(&self, arguments: Map<String, Value>) -> Result<String, ToolFailure> {
        match &self.offer.operation {
            Some(operation) => operation.call(&self.caller, &arguments).await,
            None => self.session.call(&self.offer.function.name, arguments).await,
        }
    }
}
