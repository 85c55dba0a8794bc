//! What clients say about files and collections.

use std::collections::HashMap;

use breezeway_core::{CollectionId, FileId, StoreError, UnixTime};
use breezeway_knowledge::{Batch, Collection, File};
use serde_json::{Map, Value as Json};

use crate::{
    collections,
    db::{Tx, Value, unreadable},
    files,
};

pub(crate) fn put(
    tx: &mut Tx<'_>,
    collection: &CollectionId,
    file: &FileId,
    attributes: &Map<String, Json>,
) -> Result<bool, StoreError> {
    let written = tx.execute(
        "INSERT INTO member_attributes (collection_id, file_id, attributes) \
         SELECT collection_id, file_id, ?3 FROM collection_files WHERE collection_id = ?1 AND file_id = ?2 \
         ON CONFLICT (collection_id, file_id) DO UPDATE SET attributes = excluded.attributes",
        &[collection.into(), file.into(), Value::object(attributes)],
    )?;
    Ok(written > 0)
}

pub(crate) fn of(
    tx: &mut Tx<'_>,
    collection: &CollectionId,
) -> Result<HashMap<FileId, Map<String, Json>>, StoreError> {
    let rows = tx.query(
        "SELECT file_id, attributes FROM member_attributes WHERE collection_id = ?1",
        &[collection.into()],
        |row| Ok((row.id("file_id")?, row.object("attributes")?)),
    )?;
    Ok(rows.into_iter().collect())
}

pub(crate) fn put_metadata(
    tx: &mut Tx<'_>,
    file: &FileId,
    metadata: &Map<String, Json>,
    now: UnixTime,
) -> Result<Option<File>, StoreError> {
    tx.execute(
        "UPDATE files SET metadata = ?2, updated_at = ?3 WHERE id = ?1",
        &[file.into(), Value::object(metadata), now.into()],
    )?;
    files::by_id(tx, file)
}

pub(crate) fn put_meta(
    tx: &mut Tx<'_>,
    collection: &CollectionId,
    meta: &Json,
) -> Result<Option<Collection>, StoreError> {
    tx.execute("UPDATE collections SET meta = ?2 WHERE id = ?1", &[collection.into(), Value::json(meta)])?;
    collections::by_id(tx, collection)
}

pub(crate) fn insert_batch(tx: &mut Tx<'_>, batch: &Batch) -> Result<bool, StoreError> {
    let files: Vec<&str> = batch.files.iter().map(FileId::as_str).collect();
    let written = tx.execute(
        "INSERT INTO file_batches (id, collection_id, created_at, files) \
         SELECT ?1, id, ?3, ?4 FROM collections WHERE id = ?2",
        &[
            batch.id.as_str().into(),
            (&batch.collection).into(),
            batch.created_at.into(),
            Value::json(&files.into()),
        ],
    )?;
    Ok(written > 0)
}

pub(crate) fn batch(
    tx: &mut Tx<'_>,
    collection: &CollectionId,
    id: &str,
) -> Result<Option<Batch>, StoreError> {
    tx.query_opt(
        "SELECT id, created_at, files FROM file_batches WHERE id = ?1 AND collection_id = ?2",
        &[id.into(), collection.into()],
        |row| {
            let json = row.opt_json("files")?.unwrap_or_default();
            let ids = json.as_array().into_iter().flatten().map(|id| id.as_str()?.parse().ok());
            let files: Option<Vec<FileId>> = ids.collect();
            Ok(Batch {
                id: row.text("id")?,
                collection: collection.clone(),
                created_at: row.time("created_at")?,
                files: files.ok_or_else(|| unreadable("batch", json.to_string()))?,
            })
        },
    )
}
