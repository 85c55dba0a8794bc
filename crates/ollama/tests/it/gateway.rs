//! The passthrough behind a real server. A header says who asks, in the place of real credentials.

use std::{sync::Arc, time::Duration};

use breezeway_core::{AccessGrant, Clock, Credential, Grants, Principal, Role, UnixTime, UserId};
use breezeway_ollama::{OllamaUpstream, Passthrough, PassthroughConfig};
use breezeway_registry::{
    Alias, Connection, MemoryModels, ModelStore, Overlay, Registry, RegistryConfig, Upstream,
};
use breezeway_testkit::{Client, ScriptedUpstream};
use breezeway_upstream::HttpClient;
use breezeway_usage::{MemoryLedger, Meter, PriceTable, UsageConfig};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Map;
use tokio::{net::TcpListener, task::JoinSet};
use tower::Service;

use crate::connection;

const ROLE: &str = "x-test-role";
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Gateway {
    pub(crate) address: String,
    pub(crate) meter: Meter,
    pub(crate) registry: Registry,
    client: Client,
    _server: JoinSet<()>,
}

impl Gateway {
    /// In front of one upstream.
    pub(crate) async fn over(upstream: &ScriptedUpstream) -> Self {
        Self::start(vec![connection(upstream, 0)], &[]).await
    }

    /// In front of some connections, with models that everybody may use.
    pub(crate) async fn start(connections: Vec<Connection>, public: &[&str]) -> Self {
        Self::with_aliases(connections, public, Vec::new()).await
    }

    /// The same with names for some of them.
    pub(crate) async fn with_aliases(
        connections: Vec<Connection>,
        public: &[&str],
        aliases: Vec<Alias>,
    ) -> Self {
        let clock = Clock::fixed(UnixTime::from_seconds(NOW));
        let client = HttpClient::default();
        let store = MemoryModels::default();
        for id in public {
            store.insert_overlay(&public_overlay(id)).await.expect("the id is free");
        }
        let ledger = Arc::new(MemoryLedger::default());
        let meter = Meter::open(UsageConfig::default(), ledger, PriceTable::empty(), clock.clone());
        let meter = meter.await.expect("an empty ledger can be read");
        let config = RegistryConfig {
            refresh_every: Duration::from_secs(60),
            catalog_timeout: Duration::from_secs(5),
            open_to_all: false,
            order: Vec::new(),
            aliases,
            fleet: Default::default(),
        };
        let connector = {
            let (client, clock) = (client.clone(), clock.clone());
            Arc::new(move |connection: &Connection| {
                let upstream = OllamaUpstream::new(connection, client.clone(), clock.clone())?;
                Ok(Arc::new(upstream) as Arc<dyn Upstream>)
            })
        };
        let registry =
            Registry::open(config, connections, Arc::new(store), connector, clock).await.expect("it opens");
        let config = PassthroughConfig {
            max_request_bytes: 4096,
            request_idle_timeout: Duration::from_millis(300),
            enabled: true,
        };
        let passthrough = Passthrough::new(registry.clone(), client, meter.clone(), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, passthrough));
        Self { client: Client::new(format!("http://{address}")), address, meter, registry, _server: server }
    }

    pub(crate) fn admin(&self) -> Client {
        self.client.with_header(ROLE, "admin")
    }

    pub(crate) fn user(&self) -> Client {
        self.client.with_header(ROLE, "user")
    }

    pub(crate) fn pending(&self) -> Client {
        self.client.with_header(ROLE, "pending")
    }

    pub(crate) fn stranger(&self) -> Client {
        self.client.clone()
    }
}

async fn serve(listener: TcpListener, passthrough: Passthrough) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.expect("the listener works");
        let passthrough = passthrough.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let role = request.headers().get(ROLE).and_then(|role| role.to_str().ok()?.parse().ok());
            if let Some(role) = role {
                request.extensions_mut().insert(principal(role));
            }
            passthrough.clone().call(request)
        });
        connections.spawn(async move {
            // How a connection ends is what the tests look at from outside.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

fn principal(role: Role) -> Principal {
    Principal {
        user: UserId::mint(),
        role,
        name: "Ada".into(),
        email: "ada@example.com".into(),
        groups: [].into(),
        credential: Credential::Local,
        rules: None,
    }
}

fn public_overlay(id: &str) -> Overlay {
    Overlay {
        id: id.parse().expect("the test names an id"),
        owner: UserId::mint(),
        base: None,
        name: id.to_owned(),
        params: Map::new(),
        meta: Map::new(),
        grants: Grants::new([AccessGrant::PUBLIC_READ]),
        active: true,
        created_at: UnixTime::default(),
        updated_at: UnixTime::default(),
    }
}
