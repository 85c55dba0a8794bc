//! The chunk log: the ordered record of what became searchable and what ceased to be.
//!
//! An entry commits in the same transaction as the change it records, so whoever follows the log
//! (an index) can be deleted, crash or lag behind and still ends up with exactly what the store has.

use breezeway_core::FileId;

use crate::ChunkRange;

/// A position in the log: rising, never reused. 0 is before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its position.
    pub seq: Seq,
    /// The file whose chunks changed.
    pub file: FileId,
    /// Which chunks.
    pub chunks: ChunkRange,
    /// What happened to them.
    pub op: LogOp,
}

/// What happened to chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOp {
    /// They are new.
    Added,
    /// They are gone; their rows may no longer be readable.
    Removed,
    /// Vectors that were missing have been added.
    Embedded,
}
