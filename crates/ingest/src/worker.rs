//! The worker: claims pending files and takes them to the end.

use std::{
    collections::HashMap,
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use breezeway_core::{Classify, Clock, FileId, Lane, Live};
use breezeway_embedding::EmbeddingModel;
use breezeway_knowledge::{Bells, BlobStore, ChunkStore, Claim, DraftStore};
use futures_util::{
    FutureExt as _,
    future::{Either, join_all, join3, select},
};
use tokio::{sync::Notify, time::sleep};

use crate::{
    Error, Extraction, ProgressBoard, Result,
    chunk::ChunkPlan,
    extract::{Limits, Ocr},
    pipeline::HASHES_AT_ONCE,
    service::DocumentService,
};

/// The wait before the second attempt; it doubles with every further one.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// The longest wait between two attempts, and between two looks for chunks without a vector.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Chunks cleared away in one transaction, which takes some 20 ms then.
const CLEARED_AT_ONCE: u32 = 250;

/// What the worker needs to know.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// How text is cut.
    pub plan: ChunkPlan,
    /// What extraction may use.
    pub limits: Limits,
    /// Where extraction runs.
    pub extraction: Extraction,
    /// Files worked on at once.
    pub workers: usize,
    /// How long a claim lasts without being renewed.
    pub lease: Duration,
    /// Attempts before a transient failure is final.
    pub attempts: u32,
    /// Texts handed to the embedding model at once.
    pub embed_batch: usize,
    /// Such batches under way at once, for each worker.
    pub embeds_at_once: usize,
    /// Time between two looks for work nobody announced.
    pub poll_every: Duration,
}

/// Where files, and what becomes of them, are kept.
#[derive(Clone)]
pub struct IngestStores {
    /// Chunks, and the states of files.
    pub chunks: Arc<dyn ChunkStore>,
    /// What is not to be seen yet.
    pub drafts: Arc<dyn DraftStore>,
    /// Bytes.
    pub blobs: Arc<dyn BlobStore>,
}

/// Takes files from pending to completed or failed. Clones share one state.
#[derive(Clone)]
pub struct Ingestor {
    pub(crate) config: Arc<IngestConfig>,
    pub(crate) chunks: Arc<dyn ChunkStore>,
    pub(crate) drafts: Arc<dyn DraftStore>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    model: Live<Option<Arc<dyn EmbeddingModel>>>,
    pub(crate) plan: Live<ChunkPlan>,
    pub(crate) ocr: Live<Option<Ocr>>,
    pub(crate) service: Live<Option<Arc<dyn DocumentService>>>,
    pub(crate) lane: Lane,
    pub(crate) clock: Clock,
    bells: Bells,
    /// Woken when a commit left chunks without vectors of the model in use.
    pub(crate) behind: Arc<Notify>,
    pub(crate) board: ProgressBoard,
    failures: Failures,
}

impl Ingestor {
    /// A worker over the library's stores. `lane` is where extraction and chunking run; `bells` is
    /// [`breezeway_knowledge::Library::bells`].
    pub fn new(
        config: IngestConfig,
        stores: IngestStores,
        model: Option<Arc<dyn EmbeddingModel>>,
        lane: Lane,
        clock: Clock,
        bells: Bells,
    ) -> Self {
        let IngestStores { chunks, drafts, blobs } = stores;
        Self {
            plan: Live::new(config.plan),
            ocr: Live::new(None),
            service: Live::new(None),
            config: Arc::new(config),
            chunks,
            drafts,
            blobs,
            model: Live::new(model),
            lane,
            clock,
            bells,
            behind: Arc::default(),
            board: ProgressBoard::default(),
            failures: Failures::default(),
        }
    }

    /// How far files have come.
    pub fn progress(&self) -> &ProgressBoard {
        &self.board
    }

    /// Use another embedding model from now on; chunks without its vectors are embedded in the
    /// background.
    pub fn set_model(&self, model: Option<Arc<dyn EmbeddingModel>>) {
        self.model.store(model);
    }

    /// Cut texts by another plan from now on; those cut already stay as they are until they are
    /// processed again.
    pub fn set_plan(&self, plan: ChunkPlan) {
        self.plan.store(plan);
    }

    /// Recognise the text of pictures from now on, or do without.
    pub fn set_ocr(&self, ocr: Option<Ocr>) {
        self.ocr.store(ocr);
    }

