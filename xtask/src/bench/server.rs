//! The two programs under measurement. Each ends with the value that stands for it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{
    eventually,
    http::{self, Connection, Message},
};

/// A start or a first look at the upstream that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

const EMAIL: &str = "bench@example.org";
const PASSWORD: &str = "a-password-for-loopback-only";

/// A child process that is ended and waited for when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A hyper server in front of a hyper client and nothing between.
pub(super) struct BareProxy {
    address: SocketAddr,
    running: Running,
}

impl BareProxy {
    pub(super) fn start(program: &Path, upstream: SocketAddr) -> anyhow::Result<Self> {
        let child = Command::new(program).arg(upstream.to_string()).stdout(Stdio::piped()).spawn()?;
        let mut running = Running(child);
        let stdout = running.0.stdout.take().context("the bare proxy has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the bare proxy did not say where it listens")?;
        Ok(Self { address, running })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn process(&self) -> u32 {
        self.running.0.id()
    }
}

/// The gateway as it is shipped, on an empty data folder.
pub(super) struct Breezeway {
    address: SocketAddr,
    time_to_healthy: Duration,
    running: Running,
}

impl Breezeway {
    pub(super) fn start(program: &Path, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Self> {
        // Free now; that somebody else takes it within the next milliseconds is possible and loud.
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let log = folder.join("server.log");
        let began = Instant::now();
        let child = Command::new(program)
            // What the person's shell says about models, proxies and logs is not measured.
            .env_clear()
            // Nor what a `breezeway.toml` in the person's folder says.
            .current_dir(folder)
            .env("HOST", address.ip().to_string())
            .env("PORT", address.port().to_string())
            .env("DATA_DIR", folder.join("data"))
            .env("OPENAI_API_BASE_URLS", format!("http://{upstream}/v1"))
            .env("ENABLE_OLLAMA_API", "false")
            .env("OFFLINE_MODE", "true")
            .env("BREEZEWAY_ADMIN_EMAIL", EMAIL)
            .env("BREEZEWAY_ADMIN_PASSWORD", PASSWORD)
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()?;
        let mut breezeway = Self { address, time_to_healthy: Duration::ZERO, running: Running(child) };
        breezeway.wait_until_healthy().with_context(|| last_words(&log))?;
        breezeway.time_to_healthy = began.elapsed();
        Ok(breezeway)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn process(&self) -> u32 {
        self.running.0.id()
    }

    pub(super) fn time_to_healthy(&self) -> Duration {
        self.time_to_healthy
    }

    fn wait_until_healthy(&mut self) -> anyhow::Result<()> {
        let Self { address, running, .. } = self;
        let mut ended = None;
        eventually("a healthy answer", PATIENCE, Duration::from_millis(1), || {
            ended = running.0.try_wait()?;
            if ended.is_some() {
                return Ok(Some(()));
            }
            let request = http::request("GET", "/health", *address, None, b"");
            let status = Connection::open(*address)?.call(&request, &mut Message::new())?;
            Ok((status == 200).then_some(()))
        })?;
        match ended {
            Some(status) => anyhow::bail!("the server ended with {status}"),
            None => Ok(()),
        }
    }

    /// Signs in as the administrator of the fresh start and gives a new API key.
    pub(super) fn sign_in(&self) -> anyhow::Result<String> {
        let credentials = json!({ "email": EMAIL, "password": PASSWORD });
        let session = self.post("/api/v1/auths/signin", None, &credentials)?;
        let token = session["token"].as_str().context("signing in gave no token")?;
        let answer = self.post("/api/v1/auths/api_key", Some(token), &json!({}))?;
        Ok(answer["api_key"].as_str().context("no API key was given")?.to_owned())
    }

    /// Waits until the gateway has seen the upstream's list.
    pub(super) fn wait_for_models(&self, key: &str, models: usize) -> anyhow::Result<()> {
        eventually("the list of models", PATIENCE, Duration::from_millis(50), || {
            let request = http::request("GET", "/api/models", self.address, Some(key), b"");
            let answer = self.call(&request)?;
            let listed = answer["data"].as_array().map_or(0, Vec::len);
            Ok((listed >= models).then_some(()))
        })
    }

    /// The memory the process holds, in KiB.
    pub(super) fn rss_kib(&self) -> anyhow::Result<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.running.0.id()));
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        size.context("the process has no resident size")
    }

    fn post(&self, path: &str, key: Option<&str>, body: &Value) -> anyhow::Result<Value> {
        self.call(&http::request("POST", path, self.address, key, body.to_string().as_bytes()))
    }

    fn call(&self, request: &[u8]) -> anyhow::Result<Value> {
        let mut message = Message::new();
        let status = Connection::open(self.address)?.call(request, &mut message)?;
        let text = String::from_utf8_lossy(&message.body);
        ensure!(status == 200, "the server answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// The processor time a process has spent so far, in user and kernel mode, in steps of 10 ms.
pub(super) fn cpu_time(process: u32) -> anyhow::Result<Duration> {
    /// Linux counts in these wherever it runs: `USER_HZ` is part of its interface.
    const TICK: Duration = Duration::from_millis(10);
    let path = PathBuf::from(format!("/proc/{process}/stat"));
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    // The second field is the program's name in parentheses and may hold spaces; `utime` and `stime` are
    // the 14th and 15th of proc_pid_stat(5).
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<u32> =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 2, "`{}` has no times", path.display());
    Ok(TICK * ticks.iter().sum())
}

/// The end of the server's log, for the one case in which it is wanted.
fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    format!(
        "the server did not start; its log ends with\n{}",
        lines[lines.len().saturating_sub(20)..].join("\n")
    )
}
