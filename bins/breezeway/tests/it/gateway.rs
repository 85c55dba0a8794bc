//! The binary as a child process with a folder, a port and an environment of its own.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use breezeway::parts::{
    core::{Lane, LaneConfig},
    store::{Store, StoreConfig},
};
use breezeway_testkit::{Client, ScriptedUpstream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use crate::raw::Raw;

/// The model that scripted upstreams serve.
pub(crate) const MODEL: &str = "llama3.2:latest";

/// How long anything may take that ought to happen at once; generous, because the machine is busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

const EMAIL: &str = "admin@test.example";
const PASSWORD: &str = "correct horse battery";

/// Ask until there is an answer.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(DEADLINE, what, ask).await
}

/// Ask until there is an answer, but not for longer than `deadline`.
pub(crate) async fn within<T>(deadline: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < deadline, "{what}, within {deadline:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// What a gateway is started with. Clones share the folder.
#[derive(Clone)]
pub(crate) struct Setup {
    folder: Arc<TempDir>,
    environment: BTreeMap<String, String>,
}

impl Setup {
    /// No upstreams, no embedding model, a free port.
    pub(crate) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let setup = Self { folder, environment: BTreeMap::new() };
        let (data, home) = (setup.data().display().to_string(), setup.folder.path().display().to_string());
        setup
            .set("DATA_DIR", &data)
            .set("HOME", &home)
            .set("PORT", "0")
            .set("LOG_FORMAT", "json")
            .set("OFFLINE_MODE", "true")
            .set("ENABLE_OLLAMA_API", "false")
    }

    /// An OpenAI connection to `upstream`, which embeds too.
    pub(crate) fn openai(upstream: &ScriptedUpstream) -> Self {
        Self::new()
            .set("OPENAI_API_BASE_URLS", &upstream.openai_url())
            .set("RAG_EMBEDDING_ENGINE", "openai")
            .set("RAG_OPENAI_API_BASE_URL", &upstream.openai_url())
            .set("RAG_EMBEDDING_MODEL", "scripted-embedding")
            .set("ENABLE_RETRIEVAL_QUERY_GENERATION", "false")
    }

    /// An Ollama connection to `upstream`.
    pub(crate) fn ollama(upstream: &ScriptedUpstream) -> Self {
        Self::new().set("ENABLE_OLLAMA_API", "true").set("OLLAMA_BASE_URLS", &upstream.url())
    }

    /// With this setting.
    #[must_use]
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breezeway"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command
    }

    /// Run a command to its end, with `input` on standard input.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("it was piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    /// Start the gateway and wait until it answers.
    pub(crate) async fn start(&self) -> Gateway {
        let mut command = self.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = Log::default();
        let address = log.follow(child.stderr.take().expect("it was piped"));
        let address_not_told = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Gateway { child, address: address_not_told, log, _folder: self.folder.clone() };
        let told = timeout(DEADLINE, address).await;
        gateway.address = told.expect("it says where it listens in time").expect("it says where it listens");
        let client = gateway.client();
        eventually("it is healthy", async || (client.get("/health").await.status == 200).then_some(())).await;
        gateway
    }

    /// What the consistency check of the data folder's database finds; the gateway must have ended.
    pub(crate) async fn contradictions(&self) -> Vec<String> {
        let lane = |name| Lane::new(name, LaneConfig { threads: 1, queue: 16 });
        let config = StoreConfig::at(self.data().join("breezeway.db"));
        let store = Store::open(config, lane("write"), lane("read")).await.expect("the database opens");
        store.check().await.expect("the database can be checked")
    }

    /// The files in the folder of uploaded bytes, half written ones included.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.data().join("blobs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }
}

