//! Chunks.

use breezeway_core::{FileId, StoreError};
use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{ChunkHash, ChunkId, ChunkRange, LogOp, NewChunk, StoredChunk};
use serde_json::json;

use crate::{
    counters::{self, Counter},
    db::{Row, Tx, Value, unreadable},
    log,
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
            "SELECT {COLUMNS}, v.vector FROM chunks AS c \
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
               SELECT min(o.id) FROM chunks AS o WHERE NOT EXISTS (\
                 SELECT 1 FROM vectors AS v WHERE v.hash = o.hash AND v.fingerprint = ?1) \
               GROUP BY o.hash ORDER BY min(o.id) LIMIT ?2) \
             ORDER BY c.id"
        ),
        &[fingerprint.as_str().into(), limit.into()],
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
        )?;
    }
    let number = |id: &i64| u32::try_from(*id).map(ChunkId).map_err(|_| unreadable("chunk number", id));
    let range = ChunkRange { first: number(ids.start())?, last: number(ids.end())? };
    log::append(tx, file, range, LogOp::Added)
}

/// Delete a file's chunks, tell the log if there were any, and answer their hashes: each once, for
/// [`crate::vectors::delete_unused`] when the chunks that may still use them are in place.
pub(crate) fn delete(tx: &mut Tx<'_>, file: &FileId) -> Result<Vec<ChunkHash>, StoreError> {
    let range = tx.query_one(
        "SELECT min(id) AS first, max(id) AS last FROM chunks WHERE file_id = ?1",
        &[file.into()],
        |row| Ok(row.opt_number("first")?.zip(row.opt_number("last")?)),
    )?;
    let Some((first, last)) = range else { return Ok(Vec::new()) };
    let hashes = tx.query("SELECT DISTINCT hash FROM chunks WHERE file_id = ?1", &[file.into()], |row| {
        Ok(ChunkHash(row.hash("hash")?))
    })?;
    tx.execute("DELETE FROM chunks WHERE file_id = ?1", &[file.into()])?;
    log::append(tx, file, ChunkRange { first: ChunkId(first), last: ChunkId(last) }, LogOp::Removed)?;
    Ok(hashes)
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
