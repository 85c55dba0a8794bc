//! Blobs in memory, for tests and for embedders with small data.

/// Blobs in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlobs;
