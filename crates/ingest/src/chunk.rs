//! Cutting documents into chunks.

/// How text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlan {
    /// Longest chunk, in characters.
    pub size: usize,
    /// Characters repeated from the chunk before.
    pub overlap: usize,
    /// Chunks shorter than this are merged with a neighbour where they fit; 0 merges none.
    pub min_size: usize,
    /// Whether Markdown headings begin a new chunk.
    pub by_heading: bool,
}

impl Default for ChunkPlan {
    /// 1,000 characters with 100 of overlap, cut at headings: what users of this API are used to.
    fn default() -> Self {
        Self { size: 1000, overlap: 100, min_size: 0, by_heading: true }
    }
}
