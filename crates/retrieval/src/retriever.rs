//! The retriever: one search over everything the caller may see.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use breezeway_core::{Lane, LaneError};
use breezeway_embedding::{EmbeddingModel, Fingerprint, Purpose, Vector};
use breezeway_knowledge::{ChunkStore, Seq};
use tracing::warn;

use crate::{
    Answer, Error, Leg, Question, RerankConfig, Reranker, Result, Stages,
    analyser::is_latin,
    follow::distinct_terms,
    lexical::{Lexical, Storage},
    select::timed,
    state::{Plan, State},
    vector::{FixedVectors, VectorIndex},
};

/// The most passages of one answer.
const MOST_PASSAGES: usize = 1_000;

/// Bytes of a question that are searched for. A pasted document is not a question, and its first
/// pages say what it is about.
const LONGEST_QUESTION: usize = 16 * 1024;

/// Distinct terms of a question that are scored.
const MOST_TERMS: usize = 256;

/// What the retriever needs to know.
#[derive(Clone, Debug)]
pub struct RetrieverConfig {
    /// Where the lexical index is kept; `None` for memory. Deleting it costs time, never data.
    pub index_folder: Option<PathBuf>,
    /// Candidates of each leg before fusion.
    pub candidates: usize,
    /// Weight of the dense leg for questions in a script the embedding model knows.
    pub dense_weight: f32,
    /// Weight of the dense leg for questions in a script it does not know.
    pub dense_weight_foreign: f32,
    /// How long a question may take to be embedded before it is searched by its words alone.
    pub embed_deadline: Duration,
    /// How a reranker is used, where there is one.
    pub rerank: RerankConfig,
}

impl Default for RetrieverConfig {
    /// The values that won on the judged sets (docs/decisions/0004-ranking.md).
    fn default() -> Self {
        Self {
            index_folder: None,
            candidates: 100,
            dense_weight: 0.65,
            dense_weight_foreign: 0.2,
            embed_deadline: Duration::from_secs(10),
            rerank: RerankConfig::default(),
        }
    }
}

/// Hybrid search. Clones share one state.
#[derive(Clone)]
pub struct Retriever {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: RetrieverConfig,
    pub(crate) chunks: Arc<dyn ChunkStore>,
    lane: Lane,
    state: RwLock<State>,
    /// Changed only together with the state's vectors.
    model: RwLock<Option<Arc<dyn EmbeddingModel>>>,
    reranker: RwLock<Option<Arc<dyn Reranker>>>,
    /// Held by whoever reads the log or changes what is read.
    pub(crate) following: tokio::sync::Mutex<()>,
    /// Held on the lane by whoever writes to the index folder. Not an async lock: work on the lane goes
    /// on when its caller has left, and must still not meet another writer.
    pub(crate) disk: Mutex<()>,
    /// A search in the index failed; it is to be made anew.
    pub(crate) broken: AtomicBool,
    /// The state's position, for whoever only wants to know that.
    pub(crate) followed: AtomicU64,
    changed: Mutex<Instant>,
    myself: Weak<Inner>,
}

impl Retriever {
    /// Open the index and be ready to follow the log. Does not wait for the log to be read.
    ///
    /// An index that is damaged or of another version is deleted and made anew.
    ///
    /// # Errors
    /// If the folder cannot be written, or another process has it.
    pub async fn open(
        config: RetrieverConfig,
        chunks: Arc<dyn ChunkStore>,
        model: Option<Arc<dyn EmbeddingModel>>,
        lane: Lane,
    ) -> Result<Self> {
        let lexical = open_lexical(&lane, config.index_folder.clone()).await?;
        let fingerprint = model.as_ref().map(|model| model.fingerprint().clone());
        let inner = Arc::new_cyclic(|myself| Inner {
            config,
            chunks,
            lane,
            state: RwLock::new(State::new(lexical, fingerprint)),
            model: RwLock::new(model),
            reranker: RwLock::new(None),
            following: tokio::sync::Mutex::new(()),
            disk: Mutex::new(()),
            broken: AtomicBool::new(false),
            followed: AtomicU64::new(0),
            changed: Mutex::new(Instant::now()),
            myself: myself.clone(),
        });
        Ok(Self { inner })
    }

    /// Search. Everything committed before the call is found.
    pub async fn search(&self, question: Question) -> Result<Answer> {
        self.inner.search(question).await
    }

    /// Use another embedding model from now on (the local one has arrived); vectors of the old one
    /// are forgotten. Until the vectors of the new one have been read, searches go on as before.
    pub async fn set_model(&self, model: Option<Arc<dyn EmbeddingModel>>) -> Result<()> {
        self.inner.set_model(model).await
    }

    /// Have the best candidates looked at again by `reranker` from now on, or by none.
    pub fn set_reranker(&self, reranker: Option<Arc<dyn Reranker>>) {
        *self.inner.reranker.write().unwrap_or_else(PoisonError::into_inner) = reranker;
    }

    /// Follow the log for ever: fold its tail into the index in the background.
    pub async fn run(&self) {
        self.inner.run().await;
    }
}

async fn open_lexical(lane: &Lane, folder: Option<PathBuf>) -> Result<Lexical> {
    let begin = |storage: Result<Storage>| Lexical::new(storage?).map_err(Error::index("open"));
    let Some(folder) = folder else {
        return lane.run(move || begin(Storage::in_memory())).await?;
    };
    let opened = lane.run({
        let folder = folder.clone();
        move || begin(Storage::in_folder(&folder))
    });
    match opened.await {
        Err(LaneError::Panicked(_)) => {
            warn!(folder = %folder.display(), "Opening the lexical index panicked; it will be made anew");
            lane.run(move || begin(Storage::emptied(&folder))).await?
        }
        opened => opened?,
    }
}

