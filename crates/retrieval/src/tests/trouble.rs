//! Stores that fail, callers that leave, many at once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use breezeway_core::{FileId, StoreError, UnixTime};
use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{
    ChunkHash, ChunkRange, ChunkStore, Claim, FileCommit, LogEntry, MemoryLibrary, Seq, StoredChunk,
};

use super::{in_folder, until};
use crate::{Leg, Question, Retriever, RetrieverConfig, testing::*};

/// A library whose log fails or stalls on request.
#[derive(Clone)]
struct Moody {
    library: MemoryLibrary,
    fails: Arc<AtomicBool>,
    stalls: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
}

impl Moody {
    fn over(shelf: &Shelf) -> Self {
        Self {
            library: shelf.store.clone(),
            fails: Arc::default(),
            stalls: Arc::default(),
            asked: Arc::default(),
        }
    }
}

#[async_trait]
impl ChunkStore for Moody {
    async fn claim_pending(&self, now: UnixTime, lease: Duration) -> Result<Option<Claim>, StoreError> {
        self.library.claim_pending(now, lease).await
    }

    async fn release_claims(&self, now: UnixTime) -> Result<usize, StoreError> {
        self.library.release_claims(now).await
    }

    async fn extend_claim(
        &self,
        file: &FileId,
        attempt: u32,
        now: UnixTime,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.library.extend_claim(file, attempt, now, lease).await
    }

    async fn commit_file(&self, commit: FileCommit, now: UnixTime) -> Result<bool, StoreError> {
        self.library.commit_file(commit, now).await
    }

    async fn fail_file(
        &self,
        file: &FileId,
        attempt: u32,
        reason: &str,
        retry_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.library.fail_file(file, attempt, reason, retry_at, now).await
    }

    async fn known_vectors(
        &self,
        fingerprint: &Fingerprint,
        hashes: &[ChunkHash],
    ) -> Result<HashMap<ChunkHash, Vector>, StoreError> {
        self.library.known_vectors(fingerprint, hashes).await
    }

    async fn chunks_without_vector(
        &self,
        fingerprint: &Fingerprint,
        limit: u32,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        self.library.chunks_without_vector(fingerprint, limit).await
    }

    async fn add_vectors(
        &self,
        fingerprint: &Fingerprint,
        vectors: HashMap<ChunkHash, Vector>,
    ) -> Result<(), StoreError> {
        self.library.add_vectors(fingerprint, vectors).await
    }

    async fn log_after(&self, after: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        self.library.log_after(after, limit).await
    }

    async fn last_seq(&self) -> Result<Seq, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::failed("read the log", "the disk is gone"));
        }
        self.library.last_seq().await
    }

    async fn chunks(
        &self,
        range: ChunkRange,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<Vec<StoredChunk>, StoreError> {
        if self.stalls.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.library.chunks(range, fingerprint).await
    }
}

async fn over(shelf: &Shelf, store: &Moody) -> Retriever {
    let model = Some(shelf.model.clone() as _);
    Retriever::open(RetrieverConfig::default(), Arc::new(store.clone()), model, shelf.lane.clone())
        .await
        .expect("the index opens")
}

#[tokio::test]
async fn the_follower_survives_a_store_that_fails() {
    let shelf = Shelf::new();
    shelf.write("a", &["whales"]).await;
    let store = Moody::over(&shelf);
    store.fails.store(true, Ordering::SeqCst);
    let retriever = over(&shelf, &store).await;

    let recovered = async {
        while store.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        store.fails.store(false, Ordering::SeqCst);
        while retriever.inner().state().seq.0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    until(retriever.run(), recovered).await;

    assert_eq!(texts(&retriever.search(question("whale", &["a"])).await.expect("a search")), ["whales"]);
}

#[tokio::test]
async fn a_store_that_fails_is_an_error_of_the_question_only() {
    let shelf = Shelf::new();
    shelf.write("a", &["whales"]).await;
    let store = Moody::over(&shelf);
    let retriever = over(&shelf, &store).await;

    store.fails.store(true, Ordering::SeqCst);
    let failed = retriever.search(question("whale", &["a"])).await;
    store.fails.store(false, Ordering::SeqCst);
    let answered = retriever.search(question("whale", &["a"])).await.expect("a search");

    assert!(matches!(failed, Err(crate::Error::Store(_))));
    assert_eq!(texts(&answered), ["whales"]);
}

#[tokio::test]
async fn a_caller_that_leaves_while_the_log_is_read_holds_up_nobody() {
    let shelf = Shelf::new();
    shelf.write("a", &["whales"]).await;
    let store = Moody::over(&shelf);
    let retriever = over(&shelf, &store).await;

    store.stalls.store(true, Ordering::SeqCst);
    let left = tokio::time::timeout(Duration::from_millis(20), retriever.search(question("whale", &["a"])));
    assert!(left.await.is_err());
    store.stalls.store(false, Ordering::SeqCst);

    let answered = retriever.search(question("whale", &["a"])).await.expect("a search");
    assert_eq!(texts(&answered), ["whales"]);
}

#[tokio::test]
async fn an_index_that_fails_is_made_anew_for_the_next_question() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["whales", "zebras"]).await;
    let before = retriever.search(question("whale", &["a"])).await.expect("a search");

    retriever.inner().broken.store(true, Ordering::SeqCst);
    let after = retriever.search(question("whale", &["a"])).await.expect("a search");

    assert_eq!(texts(&after), texts(&before));
    assert!(!retriever.inner().broken.load(Ordering::SeqCst));
}

#[tokio::test]
async fn questions_folds_and_writes_do_not_disturb_each_other() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    let writes = async {
        for round in 0..12 {
            let new = format!("whale number{round}");
            shelf.write("a", &[&new, "zebras"]).await;
            let asked = Question { legs: Leg::Lexical, ..question(&new, &["a", "b"]) };
            let answer = retriever.search(asked).await.expect("a search");
            assert_eq!(texts(&answer), [new.as_str()]);
            shelf.write("b", &["walrus"]).await;
            shelf.delete("b").await;
        }
    };
    let folds = async {
        for _ in 0..12 {
            retriever.inner().fold().await.expect("memory takes it");
        }
    };
    let questions = async {
        for _ in 0..40 {
            let answer = retriever.search(question("zebra", &["a"])).await.expect("a search");
            assert!(answer.passages.len() <= 2);
        }
    };

    tokio::join!(writes, folds, questions);

    retriever.inner().fold().await.expect("memory takes it");
    let answer = retriever.search(question("walrus zebra", &["a", "b"])).await.expect("a search");
    assert_eq!(texts(&answer)[0], "zebras");
    assert_eq!(retriever.inner().state().lexical.unfolded(), 0);
    assert_eq!(retriever.inner().state().lexical.statistics().documents, 2);
}

#[tokio::test]
async fn long_files_are_read_in_slices_and_folded_on_the_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new();
    let retriever = shelf.retriever(in_folder(&folder)).await;
    let many: Vec<_> = (0..9_000).map(|number| format!("page{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    shelf.write_words("long", &many).await;

    for page in ["page0", "page1023", "page1024", "page8999"] {
        let asked = Question { legs: Leg::Lexical, limit: 1, ..question(page, &["long"]) };
        assert_eq!(texts(&retriever.search(asked).await.expect("a search")), [page]);
    }
    assert!(retriever.inner().state().lexical.unfolded() < 2_000);
    drop(retriever);
    let retriever = shelf.retriever(in_folder(&folder)).await;
    shelf.delete("long").await;
    let gone = retriever.search(question("page0", &["long"])).await.expect("a search");
    assert!(gone.passages.is_empty());
}
