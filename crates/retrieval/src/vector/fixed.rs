//! The index of the product: rows of 16-bit fixed-point numbers in two planes, exact under any filter.
//!
//! # Design
//! A scan is bound by memory, so the first pass reads one byte a number: the high halves. Each row knows
//! how much its low halves can change a score (by Cauchy and Schwarz, no more than their length), so the
//! pass yields an interval for every score, and only rows whose interval reaches the best `limit` lower
//! ends are scored again with both halves. That gives exactly the rows that scoring everything would, for
//! every filter and in every distribution: there is nothing to tune and nothing to be rebuilt.
//! At 384 dimensions a row takes 780 bytes instead of 1,536. A score differs from that of the numbers
//! before they were rounded by less than 0.0001 (a test says so).

use std::collections::BTreeMap;

use breezeway_embedding::Vector;
use breezeway_knowledge::ChunkRange;
use roaring::RoaringBitmap;
use tracing::warn;

use super::{VectorIndex, dots};
use crate::top::{Scored, Top};

/// The largest fixed-point number, so that both halves fit a byte: 127 · 256 + 127 is above it.
const LARGEST: f32 = 32_511.0;

/// How much the rounding of the floats of a rough score can change it, and more.
const ROUNDING: f32 = 1e-5;

/// Vectors in blocks, one for each piece of a commit, so that the rows of a file lie together: a
/// search in a few files touches only their memory, and a deleted file gives its memory back.
#[derive(Default)]
pub(crate) struct FixedVectors {
    dimensions: Option<usize>,
    /// By the number of their first chunk. Their spans do not overlap.
    blocks: BTreeMap<u32, Block>,
}

/// Rows of some chunks.
#[derive(Default)]
struct Block {
    /// Rising.
    chunks: Vec<u32>,
    /// The high halves, one row for each chunk.
    high: Vec<i8>,
    /// The low halves: a number is `high · 256 + low`.
    low: Vec<i8>,
    /// What one unit of a row's numbers is worth.
    units: Vec<f32>,
    /// How much a row's low halves can change its score.
    slack: Vec<f32>,
}

/// A question in both of its forms.
struct Query<'a> {
    exact: &'a [f32],
    fixed: Vec<i16>,
    /// What one unit of `fixed` is worth.
    unit: f32,
    /// How much its rounding can change a score.
    slack: f32,
}

impl<'a> Query<'a> {
    fn new(exact: &'a [f32]) -> Self {
        let largest = exact.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        // So that no sum of products leaves 32 bits.
        let most = (i32::MAX as f32 / (127.0 * exact.len().max(1) as f32)).min(32_767.0).floor();
        let unit = if largest > 0.0 { largest / most } else { 1.0 };
        let fixed: Vec<i16> = exact.iter().map(|number| (number / unit).round() as i16).collect();
        let off = |(number, fixed): (&f32, &i16)| (number - f32::from(*fixed) * unit).powi(2);
        let slack = exact.iter().zip(&fixed).map(off).sum::<f32>().sqrt();
        Self { exact, fixed, unit, slack }
    }
}

impl Block {
    fn push(&mut self, chunk: u32, row: &[f32]) {
        let largest = row.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        let unit = if largest > 0.0 { largest / LARGEST } else { 1.0 };
        let mut rest = 0.0_f32;
        for number in row {
            let whole = (number / unit).round() as i32;
            let high = (whole + 128) >> 8;
            let low = whole - (high << 8);
            // Both fit: |whole| is at most 32,511.
            self.high.push(high as i8);
            self.low.push(low as i8);
            rest += (low * low) as f32;
        }
        self.chunks.push(chunk);
        self.units.push(unit);
        self.slack.push(unit * rest.sqrt());
    }

    fn width(&self) -> usize {
        self.high.len() / self.chunks.len().max(1)
    }

    fn first(&self) -> Option<u32> {
        self.chunks.first().copied()
    }

    fn last(&self) -> u32 {
        self.chunks.last().copied().unwrap_or(0)
    }

    /// The chunks that `wanted` picks, as a block of their own.
    fn only(&self, wanted: impl Fn(u32) -> bool) -> Self {
        let width = self.width();
        let mut kept = Self::default();
        for (at, &chunk) in self.chunks.iter().enumerate().filter(|&(_, &chunk)| wanted(chunk)) {
            kept.chunks.push(chunk);
            kept.high.extend_from_slice(&self.high[at * width..(at + 1) * width]);
            kept.low.extend_from_slice(&self.low[at * width..(at + 1) * width]);
            kept.units.push(self.units[at]);
            kept.slack.push(self.slack[at]);
        }
        kept
    }

    /// The score of one row, from all of its bits.
    fn exact(&self, query: &[f32], at: usize) -> f32 {
        let width = self.width();
        let row = at * width..(at + 1) * width;
        dots::mixed(query, &self.high[row.clone()], &self.low[row]) * self.units[at]
    }