impl Inner {
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reranker(&self) -> Option<Arc<dyn Reranker>> {
        self.reranker.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn model(&self) -> Option<Arc<dyn EmbeddingModel>> {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Run heavy work on the lane.
    pub(crate) async fn on_lane<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T> {
        let inner = self.myself.upgrade().expect("whoever calls holds the retriever");
        Ok(self.lane.run(move || work(&inner)).await?)
    }

    /// Something changed just now.
    pub(crate) fn touch(&self) {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long nothing has changed.
    pub(crate) fn idle_for(&self) -> Duration {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    async fn search(&self, mut question: Question) -> Result<Answer> {
        let began = Instant::now();
        let limit = question.limit.min(MOST_PASSAGES);
        if limit == 0 || question.files.is_empty() {
            return Ok(Answer::default());
        }
        question.text.truncate(question.text.floor_char_boundary(LONGEST_QUESTION));
        let ((pulled, follow), ((vector, degraded), embed)) =
            tokio::join!(timed(self.pull()), timed(self.embed(&question)));
        pulled?;

        let dense_weight = self.dense_weight(&question);
        let candidates = self.config.candidates.max(limit);
        let terms = distinct_terms(&question.text, MOST_TERMS);
        let plan = Plan {
            terms: terms.clone(),
            files: std::mem::take(&mut question.files),
            vector,
            legs: question.legs,
            dense_weight,
            candidates,
        };
        let handed = Instant::now();
        let (ranking, wait) = self
            .on_lane(move |inner| {
                let wait = handed.elapsed();
                (inner.state().rank(&plan), wait)
            })
            .await?;
        let ranking = ranking.map_err(|error| {
            self.broken.store(true, Ordering::Relaxed);
            Error::index("search")(error)
        })?;
        let mut trace = ranking.trace;
        trace.terms = terms;
        trace.stages = Stages { follow, embed, wait, ..trace.stages };
        let passages = self.selected(&question, ranking.hits, limit, &mut trace).await?;
        trace.stages.total = began.elapsed();
        let degraded = degraded.or(ranking.without_vectors.map(str::to_owned));
        Ok(Answer { passages, degraded, trace })
    }

    /// The question as a vector, or why there is none although one was wanted.
    async fn embed(&self, question: &Question) -> (Option<(Fingerprint, Vector)>, Option<String>) {
        if question.legs == Leg::Lexical {
            return (None, None);
        }
        let Some(model) = self.model() else {
            return (None, Some("no embedding model is available".to_owned()));
        };
        let texts = [question.text.as_str()];
        let embedded = model.embed(Purpose::Query, &texts);
        let why = match tokio::time::timeout(self.config.embed_deadline, embedded).await {
            Ok(Ok(vectors)) => match <[Vector; 1]>::try_from(vectors) {
                Ok([vector]) => return (Some((model.fingerprint().clone(), vector)), None),
                Err(vectors) => format!("the model answered one question with {} vectors", vectors.len()),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", self.config.embed_deadline),
        };
        // Without the reason: an embedding service may repeat the question in it.
        warn!("A question could not be embedded and is searched by its words alone");
        (None, Some(format!("the question could not be embedded: {why}")))
    }

    fn dense_weight(&self, question: &Question) -> f32 {
        if let Some(weight) = question.dense_weight.filter(|weight| weight.is_finite()) {
            return weight.clamp(0.0, 1.0);
        }
        let reads_it =
            self.model().is_some_and(|model| model.is_multilingual()) || is_mostly_latin(&question.text);
        if reads_it { self.config.dense_weight } else { self.config.dense_weight_foreign }
    }

    async fn set_model(&self, model: Option<Arc<dyn EmbeddingModel>>) -> Result<()> {
        let _turn = self.following.lock().await;
        let Some(next) = model else {
            return self.switch(None, None, Box::new(FixedVectors::default())).await.map(drop);
        };
        let fingerprint = next.fingerprint().clone();
        loop {
            let (seq, vectors) = self.read_vectors(&fingerprint).await?;
            if self.switch(Some(next.clone()), Some(seq), vectors).await? {
                return Ok(());
            }
        }
    }

    /// Change model and vectors in one step. `false` if the state has moved on from `seq`: a batch
    /// that an impatient caller left in the lane was applied meanwhile.
    async fn switch(
        &self,
        model: Option<Arc<dyn EmbeddingModel>>,
        seq: Option<Seq>,
        vectors: Box<dyn VectorIndex>,
    ) -> Result<bool> {
        self.on_lane(move |inner| {
            let mut state = inner.state_mut();
            if seq.is_some_and(|seq| seq != state.seq) {
                return false;
            }
            let fingerprint = model.as_ref().map(|model| model.fingerprint().clone());
            let old = state.replace_vectors(vectors, fingerprint);
            *inner.model.write().unwrap_or_else(PoisonError::into_inner) = model;
            drop(state);
            drop(old);
            true
        })
        .await
    }
}

/// Whether at least half of the letters are Latin; a text without letters is taken to be.
fn is_mostly_latin(text: &str) -> bool {
    let (latin, other) =
        text.chars().filter(|sign| sign.is_alphabetic()).fold((0, 0), |(latin, other), sign| {
            if is_latin(sign) { (latin + 1, other) } else { (latin, other + 1) }
        });
    latin >= other
}

#[cfg(test)]
impl Retriever {
    /// The shared state, for tests that look behind the door.
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

#[cfg(test)]
impl Inner {
    /// Pretend that the last change was earlier.
    pub(crate) fn age(&self, by: Duration) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        *changed = changed.checked_sub(by).unwrap_or(*changed);
    }
}
