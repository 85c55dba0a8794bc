//! What is asked and what is answered.

use breezeway_core::FileId;
use breezeway_knowledge::StoredChunk;

use crate::Trace;

/// A question over a set of files.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The words.
    pub text: String,
    /// The only files to search: the caller's rights have already been applied to this list, and both
    /// legs apply it before they rank.
    pub files: Vec<FileId>,
    /// Passages wanted.
    pub limit: usize,
    /// Drop passages whose similarity (0 to 1) is below this. 0 drops none.
    pub min_similarity: f32,
    /// Which legs to search.
    pub legs: Leg,
    /// Weight of the dense leg in the fusion, 0 to 1; `None` for the default, which depends on the
    /// script of the question and the languages of the embedding model.
    pub dense_weight: Option<f32>,
    /// Keep the fused order although there is a reranker.
    pub without_reranker: bool,
}

/// Which legs search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leg {
    /// Words and meaning, fused.
    #[default]
    Both,
    /// Words alone.
    Lexical,
    /// Meaning alone.
    Dense,
}

/// A chunk found.
#[derive(Clone, Debug)]
pub struct Passage {
    /// The chunk (its vector left out).
    pub chunk: StoredChunk,
    /// The fused score: comparable within one answer only.
    pub score: f32,
    /// BM25 score, if a word of the question occurs in it.
    pub bm25: Option<f32>,
    /// Cosine to the question, -1 to 1, if both have vectors.
    pub cosine: Option<f32>,
    /// How it came to its place.
    pub place: Place,
}

/// How a passage came to its place. Ranks count from 1; there is none in a leg that did not propose it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// Among what the words proposed.
    pub bm25_rank: Option<usize>,
    /// Among what the meaning proposed.
    pub cosine_rank: Option<usize>,
    /// In the order of both.
    pub fused_rank: usize,
    /// What the words and the meaning gave to the fused score, weights included. With one leg alone, its
    /// own score.
    pub shares: (f32, f32),
    /// What the reranker said, if it was asked about this passage.
    pub reranked: Option<f32>,
}

impl Passage {
    /// The similarity the API speaks of: (1 + cosine) / 2, in 0 to 1.
    pub fn similarity(&self) -> Option<f32> {
        self.cosine.map(|cosine| f32::midpoint(1.0, cosine).clamp(0.0, 1.0))
    }
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Passages, best first, no text twice.
    pub passages: Vec<Passage>,
    /// Why only words were searched although meaning was wanted; for the log and the caller.
    pub degraded: Option<String>,
    /// How it came about.
    pub trace: Trace,
}