    /// Have uploaded files read by another service from now on, or by none.
    pub fn set_service(&self, service: Option<Arc<dyn DocumentService>>) {
        self.service.store(service);
    }

    pub(crate) fn model(&self) -> Option<Arc<dyn EmbeddingModel>> {
        self.model.load().as_ref().clone()
    }

    /// Work for ever, beginning with what a process before this one had under way. Dropping the future
    /// stops it; the next run takes up what it leaves.
    ///
    /// Needs a tokio runtime with its timer on, and with I/O on for [`Extraction::Child`].
    pub async fn run(&self) {
        match self.chunks.release_claims(self.clock.now()).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "Taking up {files} files that were left unfinished"),
            Err(error) => tracing::warn!(error = %error, "Claims of before hold until they run out"),
        }
        let workers = join_all((0..self.config.workers.max(1)).map(|_| self.work()));
        join3(workers, self.catch_up(), self.clear_away()).await;
    }

    async fn work(&self) -> Infallible {
        loop {
            let mut arrival = pin!(self.bells.arrivals.notified());
            // Announcements between the look and the wait must not be lost.
            arrival.as_mut().enable();
            match self.chunks.claim_pending(self.clock.now(), self.config.lease).await {
                Ok(Some(claim)) => {
                    // There may be more than this one, and one announcement wakes one worker.
                    self.bells.arrivals.notify_one();
                    self.take(&claim).await;
                    continue;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(error = %error, "Looking for files to process failed"),
            }
            select(arrival, pin!(sleep(self.config.poll_every))).await;
        }
    }

    /// Process a file and settle its claim, whatever happens.
    async fn take(&self, claim: &Claim) {
        let id = &claim.file.id;
        let on_board = OnBoard { board: &self.board, file: id };
        let work = AssertUnwindSafe(self.process(claim)).catch_unwind();
        let outcome = match select(pin!(work), pin!(self.keep(claim))).await {
            Either::Left((outcome, _)) => outcome.unwrap_or(Err(Error::Panicked)),
            Either::Right(((), _)) => Ok(false),
        };
        match outcome {
            Ok(true) => self.failures.forget(id),
            // Deleted, requeued or taken over meanwhile: whoever did that knows.
            Ok(false) => {
                self.failures.forget(id);
                tracing::debug!(file.id = %id, "Dropped file `{id}`, whose claim is gone");
            }
            Err(error) => self.settle(claim, &error).await,
        }
        drop(on_board);
        self.bells.movements.tell();
    }

    /// Renew the claim for as long as it is ours: before its lease ends, and whenever some file was
    /// stopped, for it may be this one.
    async fn keep(&self, claim: &Claim) {
        let lease = self.config.lease;
        let mut stops = self.bells.stops.listen();
        loop {
            select(pin!(sleep(lease / 3)), pin!(stops.moved())).await;
            match self.chunks.extend_claim(&claim.file.id, claim.attempt, self.clock.now(), lease).await {
                Ok(true) => {}
                Ok(false) => return,
                // The next renewal is in time still; if none succeeds the commit is refused.
                Err(error) => tracing::warn!(error = %error, "Renewing a claim failed"),
            }
        }
    }

    /// End a claim after a failure: until later if that may help, else for good.
    async fn settle(&self, claim: &Claim, error: &Error) {
        let id = &claim.file.id;
        let failures = self.failures.count(id);
        // A model that cannot be reached says nothing about the file, so it is waited for.
        let waits_for_model = matches!(error, Error::Embed(embed) if embed.is_transient());
        if !error.is_transient() || (failures >= self.config.attempts && !waits_for_model) {
            self.failures.forget(id);
            return self.fail(claim, &error.to_string()).await;
        }
        let wait = backoff(FIRST_RETRY, failures);
        tracing::warn!(
            file.id = %id, failures, retry_s = wait.as_secs(), reason = loggable(error),
            "Processing file `{id}` failed and is tried again"
        );
        let now = self.clock.now();
        let settled =
            self.chunks.fail_file(id, claim.attempt, &error.to_string(), Some(now.plus(wait)), now).await;
        if let Err(error) = settled {
            tracing::warn!(error = %error, "Giving a claim back failed; its lease will run out");
        }
    }

    async fn fail(&self, claim: &Claim, reason: &str) {
        let id = &claim.file.id;
        tracing::info!(file.id = %id, attempt = claim.attempt, "File `{id}` cannot be processed");
        let settled = self.chunks.fail_file(id, claim.attempt, reason, None, self.clock.now()).await;
        if let Err(error) = settled {
            tracing::warn!(error = %error, "Recording a failure failed; the lease will run out");
        }
    }

    /// Give back the space of what is gone: at the start, and whenever something was deleted or replaced.
    async fn clear_away(&self) -> Infallible {
        // Both kinds of change leave something behind.
        let (mut stops, mut movements) = (self.bells.stops.listen(), self.bells.movements.listen());
        loop {
            loop {
                match self.drafts.clear_away(CLEARED_AT_ONCE).await {
                    Ok(true) => break,
                    // Each is a transaction of its own, and whoever has queued up meanwhile goes first.
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, "Clearing away what is gone failed");
                        sleep(LONGEST_WAIT).await;
                    }
                }
            }
            select(pin!(stops.moved()), pin!(movements.moved())).await;
            // While many files are done, once a while is enough.
            sleep(self.config.poll_every).await;
        }
    }

    /// Bring vectors to chunks that have none of the model in use.
    async fn catch_up(&self) -> Infallible {
        let mut changed = self.model.watch();
        let mut failures = 0;
        loop {
            changed.mark_unchanged();
            let wait = match self.model() {
                None => LONGEST_WAIT,
                Some(model) => {
                    match AssertUnwindSafe(self.catch_up_once(model.as_ref())).catch_unwind().await {
                        Ok(Ok(0)) => {
                            failures = 0;
                            LONGEST_WAIT
                        }
                        Ok(Ok(_)) => {
                            failures = 0;
                            continue;
                        }
                        failed => {
                            failures += 1;
                            let error = match failed {
                                Ok(Err(error)) => error,
                                _ => Error::Panicked,
                            };
                            tracing::warn!(
                                reason = loggable(&error),
                                "Embedding chunks that lack a vector failed"
                            );
                            backoff(self.config.poll_every, failures)
                        }
                    }
                }
            };
            let (change, commit) = (pin!(changed.changed()), pin!(self.behind.notified()));
            select(select(change, commit), pin!(sleep(wait))).await;
        }
    }

    /// Embed the oldest chunks without a vector; how many there were.
    async fn catch_up_once(&self, model: &dyn EmbeddingModel) -> Result<usize> {
        let limit = u32::try_from(HASHES_AT_ONCE).unwrap_or(u32::MAX);
        let behind = self.chunks.chunks_without_vector(model.fingerprint(), limit).await?;
        let chunks: Vec<_> = behind.iter().map(|stored| &stored.chunk).collect();
        let mut vectors = HashMap::new();
        let embedded = self.embed(model, &chunks, &mut vectors, &mut |_| {}).await;
        let found = vectors.len();
        // What was embedded before a failure is kept, so that every try gets further.
        if found > 0 {
            self.chunks.add_vectors(model.fingerprint(), vectors).await?;
            tracing::info!(chunks = found, "Embedded {found} chunks that had no vector");
        }
        embedded.map(|()| found)
    }
}

