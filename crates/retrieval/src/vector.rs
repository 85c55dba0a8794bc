//! The dense leg: which chunks' vectors are nearest to the question's.
//!
//! # Design
//! The first index is exact and flat. At 384 dimensions and 100,000 chunks a scan costs about 10 ms
//! of one core, graph indexes are no faster at that size once filters and deletions count, and
//! whatever replaces it will need an exact one to be judged by. It holds four bytes for each number:
//! 1.5 KiB a chunk at 384 dimensions, 150 MiB for 100,000 chunks. A library an order of magnitude
//! larger wants quantised rows scanned first; that is another implementation of [`VectorIndex`].

mod flat;

use breezeway_embedding::Vector;
use breezeway_knowledge::ChunkRange;
use roaring::RoaringBitmap;

use crate::top::Scored;

pub(crate) use self::flat::FlatVectors;
#[cfg(test)]
pub(crate) use self::flat::dot;

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
