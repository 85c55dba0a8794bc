//! The formula: Robertson's BM25 in the form that Lucene made common.

/// How fast repetition of a word stops counting.
const K1: f32 = 1.2;

/// How much long chunks are held against their words.
const B: f32 = 0.75;

/// What is known of all chunks together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Statistics {
    /// Chunks.
    pub(crate) documents: u64,
    /// Terms of all chunks, repetitions counted.
    pub(crate) tokens: u64,
}

impl Statistics {
    /// How much a term is worth that occurs in `documents` chunks.
    pub(crate) fn rarity(&self, documents: u64) -> f32 {
        let with = documents as f32;
        let without = self.documents.saturating_sub(documents) as f32;
        (1.0 + (without + 0.5) / (with + 0.5)).ln()
    }

    /// The score of a term of this `rarity` that occurs `times` in a chunk of `length` terms.
    pub(crate) fn score(&self, rarity: f32, times: u32, length: u32) -> f32 {
        let average = self.tokens as f32 / self.documents.max(1) as f32;
        let times = times as f32;
        rarity * times * (K1 + 1.0) / (times + K1 * (1.0 - B + B * length as f32 / average))
    }
}