/// What the process has written to standard error.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    /// Collect lines on a thread of their own; answers the address that one of them tells.
    fn follow(&self, lines: ChildStderr) -> oneshot::Receiver<SocketAddr> {
        let (tell, told) = oneshot::channel();
        let (log, mut tell) = (self.clone(), Some(tell));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line)
                    && let Some(tell) = tell.take()
                {
                    let _ = tell.send(address);
                }
                let mut log = log.0.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        told
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The address in the line that says where the gateway listens, of the log or of the banner.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("istening")?;
    let (_, rest) = rest.split_once("http://")?;
    rest.split(['"', ' ', ',']).next()?.parse().ok()
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    address: SocketAddr,
    log: Log,
    /// Dropped after the process has been killed.
    _folder: Arc<TempDir>,
}

impl Gateway {
    /// A client without credentials.
    pub(crate) fn client(&self) -> Client {
        Client::new(format!("http://{}", self.address))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection to write and read bytes on.
    pub(crate) async fn connect(&self) -> Raw {
        Raw::connect(self.address).await
    }

    /// The token of the admin, who is signed up by the first call.
    pub(crate) async fn token(&self) -> String {
        let form = json!({"name": "Admin", "email": EMAIL, "password": PASSWORD});
        let mut answer = self.client().post_json("/api/v1/auths/signup", &form).await;
        if answer.status != 200 {
            answer = self.client().post_json("/api/v1/auths/signin", &form).await;
        }
        let token = answer.json()["token"].as_str().map(str::to_owned);
        token.unwrap_or_else(|| panic!("signed in: {}", answer.summary()))
    }

    /// A client of the admin.
    pub(crate) async fn admin(&self) -> Client {
        self.client().bearer(&self.token().await)
    }

    /// A client of the admin, for when the upstream's model is known.
    pub(crate) async fn admin_with_model(&self) -> Client {
        let client = self.admin().await;
        eventually("the model is known", async || {
            client.get("/api/models").await.text().contains(MODEL).then_some(())
        })
        .await;
        client
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Wait until the log has `text`.
    pub(crate) async fn logs(&self, text: &str) {
        eventually(&format!("the log says `{text}`"), async || self.log().contains(text).then_some(())).await;
    }

    /// The most memory it has had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process is there");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells");
        let kilobytes: u64 =
            line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
        kilobytes * 1024
    }

    /// Send a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("there is a shell");
        assert!(status.success(), "{command}");
    }

    /// Wait for the end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        eventually("the process ends", async || self.child.try_wait().expect("it can be asked")).await
    }

    /// Stop it as an operator does.
    pub(crate) async fn stop(mut self) {
        self.signal("TERM");
        let status = self.ended().await;
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// End it as the kernel does that is out of memory.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Gateway {
    #[expect(clippy::print_stderr, reason = "the harness shows it beside the failure")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log());
        }
    }
}

/// A chat request of one message.
pub(crate) fn chat(text: &str, stream: bool) -> Value {
    json!({"model": MODEL, "messages": [{"role": "user", "content": text}], "stream": stream})
}

/// Wait until a file is processed; its last status.
pub(crate) async fn processed(client: &Client, id: &str) -> String {
    processed_within(DEADLINE, client, id).await
}

/// Wait for at most `deadline` until a file is processed; its last status.
pub(crate) async fn processed_within(deadline: Duration, client: &Client, id: &str) -> String {
    let path = format!("/api/v1/files/{id}/process/status");
    within(deadline, "the file is processed", async || {
        let answer = client.get(&path).await.json();
        let status = answer["status"].as_str().unwrap_or_default();
        ["completed", "failed"].contains(&status).then(|| status.to_owned())
    })
    .await
}

/// The texts that a search of one file finds.
pub(crate) async fn found_in(client: &Client, id: &str, query: &str) -> String {
    let body = json!({"collection_name": format!("file-{id}"), "query": query});
    let answer = client.post_json("/api/v1/retrieval/query/doc", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["documents"].to_string()
}

/// The id in an answer.
pub(crate) fn id_of(answer: &breezeway_testkit::Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().expect("it has an id").to_owned()
}

/// Whether a path is below a folder, for messages that show no temporary names.
pub(crate) fn names(paths: &[PathBuf], folder: &Path) -> Vec<String> {
    paths.iter().map(|path| path.strip_prefix(folder).unwrap_or(path).display().to_string()).collect()
}
