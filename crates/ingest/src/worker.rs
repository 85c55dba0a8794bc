//! The worker: claims pending files and takes them to the end.

use std::{sync::Arc, time::Duration};

use breezeway_core::{Clock, Lane};
use breezeway_embedding::EmbeddingModel;
use breezeway_knowledge::{BlobStore, ChunkStore};
use tokio::sync::Notify;

use crate::{Extraction, ProgressBoard, chunk::ChunkPlan, extract::Limits};

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
    /// Time between two looks for work nobody announced.
    pub poll_every: Duration,
}

/// Takes files from pending to completed or failed. Clones share one state.
#[derive(Clone)]
pub struct Ingestor {
    config: Arc<IngestConfig>,
    chunks: Arc<dyn ChunkStore>,
    blobs: Arc<dyn BlobStore>,
    lane: Lane,
    clock: Clock,
    arrivals: Arc<Notify>,
    board: ProgressBoard,
}

#[expect(clippy::todo, unused_variables, reason = "skeleton")]
impl Ingestor {
    /// A worker over the library's stores. `lane` is where extraction and chunking run; `arrivals`
    /// is [`breezeway_knowledge::Library::arrivals`].
    pub fn new(
        config: IngestConfig,
        chunks: Arc<dyn ChunkStore>,
        blobs: Arc<dyn BlobStore>,
        model: Option<Arc<dyn EmbeddingModel>>,
        lane: Lane,
        clock: Clock,
        arrivals: Arc<Notify>,
    ) -> Self {
        todo!()
    }

    /// How far files have come.
    pub fn progress(&self) -> &ProgressBoard {
        &self.board
    }

    /// Use another embedding model from now on; chunks without its vectors are embedded in the
    /// background.
    pub fn set_model(&self, model: Option<Arc<dyn EmbeddingModel>>) {
        todo!()
    }

    /// Work for ever. Dropping the future stops it; what was under way is taken up again when its
    /// lease runs out, or at once by [`Ingestor::run`] of a new process.
    pub async fn run(&self) {
        todo!()
    }
}
