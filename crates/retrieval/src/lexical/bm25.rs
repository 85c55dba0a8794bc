//! The formula: Robertson's BM25 in the form that Lucene made common.

/// How fast repetition of a word stops counting. 1.5 is a little better for words alone and a little worse
/// after fusion, on seven of eight judged sets (docs/decisions/0004-ranking.md).
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
    #[cfg(test)]
    pub(crate) fn score(&self, rarity: f32, times: u32, length: u32) -> f32 {
        self.scale().score(rarity, times, length)
    }

    /// What all scores of one question have in common.
    pub(crate) fn scale(&self) -> Scale {
        let average = self.tokens as f32 / self.documents.max(1) as f32;
        Scale { least: K1 * (1.0 - B), slope: K1 * B / average.max(f32::MIN_POSITIVE) }
    }
}

/// How lengths weigh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    least: f32,
    slope: f32,
}

impl Scale {
    /// The score of a term of this `rarity` that occurs `times` in a chunk of `length` terms.
    pub(crate) fn score(self, rarity: f32, times: u32, length: u32) -> f32 {
        let times = times as f32;
        rarity * times * (K1 + 1.0) / (times + self.least + self.slope * length as f32)
    }
}
