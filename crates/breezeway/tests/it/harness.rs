//! A gateway in a temporary folder, and clients that ask it.

mod answer;
mod client;
pub(crate) mod schema;

use std::sync::atomic::{AtomicI64, Ordering};

use breezeway::{
    Background, Breezeway, Config, Embedding,
    parts::{
        auth::PasswordParams,
        core::{Clock, Secret, UnixTime},
        embedding::HashedModel,
        middleware::Stack,
        registry::{Connection, ConnectionKind},
    },
};
use breezeway_testkit::ScriptedUpstream;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use self::{answer::Answer, client::Client};

/// When every test begins: a round number, so that times in snapshots can be told from ids.
const BEGIN: i64 = 1_800_000_000;

/// The password of everybody whom [`TestServer::sign_up`] makes.
pub(crate) const PASSWORD: &str = "correct horse";

/// A gateway of its own, with a clock that stands still between accounts.
pub(crate) struct TestServer {
    pub(crate) breezeway: Breezeway,
    pub(crate) clock: Clock,
    now: AtomicI64,
    service: Stack<Full<Bytes>>,
    background: Option<Background>,
    _folder: TempDir,
}

impl TestServer {
    /// One without upstreams.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// One with changed settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        Self::over_with(folder, change).await
    }

    /// One that knows this upstream, as OpenAI's kind and as Ollama's, and has asked both for their
    /// models: `gpt-small` and `gpt-large`, `llama3.2:latest`.
    pub(crate) async fn with_upstreams() -> (Self, Upstreams) {
        Self::with_upstreams_and(|_| {}).await
    }

    /// The same with changed settings.
    pub(crate) async fn with_upstreams_and(change: impl FnOnce(&mut Config)) -> (Self, Upstreams) {
        let upstreams = Upstreams::start().await;
        let server = Self::with(|config| {
            config.connections = upstreams.connections();
            change(config);
        })
        .await;
        let failures = server.breezeway.registry().refresh(true).await;
        assert!(failures.is_empty(), "{failures:?}");
        (server, upstreams)
    }

    /// One over a folder that another has used, with the upstreams of that one.
    pub(crate) async fn over(folder: TempDir, upstreams: &Upstreams) -> Self {
        let mut config = config(&folder);
        config.connections = upstreams.connections();
        let server = Self::open(folder, config).await;
        server.breezeway.registry().refresh(true).await;
        server
    }

    /// One over a folder that another has used, with changed settings.
    pub(crate) async fn over_with(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(&folder);
        change(&mut config);
        Self::open(folder, config).await
    }

    async fn open(folder: TempDir, config: Config) -> Self {
        let clock = Clock::fixed(UnixTime::from_seconds(BEGIN));
        let breezeway = Breezeway::builder(config).clock(clock.clone()).build().await.unwrap();
        let service = breezeway.service();
        Self { breezeway, clock, now: AtomicI64::new(BEGIN), service, background: None, _folder: folder }
    }

    /// Where it keeps everything.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self._folder.path()
    }

    /// Let the background work run: files are read.
    pub(crate) fn run(&mut self) {
        self.background = Some(self.breezeway.spawn());
    }

    /// End the background work as a shutdown does.
    pub(crate) async fn stop(&mut self) {
        if let Some(background) = self.background.take() {
            background.shutdown(std::time::Duration::from_secs(20)).await;
        }
    }

    /// Let time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        let now = self.now.fetch_add(seconds, Ordering::SeqCst) + seconds;
        self.clock.set(UnixTime::from_seconds(now));
    }

    /// Somebody without an account.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(self.service.clone())
    }

    /// Sign up as `name` and keep the token. The first is admin; of those who come later an admin
    /// makes users.
    pub(crate) async fn sign_up(&self, name: &str) -> Client {
        self.account(name, "user").await
    }

    /// An account that waits for an admin.
    pub(crate) async fn pending(&self, name: &str) -> Client {
        self.account(name, "pending").await
    }

    async fn account(&self, name: &str, role: &str) -> Client {
        self.pass(1);
        let form = json!({
            "name": name,
            "email": format!("{}@example.org", name.to_lowercase()),
            "password": PASSWORD,
            "role": role,
        });
        let answer = if self.breezeway.auth().is_empty() {
            self.stranger().post("/api/v1/auths/signup", form).await
        } else {
            self.admin().post("/api/v1/auths/add", form).await
        };
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.stranger().signed_in(&answer.json())
    }

    /// The admin who signed up first, in a session of their own.
    pub(crate) fn admin(&self) -> Client {
        use breezeway::parts::core::{Credential, Principal, Role};

        let auth = self.breezeway.auth();
        let mut accounts = auth.accounts();
        accounts.retain(|account| account.role == Role::Admin);
        let first = accounts.iter().min_by_key(|account| account.created_at).expect("somebody signed up");
        let principal = Principal {
            user: first.id.clone(),
            role: first.role,
            name: first.name.as_str().into(),
            email: first.email.as_str().into(),
            groups: [].into(),
            credential: Credential::Local,
            rules: None,
        };
        let session = auth.renew(&principal, None).unwrap();
        self.stranger().signed_in(&json!({"id": first.id.as_str(), "token": session.token.expose()}))
    }
}

/// The upstreams of [`TestServer::with_upstreams`].
pub(crate) struct Upstreams {
    pub(crate) openai: ScriptedUpstream,
    pub(crate) ollama: ScriptedUpstream,
}

impl Upstreams {
    pub(crate) async fn start() -> Self {
        Self {
            openai: ScriptedUpstream::with_models(["gpt-small", "gpt-large"]).await,
            ollama: ScriptedUpstream::start().await,
        }
    }

    fn connections(&self) -> Vec<Connection> {
        vec![
            connection(ConnectionKind::OpenAi, self.openai.openai_url()),
            connection(ConnectionKind::Ollama, self.ollama.url()),
        ]
    }
}

/// Settings that cost little: weak hashes, an embedding model without weights, few threads.
fn config(folder: &TempDir) -> Config {
    let mut config = Config::at(folder.path(), Secret::new("the secret of these tests"));
    config.auth.password = PasswordParams { memory_kib: 8, passes: 1 };
    config.embedding = Embedding::Model(std::sync::Arc::new(HashedModel::new(64)));
    config.lanes = breezeway::LaneSizes::for_cores(1);
    config
}

/// A connection with nothing special about it.
pub(crate) fn connection(kind: ConnectionKind, url: String) -> Connection {
    breezeway::parts::api::connection(kind, 0, url, None, Default::default(), true)
        .expect("it has no options")
}

/// A line of an access list.
pub(crate) fn grant(kind: &str, id: &str, permission: &str) -> Value {
    json!({"principal_type": kind, "principal_id": id, "permission": permission})
}

/// Wait until something is so.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_secs(20) {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("{what} did not come to pass");
}