    /// The score of one row from its high halves, and how far it may be off.
    fn rough(&self, query: &Query<'_>, at: usize, dot: i32) -> (f32, f32) {
        let score = dot as f32 * 256.0 * self.units[at] * query.unit;
        (score, self.slack[at] + query.slack + ROUNDING)
    }
}

/// A row whose interval may reach the best.
struct Open<'a> {
    block: &'a Block,
    at: usize,
    upper: f32,
}

/// Gathers rows for the second pass.
struct Gathered<'a> {
    /// The best lower ends; the worst of them is what a row has to reach.
    lower: Top,
    /// That worst one, at hand for the rows that are out, which nearly all are.
    reach: f32,
    open: Vec<Open<'a>>,
}

impl<'a> Gathered<'a> {
    fn new(limit: usize) -> Self {
        Self { lower: Top::new(limit), reach: f32::NEG_INFINITY, open: Vec::new() }
    }

    /// Offer all rows of a block that `wanted` picks.
    fn offer_all(&mut self, query: &Query<'_>, block: &'a Block, dots: &[i32], wanted: impl Fn(u32) -> bool) {
        let known = block.units.iter().zip(&block.slack);
        for (at, (&dot, (&unit, &slack))) in dots.iter().zip(known).enumerate() {
            let upper = dot as f32 * 256.0 * unit * query.unit + slack + query.slack + ROUNDING;
            if upper >= self.reach && wanted(block.chunks[at]) {
                self.offer(query, block, at, dot);
            }
        }
    }

    fn offer(&mut self, query: &Query<'_>, block: &'a Block, at: usize, dot: i32) {
        let (score, off) = block.rough(query, at, dot);
        let chunk = block.chunks[at];
        if self.lower.wants(Scored { chunk, score: score + off }) {
            self.lower.offer(Scored { chunk, score: score - off });
            self.reach = self.lower.worst().unwrap_or(f32::NEG_INFINITY);
            self.open.push(Open { block, at, upper: score + off });
        }
    }

    fn settle(self, query: &[f32], limit: usize) -> Vec<Scored> {
        let mut top = Top::new(limit);
        for open in self.open.iter().filter(|open| open.upper >= self.reach) {
            let score = open.block.exact(query, open.at);
            top.offer(Scored { chunk: open.block.chunks[open.at], score });
        }
        top.into_sorted()
    }
}

impl FixedVectors {
    /// The block that could hold `chunk`.
    fn block(&self, chunk: u32) -> Option<&Block> {
        self.blocks.range(..=chunk).next_back().map(|(_, block)| block).filter(|block| chunk <= block.last())
    }
}

impl VectorIndex for FixedVectors {
    fn put(&mut self, range: ChunkRange, vectors: Vec<(u32, Vector)>) {
        self.remove(range);
        let Some((_, vector)) = vectors.first() else { return };
        let width = *self.dimensions.get_or_insert(vector.dimensions());
        let mut block = Block::default();
        block.high.reserve_exact(width * vectors.len());
        block.low.reserve_exact(width * vectors.len());
        for (chunk, vector) in vectors {
            if vector.dimensions() != width {
                // The fingerprint promises that this cannot be. To compare it would be worse than to
                // leave it out, and the words of the chunk are searched all the same.
                warn!(chunk, "Left out a vector of {} instead of {width} dimensions", vector.dimensions());
                continue;
            }
            debug_assert!(block.chunks.last().is_none_or(|&last| last < chunk));
            block.push(chunk, vector.as_slice());
        }
        if let Some(first) = block.first() {
            self.blocks.insert(first, block);
        }
    }

    fn remove(&mut self, range: ChunkRange) {
        let touched: Vec<_> = self
            .blocks
            .range(..=range.last.0)
            .rev()
            .take_while(|(_, block)| block.last() >= range.first.0)
            .map(|(&first, _)| first)
            .collect();
        for first in touched {
            let Some(block) = self.blocks.remove(&first) else { continue };
            // What lies on both sides comes apart, so that nothing spans the range any more.
            for kept in [block.only(|chunk| chunk < range.first.0), block.only(|chunk| chunk > range.last.0)]
            {
                if let Some(first) = kept.first() {
                    self.blocks.insert(first, kept);
                }
            }
        }
    }

