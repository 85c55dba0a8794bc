//! How an answer came about: for whoever asks why a passage is in it, or is not.

use std::time::Duration;

use breezeway_core::FileId;
use breezeway_knowledge::ChunkId;

/// What happened on the way to an answer.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Live chunks that the question was allowed to see.
    pub allowed: u64,
    /// Chunks that the words proposed.
    pub by_words: usize,
    /// Chunks that the meaning proposed.
    pub by_meaning: usize,
    /// Chunks that either proposed, which were compared with each other.
    pub candidates: usize,
    /// The weight of the meaning in the fusion; `None` where one leg was alone.
    pub dense_weight: Option<f32>,
    /// Distinct terms of the question that were searched for, after the analyser.
    pub terms: Vec<String>,
    /// Candidates that are not in the answer, best first.
    pub cut: Vec<Cut>,
    /// What the reranker did; `None` if it was not asked.
    pub rerank: Option<Reranked>,
    /// Where the time went.
    pub stages: Stages,
}

/// A candidate that did not make it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// Which chunk.
    pub chunk: ChunkId,
    /// Whose.
    pub file: Option<FileId>,
    /// Its fused score.
    pub score: f32,
    /// Why.
    pub why: CutReason,
}

/// Why a candidate is not in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutReason {
    /// It is less similar than was asked for.
    BelowThreshold,
    /// A better one has the same text.
    SameText,
    /// As many passages as were asked for are better.
    OverLimit,
    /// It was deleted while the search went on.
    Gone,
}

/// What a reranker did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reranked {
    /// It ordered this many passages.
    Done(usize),
    /// It did not, and the fused order stands; the text says why.
    FellBack(String),
}

/// How long the stages of a search took. Following the log and embedding the question go on at the same
/// time, and so do the two legs with nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Reading what the chunk log has gained.
    pub follow: Duration,
    /// Turning the question into a vector.
    pub embed: Duration,
    /// Waiting for a thread of the search lane.
    pub wait: Duration,
    /// Turning the files into a bitmap of chunks.
    pub filter: Duration,
    /// Comparing vectors.
    pub dense: Duration,
    /// Scoring words.
    pub lexical: Duration,
    /// Both exact scores of every candidate, and the order.
    pub fuse: Duration,
    /// Reading the texts of passages.
    pub read: Duration,
    /// The reranker.
    pub rerank: Duration,
    /// Everything together.
    pub total: Duration,
}
