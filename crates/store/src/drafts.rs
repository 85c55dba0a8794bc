//! Drafts: what a worker has made of a file so far, kept so that a crash repeats nothing.
//!
//! The text is kept with the first call, its chunks in pieces, each in a transaction of its own: the
//! largest file does not keep other writers waiting. Nobody sees any of it until [`publish`], which
//! moves no chunk: it only ends their being hidden.

use breezeway_core::{FileId, StoreError, UnixTime};
use breezeway_embedding::Fingerprint;
use breezeway_knowledge::{Draft, DraftKey, LogOp, NewChunk, NewDraft, StoredChunk};

use crate::{
    chunks,
    counters::{self, Counter},
    db::{Tx, Value},
    documents, files, log,
};

/// The draft of a file that is being processed under `attempt`, if what is there was made of this.
pub(crate) fn of(tx: &mut Tx<'_>, file: &FileId, key: &DraftKey) -> Result<Option<Draft>, StoreError> {
    tx.query_opt(
        "SELECT chunks, written FROM drafts WHERE file_id = ?1 AND blob = ?2 AND plan = ?3",
        &[file.into(), Value::blob(&key.blob.0), (&key.plan).into()],
        |row| Ok(Draft { chunks: row.number("chunks")?, written: row.number("written")? }),
    )
}

/// Begin a draft in place of the one there was.
pub(crate) fn begin(tx: &mut Tx<'_>, draft: &NewDraft) -> Result<bool, StoreError> {
    let file = &draft.file;
    if !files::is_claimed(tx, file, draft.attempt)? {
        return Ok(false);
    }
    discard(tx, file)?;
    tx.execute(
        "INSERT INTO drafts (file_id, blob, plan, text_hash, chunks, written, sections, metadata, text) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8)",
        &[
            file.into(),
            Value::blob(&draft.key.blob.0),
            (&draft.key.plan).into(),
            (&draft.text_hash).into(),
            draft.chunks.into(),
            documents::sections(&draft.document),
            Value::object(&draft.document.metadata),
            (&draft.document.text).into(),
        ],
    )?;
    if draft.chunks > 0 {
        // All numbers at once, because those of a file are consecutive.
        let range = chunks::range_of(&counters::take(tx, Counter::Chunk, draft.chunks as usize)?)?;
        tx.execute(
            "INSERT INTO hidden_chunks (first_chunk, last_chunk, file_id, fate) VALUES (?1, ?2, ?3, 'unborn')",
            &[range.first.0.into(), range.last.0.into(), file.into()],
        )?;
    }
    Ok(true)
}

/// Write the next chunks of a draft.
pub(crate) fn write(
    tx: &mut Tx<'_>,
    file: &FileId,
    attempt: u32,
    new: &[NewChunk],
) -> Result<bool, StoreError> {
    if !files::is_claimed(tx, file, attempt)? {
        return Ok(false);
    }
    if new.is_empty() {
        return Ok(true);
    }
    let place = tx.query_opt(
        "SELECT d.written, d.chunks, h.first_chunk FROM drafts AS d \
         JOIN hidden_chunks AS h ON h.file_id = d.file_id AND h.fate = 'unborn' WHERE d.file_id = ?1",
        &[file.into()],
        |row| Ok((row.number::<u32>("written")?, row.number::<u32>("chunks")?, row.integer("first_chunk")?)),
    )?;
    let Some((written, chunks, first)) = place else { return Ok(false) };
    if new.len() > (chunks - written) as usize {
        return Err(tx.refuse("a draft gets no more chunks than it was announced to have"));
    }
    for (ordinal, chunk) in (written..).zip(new) {
        chunks::write(tx, file, first + i64::from(ordinal), ordinal, chunk)?;
    }
    tx.execute(
        "UPDATE drafts SET written = written + ?2 WHERE file_id = ?1",
        &[file.into(), new.len().into()],
    )?;
    Ok(true)
}

/// The first chunk of each text of a draft that has no vector of this fingerprint, in order.
pub(crate) fn without_vector(
    tx: &mut Tx<'_>,
    file: &FileId,
    fingerprint: &Fingerprint,
    after: Option<u32>,
    limit: u32,
) -> Result<Vec<StoredChunk>, StoreError> {
    let after = after.map_or(-1, i64::from);
    chunks::hidden_without_vector(tx, file, fingerprint, after, limit)
}

/// How many chunks of a draft have a vector of this fingerprint.
pub(crate) fn embedded(tx: &mut Tx<'_>, file: &FileId, fingerprint: &Fingerprint) -> Result<u32, StoreError> {
    tx.query_one(
        "SELECT count(*) AS embedded FROM hidden_chunks AS h \
         JOIN chunks AS c ON c.id BETWEEN h.first_chunk AND h.last_chunk \
         WHERE h.file_id = ?1 AND h.fate = 'unborn' \
         AND EXISTS (SELECT 1 FROM vectors AS v WHERE v.hash = c.hash AND v.fingerprint = ?2)",
        &[file.into(), fingerprint.as_str().into()],
        |row| row.number("embedded"),
    )
}

/// The commit point: the draft becomes what the file is, and what it was before is gone.
pub(crate) fn publish(
    tx: &mut Tx<'_>,
    file: &FileId,
    attempt: u32,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let draft = tx.query_opt(
        "SELECT text_hash, chunks, written FROM drafts WHERE file_id = ?1",
        &[file.into()],
        |row| Ok((row.text("text_hash")?, row.number::<u32>("chunks")?, row.number::<u32>("written")?)),
    )?;
    let Some((text_hash, chunks, written)) = draft else { return Ok(false) };
    if chunks != written {
        return Err(tx.refuse("a draft without all of its chunks is not published"));
    }
    if !files::complete(tx, file, attempt, &text_hash, now)? {
        return Ok(false);
    }
    documents::put_draft(tx, file)?;
    chunks::bury(tx, file)?;
    let born = tx.query_opt(
        "DELETE FROM hidden_chunks WHERE file_id = ?1 AND fate = 'unborn' RETURNING first_chunk, last_chunk",
        &[file.into()],
        |row| chunks::range_of(&(row.integer("first_chunk")?..=row.integer("last_chunk")?)),
    )?;
    if let Some(range) = born {
        log::append(tx, file, range, LogOp::Added)?;
    }
    tx.execute("DELETE FROM drafts WHERE file_id = ?1", &[file.into()])?;
    Ok(true)
}

/// Give a draft up; what it had is cleared away later.
pub(crate) fn discard(tx: &mut Tx<'_>, file: &FileId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE hidden_chunks SET fate = 'buried' WHERE file_id = ?1 AND fate = 'unborn'",
        &[file.into()],
    )?;
    tx.execute("DELETE FROM drafts WHERE file_id = ?1", &[file.into()]).map(drop)
}
