//! An exact index: every allowed vector is compared.

use std::collections::BTreeMap;

use breezeway_embedding::Vector;
use breezeway_knowledge::ChunkRange;
use roaring::RoaringBitmap;
use tracing::warn;

use super::VectorIndex;
use crate::top::{Scored, Top};

/// Vectors in blocks, one for each piece of a commit, so that the rows of a file lie together: a
/// search in a few files touches only their memory, and a deleted file gives its memory back.
#[derive(Default)]
pub(crate) struct FlatVectors {
    dimensions: Option<usize>,
    /// By the number of their first chunk. Their spans do not overlap.
    blocks: BTreeMap<u32, Block>,
}

struct Block {
    /// Rising.
    chunks: Vec<u32>,
    /// One row for each chunk.
    rows: Vec<f32>,
}

impl Block {
    fn first(&self) -> Option<u32> {
        self.chunks.first().copied()
    }

    fn last(&self) -> u32 {
        self.chunks.last().copied().unwrap_or(0)
    }

    fn rows(&self) -> impl Iterator<Item = (u32, &[f32])> {
        let width = (self.rows.len() / self.chunks.len().max(1)).max(1);
        self.chunks.iter().copied().zip(self.rows.chunks_exact(width))
    }

    /// The chunks that `wanted` picks, as a block of their own.
    fn only(&self, wanted: impl Fn(u32) -> bool) -> Self {
        let mut kept = Self { chunks: Vec::new(), rows: Vec::new() };
        for (chunk, row) in self.rows().filter(|&(chunk, _)| wanted(chunk)) {
            kept.chunks.push(chunk);
            kept.rows.extend_from_slice(row);
        }
        kept
    }
}

impl FlatVectors {
    /// The block that could hold `chunk`.
    fn block(&self, chunk: u32) -> Option<&Block> {
        self.blocks.range(..=chunk).next_back().map(|(_, block)| block).filter(|block| chunk <= block.last())
    }
}

impl VectorIndex for FlatVectors {
    fn put(&mut self, range: ChunkRange, vectors: Vec<(u32, Vector)>) {
        self.remove(range);
        let Some((_, vector)) = vectors.first() else { return };
        let width = *self.dimensions.get_or_insert(vector.dimensions());
        let mut block = Block {
            chunks: Vec::with_capacity(vectors.len()),
            rows: Vec::with_capacity(vectors.len() * width),
        };
        for (chunk, vector) in vectors {
            if vector.dimensions() != width {
                // The fingerprint promises that this cannot be. To compare it would be worse than to
                // leave it out, and the words of the chunk are searched all the same.
                warn!(chunk, "Left out a vector of {} instead of {width} dimensions", vector.dimensions());
                continue;
            }
            debug_assert!(block.chunks.last().is_none_or(|&last| last < chunk));
            block.chunks.push(chunk);
            block.rows.extend_from_slice(vector.as_slice());
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
        let mut top = Top::new(limit);
        if self.dimensions != Some(query.dimensions()) {
            return Vec::new();
        }
        let mut next = allowed.min();
        while let Some(chunk) = next {
            let Some(block) = self.block(chunk) else {
                // Between two blocks: go on where the next one begins.
                next =
                    self.blocks.range(chunk..).next().and_then(|(&first, _)| allowed.range(first..).next());
                continue;
            };
            let whole = allowed.contains_range(chunk..=block.last()) && block.first() == Some(chunk);
            for (chunk, row) in block.rows() {
                if whole || allowed.contains(chunk) {
                    top.offer(Scored { chunk, score: dot(query.as_slice(), row) });
                }
            }
            next = block.last().checked_add(1).and_then(|after| allowed.range(after..).next());
        }
        top.into_sorted()
    }

    fn cosine(&self, query: &Vector, chunk: u32) -> Option<f32> {
        let block = self.block(chunk)?;
        let at = block.chunks.binary_search(&chunk).ok()?;
        let width = self.dimensions.filter(|&width| width == query.dimensions())?;
        Some(dot(query.as_slice(), &block.rows[at * width..(at + 1) * width]))
    }

    fn dimensions(&self) -> Option<usize> {
        self.dimensions
    }
}

/// The scalar product; of unit vectors that is the cosine.
///
/// Sixteen sums instead of one, because the compiler may not reorder a sum of floats by itself and
/// this is what lets it use the vector registers.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_whole, a_rest) = a.as_chunks::<16>();
    let (b_whole, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in a_whole.iter().zip(b_whole) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
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

    #[test]
    fn the_scalar_product_equals_the_naive_one() {
        let (a, b) = (vector(1), vector(2));

        assert!((dot(a.as_slice(), b.as_slice()) - a.cosine(&b)).abs() < 1e-6);
    }

    #[test]
    fn vectors_of_other_dimensions_are_never_compared() {
        let mut index = FlatVectors::default();
        index.put(range(0, 0), vec![(0, vector(0))]);
        let short = Vector::normalized(vec![1.0, 2.0]).expect("finite");

        index.put(range(1, 1), vec![(1, short.clone())]);

        assert_eq!(index.nearest(&vector(0), &RoaringBitmap::from_iter([0, 1]), 9).len(), 1);
        assert!(index.nearest(&short, &RoaringBitmap::from_iter([0, 1]), 9).is_empty());
        assert_eq!(index.cosine(&short, 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_answers_like_a_list(
            steps in prop::collection::vec((0_u32..40, 1_u32..8, any::<bool>(), 1_u32..4), 1..12),
            allowed in prop::collection::btree_set(0_u32..50, 0..40),
            limit in 0_usize..10,
        ) {
            let mut index = FlatVectors::default();
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
                .map(|(&chunk, vector)| Scored { chunk, score: dot(query.as_slice(), vector.as_slice()) })
                .collect();
            expected.sort_by(|a, b| b.cmp(a));
            expected.truncate(limit);
            prop_assert_eq!(found, expected);
            for chunk in 0..50 {
                let expected = list.get(&chunk).map(|vector| dot(query.as_slice(), vector.as_slice()));
                prop_assert_eq!(index.cosine(&query, chunk), expected);
            }
        }
    }
}
