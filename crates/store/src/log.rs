//! The chunk log.

use std::collections::BTreeMap;

use breezeway_core::{FileId, StoreError};
use breezeway_knowledge::{ChunkId, ChunkRange, LogEntry, LogOp, Seq};

use crate::{
    counters::{self, Counter},
    db::{Tx, unreadable},
};

/// Entries read at a time where the whole log is.
pub(crate) const PAGE: u32 = 4096;

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
    tx.query_one(
        "SELECT max(coalesce((SELECT max(seq) FROM chunk_log), 0), (SELECT seq FROM log_floor)) AS seq",
        &[],
        |row| row.number("seq"),
    )
    .map(Seq)
}

/// How far the log was compacted.
pub(crate) fn floor(tx: &mut Tx<'_>) -> Result<Seq, StoreError> {
    tx.query_one("SELECT seq FROM log_floor", &[], |row| row.number("seq")).map(Seq)
}

/// The entries before `upto` that say nothing about what there is at `upto`: those of chunks that were
/// gone by then, and those of vectors, which a reader of the chunks finds anyhow.
pub(crate) fn compactable(tx: &mut Tx<'_>, upto: Seq) -> Result<Vec<u64>, StoreError> {
    let mut added: BTreeMap<u32, u64> = BTreeMap::new();
    let mut gone = Vec::new();
    let mut last = Seq(0);
    loop {
        let entries = after(tx, last, PAGE)?;
        let Some(newest) = entries.last().map(|entry| entry.seq) else { break };
        for entry in entries.iter().take_while(|entry| entry.seq <= upto) {
            match entry.op {
                LogOp::Added => {
                    added.insert(entry.chunks.first.0, entry.seq.0);
                }
                LogOp::Removed => {
                    gone.extend(added.remove(&entry.chunks.first.0));
                    gone.push(entry.seq.0);
                }
                LogOp::Embedded => gone.push(entry.seq.0),
            }
        }
        if newest >= upto {
            break;
        }
        last = newest;
    }
    gone.retain(|seq| *seq != upto.0);
    Ok(gone)
}

/// Forget entries, and have whoever has not come to `upto` begin anew.
pub(crate) fn forget(tx: &mut Tx<'_>, upto: Seq, seqs: &[u64]) -> Result<(), StoreError> {
    tx.execute("UPDATE log_floor SET seq = max(seq, ?1)", &[upto.0.into()])?;
    for seq in seqs {
        tx.execute(
            "DELETE FROM chunk_log WHERE seq = ?1 AND seq < (SELECT last FROM counters WHERE name = 'log')",
            &[(*seq).into()],
        )?;
    }
    Ok(())
}

/// Write the log from the chunks there are. Every index begins anew.
pub(crate) fn write_anew(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM chunk_log", &[])?;
    // A number that no entry has and no index has seen.
    let floor = *counters::take(tx, Counter::Log, 1)?.end();
    tx.execute("UPDATE log_floor SET seq = ?1", &[floor.into()])?;
    let files = tx.query(
        "SELECT file_id, min(id) AS first, max(id) AS last FROM living_chunks GROUP BY file_id ORDER BY first",
        &[],
        |row| {
            let (first, last) = (ChunkId(row.number("first")?), ChunkId(row.number("last")?));
            Ok((row.id("file_id")?, ChunkRange { first, last }))
        },
    )?;
    for (file, range) in files {
        append(tx, &file, range, LogOp::Added)?;
    }
    Ok(())
}

const fn word(op: LogOp) -> &'static str {
    match op {
        LogOp::Added => "added",
        LogOp::Removed => "removed",
        LogOp::Embedded => "embedded",
    }
}
