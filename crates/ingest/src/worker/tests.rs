use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use async_trait::async_trait;
use breezeway_core::{LaneConfig, UnixTime, UserId};
use breezeway_embedding::{EmbedError, Fingerprint, HashedModel, Purpose, Vector};
use breezeway_knowledge::{
    BlobHash, File, FileState, LibraryStore, LogOp, MemoryBlobs, MemoryLibrary, NewFile, Seq, StoredChunk,
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Map;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::Stage;

mod child;
mod resumed;

/// A library in memory and what works on it.
struct Town {
    library: MemoryLibrary,
    blobs: Arc<dyn BlobStore>,
    clock: Clock,
    bells: Bells,
    ingestor: Ingestor,
}

fn config() -> IngestConfig {
    IngestConfig {
        plan: ChunkPlan::default(),
        limits: Limits { time: Duration::from_secs(60), ..Limits::default() },
        extraction: Extraction::InProcess,
        workers: 2,
        lease: Duration::from_secs(30),
        attempts: 3,
        embed_batch: 4,
        embeds_at_once: 2,
        poll_every: Duration::from_millis(10),
    }
}

impl Town {
    fn new(model: Option<Arc<dyn EmbeddingModel>>) -> Self {
        Self::with(config(), model)
    }

    fn with(config: IngestConfig, model: Option<Arc<dyn EmbeddingModel>>) -> Self {
        let library = MemoryLibrary::default();
        let blobs: Arc<dyn BlobStore> = Arc::new(MemoryBlobs::default());
        let clock = Clock::fixed(UnixTime::from_seconds(1000));
        let bells = Bells::default();
        let lane = Lane::new("extract", LaneConfig { threads: 2, queue: 8 });
        let ingestor = Ingestor::new(
            config,
            IngestStores {
                chunks: Arc::new(library.clone()),
                drafts: Arc::new(library.clone()),
                blobs: blobs.clone(),
            },
            model,
            lane,
            clock.clone(),
            bells.clone(),
        );
        Self { library, blobs, clock, bells, ingestor }
    }

    async fn upload(&self, name: &str, bytes: impl Into<Bytes>) -> FileId {
        let bytes: Bytes = bytes.into();
        let stored = self
            .blobs
            .put(Box::pin(stream::iter([Ok(bytes)])), u64::MAX)
            .await
            .expect("memory takes everything");
        self.insert(name, stored.hash).await
    }

    async fn insert(&self, name: &str, blob: BlobHash) -> FileId {
        let file = NewFile {
            id: FileId::mint(),
            owner: UserId::mint(),
            name: name.to_owned(),
            media_type: if name.ends_with(".mp4") { "video/mp4".to_owned() } else { String::new() },
            size_bytes: 1,
            blob,
            metadata: Map::new(),
            state: FileState::Pending,
        };
        let file =
            self.library.insert_file(file, None, self.clock.now()).await.expect("the file is inserted");
        self.bells.arrivals.notify_one();
        file.id
    }

    async fn file(&self, id: &FileId) -> Option<File> {
        self.library.file(id).await.expect("memory answers")
    }

    async fn state(&self, id: &FileId) -> FileState {
        self.file(id).await.expect("the file exists").state
    }

    async fn chunks_of(&self, id: &FileId, model: &dyn EmbeddingModel) -> Vec<StoredChunk> {
        let log = self.library.log_after(Seq(0), 1000).await.expect("memory answers");
        let added = log.iter().rev().find(|entry| entry.file == *id && entry.op == LogOp::Added);
        match added {
            Some(entry) => {
                self.library.chunks(entry.chunks, Some(model.fingerprint())).await.expect("memory answers")
            }
            None => Vec::new(),
        }
    }

    /// Let time pass for a file that waits to be tried again.
    async fn come_back_later(&self, id: &FileId) {
        // Not while it is processed: its lease would run out.
        if self.state(id).await == FileState::Pending {
            self.clock.set(self.clock.now().plus(Duration::from_secs(10)));
        }
    }

    /// Work until `done` holds.
    async fn work_until(&self, mut done: impl AsyncFnMut() -> bool) {
        let reached = async {
            while !done().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), async {
            tokio::select! {
                () = self.ingestor.run() => {}
                () = reached => {}
            }
        })
        .await
        .expect("it happens in time");
    }

    async fn work_until_final(&self, id: &FileId) -> FileState {
        self.work_until(async || self.state(id).await.is_final()).await;
        self.state(id).await
    }
}

