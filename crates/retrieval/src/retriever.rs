//! The retriever: one search over everything the caller may see.

use std::{path::PathBuf, sync::Arc};

use breezeway_core::Lane;
use breezeway_embedding::EmbeddingModel;
use breezeway_knowledge::ChunkStore;

use crate::{Answer, Question, Result};

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
}

impl Default for RetrieverConfig {
    /// The values that won on the judged sets (docs/decisions/0004-ranking.md).
    fn default() -> Self {
        Self { index_folder: None, candidates: 100, dense_weight: 0.65, dense_weight_foreign: 0.2 }
    }
}

/// Hybrid search. Clones share one state.
#[derive(Clone)]
pub struct Retriever {
    config: Arc<RetrieverConfig>,
    chunks: Arc<dyn ChunkStore>,
    model: Option<Arc<dyn EmbeddingModel>>,
    lane: Lane,
}

#[expect(clippy::todo, unused_variables, reason = "skeleton")]
impl Retriever {
    /// Open the index and be ready to follow the log. Does not wait for the log to be read.
    pub async fn open(
        config: RetrieverConfig,
        chunks: Arc<dyn ChunkStore>,
        model: Option<Arc<dyn EmbeddingModel>>,
        lane: Lane,
    ) -> Result<Self> {
        todo!()
    }

    /// Search. Everything committed before the call is found.
    pub async fn search(&self, question: Question) -> Result<Answer> {
        todo!()
    }

    /// Use another embedding model from now on (the local one has arrived); vectors of the old one
    /// are forgotten.
    pub async fn set_model(&self, model: Option<Arc<dyn EmbeddingModel>>) -> Result<()> {
        todo!()
    }

    /// Follow the log for ever: fold its tail into the index in the background.
    pub async fn run(&self) {
        todo!()
    }
}
