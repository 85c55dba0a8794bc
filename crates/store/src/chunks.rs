//! Chunks.

use std::{collections::BTreeSet, ops::RangeInclusive};

use breezeway_core::{FileId, StoreError};
use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{ChunkHash, ChunkId, ChunkRange, LogOp, NewChunk, StoredChunk};
use serde_json::json;

use crate::{
    counters::{self, Counter},
    db::{Row, Tx, Value, unreadable},
    log, vectors,
};

const COLUMNS: &str =
    "c.id, c.file_id, c.ordinal, c.hash, c.start_byte, c.end_byte, c.page, c.headings, c.text";

/// The chunks of a range that exist, in order, with their vectors of `fingerprint`.
pub(crate) fn in_range(
    tx: &mut Tx<'_>,
    range: ChunkRange,
    fingerprint: Option<&Fingerprint>,
) -> Result<Vec<StoredChunk>, StoreError> {
    // Without a fingerprint the comparison is with NULL, and no vector is found.
    tx.query(
        &format!(
            "SELECT {COLUMNS}, v.vector FROM living_chunks AS c \
             LEFT JOIN vectors AS v ON v.hash = c.hash AND v.fingerprint = ?3 \
             WHERE c.id BETWEEN ?1 AND ?2 ORDER BY c.id"
        ),
        &[range.first.0.into(), range.last.0.into(), fingerprint.map(Fingerprint::as_str).into()],
        read,
    )
}

/// The first chunk of each text that has no vector of this fingerprint, oldest first.
pub(crate) fn without_vector(
    tx: &mut Tx<'_>,
    fingerprint: &Fingerprint,
    limit: u32,
) -> Result<Vec<StoredChunk>, StoreError> {
    // The inner query walks two indexes that are both ordered by hash and never touches the texts.
    tx.query(
        &format!(
            "SELECT {COLUMNS}, NULL AS vector FROM chunks AS c WHERE c.id IN (\
               SELECT min(o.id) FROM living_chunks AS o WHERE NOT EXISTS (\
                 SELECT 1 FROM vectors AS v WHERE v.hash = o.hash AND v.fingerprint = ?1) \
               GROUP BY o.hash ORDER BY min(o.id) LIMIT ?2) \
             ORDER BY c.id"
        ),
        &[fingerprint.as_str().into(), limit.into()],
        read,
    )
}

/// The chunks of a file's draft behind `after` that have no vector of this fingerprint, in order.
pub(crate) fn hidden_without_vector(
    tx: &mut Tx<'_>,
    file: &FileId,
    fingerprint: &Fingerprint,
    after: i64,
    limit: u32,
) -> Result<Vec<StoredChunk>, StoreError> {
    tx.query(
        &format!(
            "SELECT {COLUMNS}, NULL AS vector FROM hidden_chunks AS h \
             JOIN chunks AS c ON c.id BETWEEN h.first_chunk AND h.last_chunk \
             WHERE h.file_id = ?1 AND h.fate = 'unborn' AND c.ordinal > ?3 AND NOT EXISTS (\
               SELECT 1 FROM vectors AS v WHERE v.hash = c.hash AND v.fingerprint = ?2) \
             ORDER BY c.id LIMIT ?4"
        ),
        &[file.into(), fingerprint.as_str().into(), after.into(), limit.into()],
        read,
    )
}

/// Insert a file's chunks under new consecutive numbers, and tell the log.
pub(crate) fn insert(tx: &mut Tx<'_>, file: &FileId, chunks: &[NewChunk]) -> Result<(), StoreError> {
    if chunks.is_empty() {
        return Ok(());
    }
    let ids = counters::take(tx, Counter::Chunk, chunks.len())?;
    for ((id, ordinal), chunk) in ids.clone().zip(0_u32..).zip(chunks) {
        write(tx, file, id, ordinal, chunk)?;
    }
    log::append(tx, file, range_of(&ids)?, LogOp::Added)
}