/// A model that does what the test says, and remembers what it was asked.
struct Scripted {
    inner: HashedModel,
    fingerprint: Fingerprint,
    asked: Mutex<Vec<Vec<String>>>,
    failures: AtomicU32,
    script: Script,
    /// Waited for before every answer, if there is one.
    gate: Option<Notify>,
    waiting: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Answer,
    FailTimes(u32),
    Refuse,
    Panic,
    Ragged,
}

impl Scripted {
    fn new(script: Script) -> Self {
        Self {
            inner: HashedModel::new(8),
            fingerprint: Fingerprint::new("scripted"),
            asked: Mutex::default(),
            failures: AtomicU32::new(0),
            script,
            gate: None,
            waiting: AtomicUsize::new(0),
        }
    }

    fn gated() -> Self {
        Self { gate: Some(Notify::new()), ..Self::new(Script::Answer) }
    }

    fn asked(&self) -> Vec<Vec<String>> {
        self.asked.lock().expect("no panic").clone()
    }

    fn open(&self) {
        self.gate.as_ref().expect("the model is gated").notify_one();
    }
}

#[async_trait]
impl EmbeddingModel for Scripted {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> Option<usize> {
        self.inner.dimensions()
    }

    fn is_multilingual(&self) -> bool {
        false
    }

    async fn embed(&self, purpose: Purpose, texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        self.asked.lock().expect("no panic").push(texts.iter().map(|&text| text.to_owned()).collect());
        if let Some(gate) = &self.gate {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            gate.notified().await;
        }
        let before = self.failures.load(Ordering::Relaxed);
        match self.script {
            Script::FailTimes(times) if before < times => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(EmbedError::Transient("busy".to_owned()))
            }
            Script::Refuse => Err(EmbedError::Refused("no such model".to_owned())),
            Script::Panic => panic!("expected by the test"),
            Script::Ragged => {
                let mut vectors = self.inner.embed(purpose, texts).await?;
                vectors[0] = Vector::normalized(vec![1.0]).expect("a vector");
                Ok(vectors)
            }
            Script::Answer | Script::FailTimes(_) => self.inner.embed(purpose, texts).await,
        }
    }
}

#[tokio::test]
async fn a_file_becomes_searchable() {
    let model = Arc::new(Scripted::new(Script::Answer));
    let town = Town::new(Some(model.clone()));
    let id = town.upload("parcels.txt", "Parcel 8302 left\nTurin.\n").await;

    let state = town.work_until_final(&id).await;

    assert_eq!(state, FileState::Completed);
    let document = town.library.document(&id).await.expect("memory answers").expect("there is a document");
    assert_eq!(document.text, "Parcel 8302 left\nTurin.\n");
    assert_eq!(
        town.file(&id).await.expect("the file exists").text_hash.as_deref(),
        Some(format!("{:x}", Sha256::digest("Parcel 8302 left\nTurin.\n")).as_str())
    );
    let chunks = town.chunks_of(&id, model.as_ref()).await;
    assert_eq!(chunks[0].chunk.text, "Parcel 8302 left\nTurin.");
    assert!(chunks[0].vector.is_some());
    assert_eq!(model.asked(), [["Parcel 8302 left Turin."]]);
    assert_eq!(town.ingestor.progress().of(&id), None);
}

#[tokio::test]
async fn text_embedded_before_is_not_embedded_again() {
    let model = Arc::new(Scripted::new(Script::Answer));
    let town = Town::new(Some(model.clone()));
    let first = town.upload("a.txt", "the same words").await;
    town.work_until_final(&first).await;

    let second = town.upload("b.txt", "the same words\n").await;
    town.work_until_final(&second).await;

    assert_eq!(model.asked().len(), 1);
    assert!(town.chunks_of(&second, model.as_ref()).await[0].vector.is_some());
}

