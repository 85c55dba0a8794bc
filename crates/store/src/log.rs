//! The chunk log.

use breezeway_core::{FileId, StoreError};
use breezeway_knowledge::{ChunkId, ChunkRange, LogEntry, LogOp, Seq};

use crate::{
    counters::{self, Counter},
    db::{Tx, unreadable},
};

/// Add an entry about `chunks`; part of the transaction that changes them.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    file: &FileId,
    chunks: ChunkRange,
    op: LogOp,
) -> Result<(), StoreError> {
    let seq = *counters::take(tx, Counter::Log, 1)?.end();
    tx.execute(
        "INSERT INTO chunk_log (seq, file_id, first_chunk, last_chunk, op) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[seq.into(), file.into(), chunks.first.0.into(), chunks.last.0.into(), word(op).into()],
    )
    .map(drop)
}

/// Entries after `after`, in order, at most `limit`.
pub(crate) fn after(tx: &mut Tx<'_>, after: Seq, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
    tx.query(
        "SELECT seq, file_id, first_chunk, last_chunk, op FROM chunk_log WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        &[after.0.into(), limit.into()],
        |row| {
            let op = row.text("op")?;
            Ok(LogEntry {
                seq: Seq(row.number("seq")?),
                file: row.id("file_id")?,
                chunks: ChunkRange {
                    first: ChunkId(row.number("first_chunk")?),
                    last: ChunkId(row.number("last_chunk")?),
                },
                op: match op.as_str() {
                    "added" => LogOp::Added,
                    "removed" => LogOp::Removed,
                    "embedded" => LogOp::Embedded,
                    _ => return Err(unreadable("log operation", op)),
                },
            })
        },
    )
}

/// The position of the newest entry.
pub(crate) fn last_seq(tx: &mut Tx<'_>) -> Result<Seq, StoreError> {
    tx.query_one("SELECT coalesce(max(seq), 0) AS seq FROM chunk_log", &[], |row| row.number("seq")).map(Seq)
}

const fn word(op: LogOp) -> &'static str {
    match op {
        LogOp::Added => "added",
        LogOp::Removed => "removed",
        LogOp::Embedded => "embedded",
    }
}