/// The numbers that a counter gave, as a range.
pub(crate) fn range_of(ids: &RangeInclusive<i64>) -> Result<ChunkRange, StoreError> {
    let number = |id: &i64| u32::try_from(*id).map(ChunkId).map_err(|_| unreadable("chunk number", id));
    Ok(ChunkRange { first: number(ids.start())?, last: number(ids.end())? })
}

/// Write one chunk under a number that is its own.
pub(crate) fn write(
    tx: &mut Tx<'_>,
    file: &FileId,
    id: i64,
    ordinal: u32,
    chunk: &NewChunk,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO chunks (id, file_id, ordinal, hash, start_byte, end_byte, page, headings, text) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        &[
            id.into(),
            file.into(),
            ordinal.into(),
            Value::blob(&chunk.hash.0),
            chunk.start.into(),
            chunk.end.into(),
            chunk.page.into(),
            Value::json(&json!(chunk.headings)),
            (&chunk.text).into(),
        ],
    )
    .map(drop)
}

/// Have a file's chunks be gone for everybody, and tell the log if there were any. Their rows stay until
/// [`clear_away`] comes to them.
pub(crate) fn bury(tx: &mut Tx<'_>, file: &FileId) -> Result<(), StoreError> {
    let range = tx.query_one(
        "SELECT min(id) AS first, max(id) AS last FROM living_chunks WHERE file_id = ?1",
        &[file.into()],
        |row| Ok(row.opt_number("first")?.zip(row.opt_number("last")?)),
    )?;
    let Some((first, last)) = range else { return Ok(()) };
    let range = ChunkRange { first: ChunkId(first), last: ChunkId(last) };
    tx.execute(
        "INSERT INTO hidden_chunks (first_chunk, last_chunk, file_id, fate) VALUES (?1, ?2, ?3, 'buried')",
        &[first.into(), last.into(), file.into()],
    )?;
    log::append(tx, file, range, LogOp::Removed)
}

/// Delete up to `limit` chunks that are buried, and the vectors that no other chunk uses. Whether there
/// is nothing left to delete.
pub(crate) fn clear_away(tx: &mut Tx<'_>, limit: u32) -> Result<bool, StoreError> {
    let buried = tx.query_opt(
        "SELECT first_chunk, last_chunk FROM hidden_chunks WHERE fate = 'buried' ORDER BY first_chunk LIMIT 1",
        &[],
        |row| Ok((row.number::<u32>("first_chunk")?, row.number::<u32>("last_chunk")?)),
    )?;
    let Some((first, last)) = buried else { return Ok(true) };
    let chunks = tx.query(
        "SELECT id, hash FROM chunks WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
        &[first.into(), last.into(), limit.into()],
        |row| Ok((row.number::<u32>("id")?, ChunkHash(row.hash("hash")?))),
    )?;
    if let Some((newest, _)) = chunks.last() {
        tx.execute("DELETE FROM chunks WHERE id BETWEEN ?1 AND ?2", &[first.into(), (*newest).into()])?;
        let hashes: BTreeSet<ChunkHash> = chunks.iter().map(|(_, hash)| *hash).collect();
        vectors::delete_unused(tx, hashes)?;
    }
    if chunks.len() < limit as usize {
        tx.execute("DELETE FROM hidden_chunks WHERE first_chunk = ?1", &[first.into()])?;
    }
    Ok(false)
}

fn read(row: &Row<'_>) -> Result<StoredChunk, StoreError> {
    let headings = row.text("headings")?;
    Ok(StoredChunk {
        id: ChunkId(row.number("id")?),
        file: row.id("file_id")?,
        ordinal: row.number("ordinal")?,
        chunk: NewChunk {
            text: row.text("text")?,
            start: row.number("start_byte")?,
            end: row.number("end_byte")?,
            page: row.opt_number("page")?,
            headings: serde_json::from_str(&headings).map_err(|error| unreadable("headings", error))?,
            hash: ChunkHash(row.hash("hash")?),
        },
        vector: row.opt_bytes("vector", Vector::from_le_bytes)?,
    })
}
