//! The dense leg: which chunks' vectors are nearest to the question's.
//!
//! # Design
//! The index is exact and flat: every allowed row is looked at, in a form small enough for that (see
//! [`fixed`]). Graph indexes are no faster at some hundred thousand rows once filters and deletions
//! count, they have to be built, and a filter that leaves ten rows of a million must find those ten.

mod dots;
mod fixed;

use breezeway_embedding::Vector;
use breezeway_knowledge::ChunkRange;
use roaring::RoaringBitmap;

use crate::top::Scored;

pub(crate) use self::fixed::FixedVectors;
#[cfg(test)]
pub(crate) use self::fixed::score;

/// Vectors of chunks, all of one fingerprint.
///
/// # Contract
/// - `put` replaces what the range held before; `remove` forgets it at once;
/// - `nearest` never looks at a chunk outside `allowed`, and orders ties by chunk number;
/// - `cosine` of a chunk equals the score that `nearest` gives it.
pub(crate) trait VectorIndex: Send + Sync {
    /// Keep the vectors of a range of chunks, in rising order of their numbers.
    fn put(&mut self, range: ChunkRange, vectors: Vec<(u32, Vector)>);

    /// Forget the vectors of a range.
    fn remove(&mut self, range: ChunkRange);

    /// The allowed chunks with the greatest cosine to `query`, best first.
    fn nearest(&self, query: &Vector, allowed: &RoaringBitmap, limit: usize) -> Vec<Scored>;

    /// The cosine of one chunk, if it has a vector.
    fn cosine(&self, query: &Vector, chunk: u32) -> Option<f32>;

    /// Entries of a vector; `None` before the first one came.
    fn dimensions(&self) -> Option<usize>;
}