    fn nearest(&self, query: &Vector, allowed: &RoaringBitmap, limit: usize) -> Vec<Scored> {
        if self.dimensions != Some(query.dimensions()) || limit == 0 {
            return Vec::new();
        }
        let query = Query::new(query.as_slice());
        let mut gathered = Gathered::new(limit);
        let mut scores = Vec::new();
        let mut next = allowed.min();
        while let Some(chunk) = next {
            let Some(block) = self.block(chunk) else {
                // Between two blocks: go on where the next one begins.
                next =
                    self.blocks.range(chunk..).next().and_then(|(&first, _)| allowed.range(first..).next());
                continue;
            };
            let wanted = allowed.range_cardinality(chunk..=block.last());
            if wanted >= block.chunks.len() as u64 / 2 {
                // Most of it is wanted, or all: read it through.
                dots::all(&query.fixed, &block.high, &mut scores);
                let is_whole = allowed.contains_range(chunk..=block.last()) && block.first() == Some(chunk);
                gathered.offer_all(&query, block, &scores, |chunk| is_whole || allowed.contains(chunk));
            } else {
                let width = block.width();
                let mut from = 0;
                for wanted in allowed.range(chunk..=block.last()) {
                    let found = block.chunks[from..].binary_search(&wanted);
                    from += found.unwrap_or_else(|at| at);
                    if found.is_ok() {
                        let row = &block.high[from * width..(from + 1) * width];
                        gathered.offer(&query, block, from, dots::one(&query.fixed, row));
                    }
                }
            }
            next = block.last().checked_add(1).and_then(|after| allowed.range(after..).next());
        }
        gathered.settle(query.exact, limit)
    }

    fn cosine(&self, query: &Vector, chunk: u32) -> Option<f32> {
        let block = self.block(chunk)?;
        let at = block.chunks.binary_search(&chunk).ok()?;
        self.dimensions.filter(|&width| width == query.dimensions())?;
        Some(block.exact(query.as_slice(), at))
    }

    fn dimensions(&self) -> Option<usize> {
        self.dimensions
    }
}

/// The score that the index gives a vector: for oracles.
#[cfg(test)]
pub(crate) fn score(query: &Vector, vector: &Vector) -> f32 {
    let mut block = Block::default();
    block.push(0, vector.as_slice());
    block.exact(query.as_slice(), 0)
}

#[cfg(test)]
mod tests {
    use breezeway_knowledge::ChunkId;
    use proptest::prelude::*;

    use super::*;

    fn range(first: u32, last: u32) -> ChunkRange {
        ChunkRange { first: ChunkId(first), last: ChunkId(last) }
    }

    fn vector(seed: u32) -> Vector {
        let numbers = (0..20_u32).map(|at| ((seed * 31 + at * 17) % 13) as f32 - 6.0).collect();
        Vector::normalized(numbers).expect("finite")
    }

    /// Numbers without a pattern, the same at every run.
    fn noise(seed: u32, dimensions: u32) -> Vector {
        let number = |at: u32| {
            let mut bits = u64::from(seed) << 32 | u64::from(at);
            bits = (bits ^ (bits >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (bits >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
        };
        Vector::normalized((0..dimensions).map(number).collect()).expect("finite")
    }

    #[test]
    fn a_score_is_that_of_the_numbers_before_rounding() {
        for seed in 0..200 {
            let (a, b) = (noise(seed, 384), noise(seed + 1000, 384));

            assert!((score(&a, &b) - a.cosine(&b)).abs() < 1e-4);
            assert!((score(&a, &a) - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn vectors_of_other_dimensions_are_never_compared() {
        let mut index = FixedVectors::default();
        index.put(range(0, 0), vec![(0, vector(0))]);
        let short = Vector::normalized(vec![1.0, 2.0]).expect("finite");

        index.put(range(1, 1), vec![(1, short.clone())]);

        assert_eq!(index.nearest(&vector(0), &RoaringBitmap::from_iter([0, 1]), 9).len(), 1);
        assert!(index.nearest(&short, &RoaringBitmap::from_iter([0, 1]), 9).is_empty());
        assert_eq!(index.cosine(&short, 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn it_answers_like_a_list(
            steps in prop::collection::vec((0_u32..40, 1_u32..8, any::<bool>(), 1_u32..4), 1..12),
            allowed in prop::collection::btree_set(0_u32..50, 0..40),
            limit in 0_usize..10,
            smooth in any::<bool>(),
        ) {
            let vector = |seed: u32| if smooth { vector(seed) } else { noise(seed, 20) };
            let mut index = FixedVectors::default();
            let mut list = BTreeMap::new();
            for (first, length, put, stride) in steps {
                let last = first + length - 1;
                list.retain(|chunk, _| !(first..=last).contains(chunk));
                if put {
                    let vectors: Vec<_> = (first..=last).step_by(stride as usize)
                        .map(|chunk| (chunk, vector(chunk * 7 + length))).collect();
                    list.extend(vectors.iter().cloned());
                    index.put(range(first, last), vectors);
                } else {
                    index.remove(range(first, last));
                }
            }
            let query = vector(5);
            let allowed = RoaringBitmap::from_iter(allowed);

            let found = index.nearest(&query, &allowed, limit);

            let mut expected: Vec<_> = list.iter()
                .filter(|(chunk, _)| allowed.contains(**chunk))
                .map(|(&chunk, vector)| Scored { chunk, score: score(&query, vector) })
                .collect();
            expected.sort_by(|a, b| b.cmp(a));
            expected.truncate(limit);
            prop_assert_eq!(found, expected);
            for chunk in 0..50 {
                let expected = list.get(&chunk).map(|vector| score(&query, vector));
                prop_assert_eq!(index.cosine(&query, chunk), expected);
            }
        }
    }
}