/// What of an error may stand in a log: an embedding service may repeat the text it was sent.
fn loggable(error: &Error) -> String {
    match error {
        Error::Embed(embed) => format!("embedding failed ({:?})", embed.kind()),
        other => other.to_string(),
    }
}

/// `first`, doubled for every failure after the first.
fn backoff(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

/// Takes a file off the board when its work ends, however it ends.
struct OnBoard<'a> {
    board: &'a ProgressBoard,
    file: &'a FileId,
}

impl Drop for OnBoard<'_> {
    fn drop(&mut self) {
        self.board.clear(self.file);
    }
}

/// How often files have failed in a row. A claim's attempt does not tell: it counts every time a
/// file was taken up, reprocessing on request included, and never goes back.
#[derive(Clone, Default)]
struct Failures(Arc<Mutex<HashMap<FileId, u32>>>);

impl Failures {
    /// Files kept in mind at most. A file deleted while it waits for its next attempt stays until
    /// the list is full; then all get their attempts anew, which ends as well.
    const MOST: usize = 10_000;

    /// Count one more failure of `file`; how many there are now.
    fn count(&self, file: &FileId) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= Self::MOST && !counts.contains_key(file) {
            counts.clear();
        }
        let count = counts.entry(file.clone()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn forget(&self, file: &FileId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
    }
}

#[cfg(test)]
mod tests;
