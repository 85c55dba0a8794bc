//! Vectors: one for each text and model, shared by all chunks with that text.

use std::collections::{BTreeMap, HashMap};

use breezeway_core::{FileId, StoreError};
use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{ChunkHash, ChunkId, ChunkRange, LogOp};

use crate::{
    db::{Tx, Value, unreadable},
    log,
};

/// The vectors known for `hashes`.
pub(crate) fn known(
    tx: &mut Tx<'_>,
    fingerprint: &Fingerprint,
    hashes: &[ChunkHash],
) -> Result<HashMap<ChunkHash, Vector>, StoreError> {
    let mut known = HashMap::new();
    for hash in hashes {
        let vector = tx.query_opt(
            "SELECT vector FROM vectors WHERE hash = ?1 AND fingerprint = ?2",
            &[Value::blob(&hash.0), fingerprint.as_str().into()],
            |row| {
                row.opt_bytes("vector", Vector::from_le_bytes)?.ok_or_else(|| unreadable("vector", "nothing"))
            },
        )?;
        known.extend(vector.map(|vector| (*hash, vector)));
    }
    Ok(known)
}

/// Keep a vector; answers whether it is new. The same text and fingerprint have the same vector, so
/// one that is known stays.
fn insert(
    tx: &mut Tx<'_>,
    fingerprint: &Fingerprint,
    hash: &ChunkHash,
    vector: &Vector,
) -> Result<bool, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO vectors (hash, fingerprint, vector) VALUES (?1, ?2, ?3) \
         ON CONFLICT (hash, fingerprint) DO NOTHING",
        &[Value::blob(&hash.0), fingerprint.as_str().into(), Value::blob(&vector.to_le_bytes())],
    )?;
    Ok(inserted > 0)
}

/// Files whose chunks gained a vector, with the range of those chunks.
#[derive(Default)]
pub(crate) struct Gains(BTreeMap<FileId, ChunkRange>);

impl Gains {
    /// Keep a vector for the chunks there are, and for `own` ones about to be inserted.
    ///
    /// A vector that no chunk would use is not kept: nobody would ever delete it.
    pub(crate) fn add(
        &mut self,
        tx: &mut Tx<'_>,
        fingerprint: &Fingerprint,
        hash: &ChunkHash,
        vector: &Vector,
        own: bool,
    ) -> Result<(), StoreError> {
        if (!own && !is_used(tx, hash)?) || !insert(tx, fingerprint, hash, vector)? {
            return Ok(());
        }
        // Asked only for vectors that are new: a text can be in every file there is, and then this
        // is not something to do on every commit.
        for (file, chunks) in users(tx, hash)? {
            let range = self.0.entry(file).or_insert(chunks);
            range.first = range.first.min(chunks.first);
            range.last = range.last.max(chunks.last);
        }
        Ok(())
    }

    /// Tell the log. The chunks of a file have consecutive numbers, so one range serves it.
    pub(crate) fn log(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|(file, chunks)| log::append(tx, file, *chunks, LogOp::Embedded))
    }
}

fn is_used(tx: &mut Tx<'_>, hash: &ChunkHash) -> Result<bool, StoreError> {
    tx.query_one(
        "SELECT EXISTS (SELECT 1 FROM chunks WHERE hash = ?1) AS used",
        &[Value::blob(&hash.0)],
        |row| row.bool("used"),
    )
}

/// The files with chunks of this text, and from which to which.
fn users(tx: &mut Tx<'_>, hash: &ChunkHash) -> Result<Vec<(FileId, ChunkRange)>, StoreError> {
    tx.query(
        "SELECT file_id, min(id) AS first, max(id) AS last FROM living_chunks WHERE hash = ?1 GROUP BY file_id",
        &[Value::blob(&hash.0)],
        |row| {
            let (first, last) = (ChunkId(row.number("first")?), ChunkId(row.number("last")?));
            Ok((row.id("file_id")?, ChunkRange { first, last }))
        },
    )
}

/// Delete those vectors of `hashes` that no chunk uses any more.
pub(crate) fn delete_unused(
    tx: &mut Tx<'_>,
    hashes: impl IntoIterator<Item = ChunkHash>,
) -> Result<(), StoreError> {
    for hash in hashes {
        tx.execute(
            "DELETE FROM vectors WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM chunks WHERE hash = ?1)",
            &[Value::blob(&hash.0)],
        )?;
    }
    Ok(())
}