#[tokio::test]
async fn batches_are_bounded_and_of_similar_length() {
    let model = Arc::new(Scripted::new(Script::Answer));
    let town = Town::new(Some(model.clone()));
    let text: String =
        (1..=10).map(|number| format!("# Part {number}\n{}\n", "word ".repeat(number * 7))).collect();

    let id = town.upload("parts.md", text).await;
    town.work_until_final(&id).await;

    let asked = model.asked();
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
    let lengths: Vec<usize> = asked.concat().iter().map(String::len).collect();
    assert!(lengths.is_sorted(), "{lengths:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_at_once_and_says_why() {
    let town = Town::new(None);
    let id = town.upload("broken.pdf", "%PDF-1.4 not really").await;

    let FileState::Failed(reason) = town.work_until_final(&id).await else { panic!("it failed") };

    assert!(reason.starts_with("The PDF is damaged"), "{reason}");
}

#[tokio::test]
async fn a_film_is_kept_without_a_text() {
    let town = Town::with(config(), None);
    let film = town.upload("holiday.mp4", &b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"[..]).await;

    town.work_until(async || town.state(&film).await.is_final()).await;

    assert_eq!(town.state(&film).await, FileState::Completed);
    let document = town.library.document(&film).await.expect("memory answers").expect("a document");
    assert_eq!(document.text, "");
}

#[tokio::test]
async fn a_new_plan_counts_for_texts_cut_from_now_on() {
    let town = Town::with(config(), None);
    let model = HashedModel::new(8);
    let before = town.upload("before.txt", "one two three four").await;
    town.work_until(async || town.state(&before).await.is_final()).await;

    town.ingestor.set_plan(ChunkPlan { size: 10, overlap: 0, by_heading: false, ..ChunkPlan::default() });
    let after = town.upload("after.txt", "five six seven eight").await;
    town.work_until(async || town.state(&after).await.is_final()).await;

    assert_eq!(town.chunks_of(&before, &model).await.len(), 1);
    assert_eq!(town.chunks_of(&after, &model).await.len(), 3);
}

#[tokio::test]
async fn an_embedder_that_is_down_is_asked_again_later() {
    let model = Arc::new(Scripted::new(Script::FailTimes(1)));
    let town = Town::new(Some(model.clone()));
    let id = town.upload("a.txt", "some words").await;
    town.work_until(async || model.asked().len() == 1 && town.state(&id).await == FileState::Pending).await;
    assert!(town.library.document(&id).await.expect("memory answers").is_none(), "nothing is committed");

    town.clock.set(UnixTime::from_seconds(1000 + 5));
    let state = town.work_until_final(&id).await;

    assert_eq!(state, FileState::Completed);
    assert_eq!(model.asked().len(), 2);
}

#[tokio::test]
async fn an_embedder_that_is_down_for_long_is_waited_for() {
    let model = Arc::new(Scripted::new(Script::FailTimes(8)));
    let town = Town::new(Some(model.clone()));
    let id = town.upload("a.txt", "some words").await;

    town.work_until(async || {
        town.come_back_later(&id).await;
        town.state(&id).await.is_final()
    })
    .await;

    assert_eq!(town.state(&id).await, FileState::Completed);
    assert_eq!(model.asked().len(), 9, "more attempts than any other failure gets");
}

#[tokio::test]
async fn a_refusal_a_panic_and_vectors_of_two_lengths_are_final() {
    for (script, reason) in [
        (Script::Refuse, "the embedding service refused: no such model"),
        (Script::Panic, "processing the file failed unexpectedly"),
        (Script::Ragged, "the embedding model answered wrongly: vectors of 8 and of 1 dimensions"),
    ] {
        let model = Arc::new(Scripted::new(script));
        let town = Town::new(Some(model.clone()));
        let id = town.upload("a.md", "# one\nwords\n# two\nwords").await;

        let state = town.work_until_final(&id).await;

        assert_eq!(state, FileState::Failed(reason.to_owned()));
        assert_eq!(model.asked().len(), 1);
    }
}

#[tokio::test]
async fn without_a_model_files_are_committed_and_catch_up_when_one_comes() {
    let town = Town::new(None);
    let id = town.upload("a.md", "# one\nwords\n# two\nmore words").await;
    assert_eq!(town.work_until_final(&id).await, FileState::Completed);
    let model = Arc::new(Scripted::new(Script::Answer));
    assert!(town.chunks_of(&id, model.as_ref()).await.iter().all(|chunk| chunk.vector.is_none()));

    town.ingestor.set_model(Some(model.clone()));
    town.work_until(async || {
        town.chunks_of(&id, model.as_ref()).await.iter().all(|chunk| chunk.vector.is_some())
    })
    .await;

    let mut asked = model.asked().concat();
    asked.sort();
    assert_eq!(asked, ["# one words", "# two more words"]);
}

#[tokio::test]
async fn a_file_deleted_while_it_is_processed_stays_deleted() {
    let model = Arc::new(Scripted::gated());
    let town = Town::new(Some(model.clone()));
    let id = town.upload("a.txt", "some words").await;
    town.work_until(async || {
        if model.waiting.load(Ordering::Relaxed) == 1 && town.file(&id).await.is_some() {
            let progress = town.ingestor.progress().of(&id).expect("it is being worked on");
            assert_eq!(
                (progress.stage, progress.chunks_done, progress.chunks_total),
                (Stage::Embedding, 0, 1)
            );
            town.library.delete_files(std::slice::from_ref(&id)).await.expect("memory answers");
            model.open();
        }
        town.file(&id).await.is_none() && town.ingestor.progress().of(&id).is_none()
    })
    .await;

    assert_eq!(town.file(&id).await, None);
    assert!(town.library.document(&id).await.expect("memory answers").is_none());
    assert_eq!(town.library.last_seq().await.expect("memory answers"), Seq(0));
}

#[tokio::test]
async fn a_claim_is_renewed_while_its_file_is_worked_on() {
    let model = Arc::new(Scripted::gated());
    let town = Town::new(Some(model.clone()));
    let id = town.upload("a.txt", "some words").await;
    let mut waited = false;

    town.work_until(async || {
        if !waited && model.waiting.load(Ordering::Relaxed) == 1 {
            // Only timers move from here on: nothing runs on the lane while the model waits.
            tokio::time::pause();
            town.clock.set(UnixTime::from_seconds(1000 + 25));
            tokio::time::sleep(Duration::from_secs(11)).await;
            town.clock.set(UnixTime::from_seconds(1000 + 50));
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(model.waiting.load(Ordering::Relaxed), 1, "the idle worker did not take the file too");
            tokio::time::resume();
            waited = true;
            model.open();
        }
        town.state(&id).await.is_final()
    })
    .await;

    assert!(waited);
    assert_eq!(town.state(&id).await, FileState::Completed);
}

#[tokio::test]
async fn work_whose_claim_is_lost_is_dropped_and_begun_anew() {
    let model = Arc::new(Scripted::gated());
    let quick = IngestConfig { workers: 1, lease: Duration::from_millis(30), ..config() };
    let town = Town::with(quick, Some(model.clone()));
    let id = town.upload("a.txt", "some words").await;
    let mut requeued = false;

    town.work_until(async || {
        if !requeued && model.waiting.load(Ordering::Relaxed) == 1 {
            town.library.requeue_file(&id, town.clock.now()).await.expect("memory answers");
            requeued = true;
        }
        if model.waiting.load(Ordering::Relaxed) == 2 {
            model.open();
        }
        town.state(&id).await.is_final()
    })
    .await;

    assert_eq!(town.state(&id).await, FileState::Completed);
    assert_eq!(model.asked().len(), 2);
}

#[tokio::test]
async fn the_bytes_of_a_file_that_are_gone_are_said_to_be_gone() {
    let town = Town::new(None);
    let id = town.insert("a.txt", BlobHash([7; 32])).await;

    let state = town.work_until_final(&id).await;

    assert_eq!(state, FileState::Failed("the uploaded bytes are no longer there".to_owned()));
}

#[tokio::test]
async fn many_files_are_all_processed() {
    let town = Town::new(Some(Arc::new(HashedModel::new(8))));
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(town.upload("a.txt", format!("file number {number}")).await);
    }

    town.work_until(async || {
        for id in &ids {
            if !town.state(id).await.is_final() {
                return false;
            }
        }
        true
    })
    .await;

    for id in &ids {
        assert_eq!(town.state(id).await, FileState::Completed);
    }
}
