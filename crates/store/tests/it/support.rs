//! What all of these tests need.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use breezeway_core::{FileId, Lane, LaneConfig, UnixTime, UserId};
use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{
    BlobHash, ChunkHash, ChunkId, ChunkRange, ChunkStore, Claim, Document, File, FileCommit, FileState,
    LibraryStore, NewChunk, NewFile,
};
use breezeway_store::{Store, StoreConfig};
use tempfile::TempDir;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn lane(name: &'static str, threads: usize) -> Lane {
    Lane::new(name, LaneConfig { threads, queue: 64 })
}

pub(crate) async fn open(path: impl Into<PathBuf>) -> Store {
    Store::open(StoreConfig::at(path), lane("write", 1), lane("read", 2)).await.expect("the store opens")
}

/// A store in a folder of its own.
pub(crate) struct TempStore {
    pub(crate) store: Store,
    folder: TempDir,
}

impl TempStore {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { store: open(folder.path().join("test.db")).await, folder }
    }

    /// Close the store and keep its folder.
    pub(crate) fn close(self) -> TempDir {
        self.folder
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }
}

/// Makes one empty store after another, for the conformance suites.
pub(crate) struct Stores(TempDir);

impl Stores {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) async fn fresh(&self) -> Store {
        open(self.0.path().join(format!("{}.db", FileId::mint()))).await
    }
}

/// The driver itself, without foreign keys and checks, to do damage and to look.
pub(crate) fn raw(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("the file opens");
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON",
        )
        .expect("settings are settings");
    connection
}

pub(crate) fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_800_000_000 + seconds)
}

pub(crate) fn new_file(name: &str, blob: u8) -> NewFile {
    NewFile {
        id: FileId::mint(),
        owner: "ada".parse::<UserId>().expect("a name is an id"),
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
        size_bytes: 7,
        blob: BlobHash([blob; 32]),
        metadata: serde_json::Map::new(),
        state: FileState::Pending,
    }
}

pub(crate) fn model() -> Fingerprint {
    Fingerprint::new("test-2")
}

pub(crate) fn vector(number: u8) -> Vector {
    Vector::normalized(vec![f32::from(number) + 1.0, 1.0]).expect("finite")
}

pub(crate) fn word(number: u8) -> String {
    format!("text {number}. ")
}

pub(crate) fn hash(number: u8) -> ChunkHash {
    ChunkHash::of(&word(number))
}

pub(crate) fn vectors(numbers: &[u8]) -> HashMap<ChunkHash, Vector> {
    numbers.iter().map(|&number| (hash(number), vector(number))).collect()
}

/// Chunks by the numbers of their texts, and vectors by the numbers of theirs.
pub(crate) fn commit(claim: &Claim, texts: &[u8], embedded: &[u8]) -> FileCommit {
    let text: String = texts.iter().map(|&number| word(number)).collect();
    let mut start = 0;
    let chunks = texts.iter().map(|&number| {
        let text = word(number);
        let end = start + text.len();
        let chunk = NewChunk { hash: hash(number), text, start, end, page: None, headings: Vec::new() };
        start = end;
        chunk
    });
    FileCommit {
        file: claim.file.id.clone(),
        attempt: claim.attempt,
        text_hash: "ab".repeat(32),
        chunks: chunks.collect(),
        document: Document { text, ..Document::default() },
        vectors: Some((model(), vectors(embedded))),
    }
}

pub(crate) async fn insert(store: &Store, name: &str, seconds: i64) -> File {
    store.insert_file(new_file(name, 1), None, at(seconds)).await.expect("inserted")
}

/// Insert a file and make it searchable.
pub(crate) async fn committed(store: &Store, name: &str, texts: &[u8], embedded: &[u8]) -> FileId {
    let file = insert(store, name, 0).await;
    let claim = store.claim_pending(at(1), LEASE).await.expect("asked").expect("one is pending");
    assert_eq!(claim.file.id, file.id, "the only pending file is claimed");
    assert!(store.commit_file(commit(&claim, texts, embedded), at(2)).await.expect("committed"));
    file.id
}

pub(crate) const EVERYTHING: ChunkRange = ChunkRange { first: ChunkId(0), last: ChunkId(u32::MAX) };
