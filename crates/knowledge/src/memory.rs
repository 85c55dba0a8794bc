//! The library in memory, for tests and for embedders.

/// Both ports in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryLibrary;
