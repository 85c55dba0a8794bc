//! Files: what was uploaded, lists of it, and the state that makes each row a job.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use breezeway_core::{FileId, StoreError, UnixTime, UserId};
use breezeway_knowledge::{
    BlobHash, Claim, File, FileOrder, FileQuery, FileState, NewFile, Page, StoredBlob, Unread,
};

use crate::{
    chunks,
    db::{Row, Tx, Value, unreadable},
    departed, drafts, text,
};

/// What [`read`] reads.
pub(crate) const COLUMNS: &str = "id, owner, name, media_type, size_bytes, blob, text_hash, metadata, state, \
                                  cancelled, failure, created_at, updated_at";

/// A `due_at` that has always come.
const AT_ONCE: UnixTime = UnixTime::from_seconds(0);

pub(crate) fn insert(tx: &mut Tx<'_>, file: &NewFile, now: UnixTime) -> Result<File, StoreError> {
    let due_at = match file.state {
        FileState::Stored => None,
        FileState::Pending => Some(AT_ONCE),
        _ => return Err(tx.refuse("a new file is stored or pending")),
    };
    departed::refuse(tx, &file.owner)?;
    tx.query_one(
        &format!(
            "INSERT INTO files (id, owner, name, name_key, media_type, size_bytes, blob, metadata, state, \
             due_at, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11) RETURNING {COLUMNS}"
        ),
        &[
            (&file.id).into(),
            (&file.owner).into(),
            (&file.name).into(),
            (&text::fold(&file.name)).into(),
            (&file.media_type).into(),
            file.size_bytes.into(),
            Value::blob(&file.blob.0),
            Value::object(&file.metadata),
            file.state.as_str().into(),
            due_at.into(),
            now.into(),
        ],
        read,
    )
}

pub(crate) fn by_id(tx: &mut Tx<'_>, id: &FileId) -> Result<Option<File>, StoreError> {
    tx.query_opt(&format!("SELECT {COLUMNS} FROM files WHERE id = ?1"), &[id.into()], read)
}

/// Several files in the order asked for, without unknown ones.
pub(crate) fn by_ids(tx: &mut Tx<'_>, ids: &[FileId]) -> Result<Vec<File>, StoreError> {
    let mut files = Vec::new();
    for id in ids {
        files.extend(by_id(tx, id)?);
    }
    Ok(files)
}

/// Those of `ids` that are to get their first text.
pub(crate) fn unread(tx: &mut Tx<'_>, ids: &[FileId]) -> Result<Vec<Unread>, StoreError> {
    // Through the index of the queue, which is as small as the work that is left: mostly empty, while
    // a collection that is asked about can have any number of files.
    let asked: HashSet<&str> = ids.iter().map(FileId::as_str).collect();
    let queued = tx.query(
        "SELECT id, name, state, due_at FROM files WHERE due_at IS NOT NULL AND text_hash IS NULL",
        &[],
        |row| {
            let next_try = if row.text("state")? == "pending" { row.opt_time("due_at")? } else { None };
            Ok(Unread { id: row.id("id")?, name: row.text("name")?, next_try })
        },
    )?;
    Ok(queued.into_iter().filter(|file| asked.contains(file.id.as_str())).collect())
}

pub(crate) fn list(tx: &mut Tx<'_>, query: &FileQuery) -> Result<Page<File>, StoreError> {
    let mut conditions = String::from("TRUE");
    let mut values = Vec::new();
    if let Some(owner) = &query.owner {
        values.push(owner.into());
        conditions += &format!(" AND owner = ?{}", values.len());
    }
    if let Some(holders) = &query.held_by {
        let first = values.len() + 1;
        values.extend(holders.iter().map(Value::from));
        let places: Vec<String> = (first..=values.len()).map(|place| format!("?{place}")).collect();
        // A list without entries is no SQL; one of NULL equals nothing.
        let places = if places.is_empty() { "NULL".to_owned() } else { places.join(", ") };
        conditions +=
            &format!(" AND id IN (SELECT file_id FROM collection_files WHERE collection_id IN ({places}))");
    }
    let pattern = query.name_glob.as_deref().map(text::glob);
    match &pattern {
        Some(Some(pattern)) => {
            values.push(pattern.into());
            conditions += &format!(r" AND name_key LIKE ?{} ESCAPE '\'", values.len());
        }
        Some(None) => return Ok(Page { items: Vec::new(), total: 0 }),
        None => {}
    }
    let total = format!("SELECT count(*) AS total FROM files WHERE {conditions}");
    let total = tx.query_one(&total, &values, |row| row.number("total"))?;
    let items = format!(
        "SELECT {COLUMNS} FROM files WHERE {conditions} ORDER BY {} LIMIT ?{} OFFSET ?{}",
        order_by(query.order),
        values.len() + 1,
        values.len() + 2
    );
    values.extend([query.slice.limit.into(), query.slice.offset.into()]);
    Ok(Page { items: tx.query(&items, &values, read)?, total })
}

/// The order of a list of files; total, so that slices fit together.
pub(crate) const fn order_by(order: FileOrder) -> &'static str {
    match order {
        FileOrder::NewestFirst => "created_at DESC, id",
        FileOrder::OldestFirst => "created_at, id",
        FileOrder::LatestChangeFirst => "updated_at DESC, id",
        FileOrder::EarliestChangeFirst => "updated_at, id",
        FileOrder::Name => "name, id",
        FileOrder::NameDescending => "name DESC, id",
    }
}

pub(crate) fn rename(
    tx: &mut Tx<'_>,
    id: &FileId,
    name: &str,
    now: UnixTime,
) -> Result<Option<File>, StoreError> {
    tx.query_opt(
        &format!(
            "UPDATE files SET name = ?2, name_key = ?3, updated_at = ?4 WHERE id = ?1 RETURNING {COLUMNS}"
        ),
        &[id.into(), name.into(), (&text::fold(name)).into(), now.into()],
        read,
    )
}

/// Have the files of one account belong to another.
pub(crate) fn hand_over(tx: &mut Tx<'_>, from: &UserId, to: &UserId) -> Result<(), StoreError> {
    tx.execute("UPDATE files SET owner = ?2 WHERE owner = ?1", &[from.into(), to.into()]).map(drop)
}

/// Make a file pending. A claim held on it is void: its writes want the state `processing`, and the
/// next claim has a higher attempt.
pub(crate) fn requeue(tx: &mut Tx<'_>, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError> {
    tx.query_opt(
        &format!(
            "UPDATE files SET state = 'pending', cancelled = 0, failure = NULL, due_at = ?2, \
             updated_at = ?3 WHERE id = ?1 \
             RETURNING {COLUMNS}"
        ),
        &[id.into(), AT_ONCE.into(), now.into()],
        read,
    )
}

/// Stop a file that waits or is being processed, whoever has it.
pub(crate) fn cancel(tx: &mut Tx<'_>, id: &FileId, now: UnixTime) -> Result<Option<File>, StoreError> {
    let cancelled = tx.query_opt(
        &format!(
            "UPDATE files SET state = 'stored', cancelled = 1, due_at = NULL, updated_at = ?2 \
             WHERE id = ?1 AND state IN ('pending', 'processing') RETURNING {COLUMNS}"
        ),
        &[id.into(), now.into()],
        read,
    )?;
    if cancelled.is_some() {
        drafts::discard(tx, id)?;
    }
    Ok(cancelled)
}

/// Give a file other bytes and have them processed. Answers the former blob too, unless some file
/// still has it.
pub(crate) fn replace_blob(
    tx: &mut Tx<'_>,
    id: &FileId,
    blob: &StoredBlob,
    media_type: &str,
    now: UnixTime,
) -> Result<Option<(File, Option<BlobHash>)>, StoreError> {
    let Some(former) = blob_of(tx, id)? else { return Ok(None) };
    tx.execute(
        "UPDATE files SET blob = ?2, size_bytes = ?3, media_type = ?4, text_hash = NULL WHERE id = ?1",
        &[id.into(), Value::blob(&blob.hash.0), blob.size_bytes.into(), media_type.into()],
    )?;
    let file = requeue(tx, id, now)?;
    let unused = (!blob_in_use(tx, &former)?).then_some(former);
    Ok(file.map(|file| (file, unused)))
}

/// Delete files with everything that hangs on them, and answer the blobs that no file has any more.
pub(crate) fn delete(tx: &mut Tx<'_>, ids: &[FileId]) -> Result<Vec<BlobHash>, StoreError> {
    let mut blobs = BTreeSet::new();
    for id in ids {
        let Some(blob) = blob_of(tx, id)? else { continue };
        blobs.insert(blob);
        drafts::discard(tx, id)?;
        chunks::bury(tx, id)?;
        // Document and memberships follow by their foreign keys.
        tx.execute("DELETE FROM files WHERE id = ?1", &[id.into()])?;
    }
    let mut unused = Vec::new();
    for blob in blobs {
        if !blob_in_use(tx, &blob)? {
            unused.push(blob);
        }
    }
    Ok(unused)
}

fn blob_of(tx: &mut Tx<'_>, id: &FileId) -> Result<Option<BlobHash>, StoreError> {
    tx.query_opt("SELECT blob FROM files WHERE id = ?1", &[id.into()], |row| row.hash("blob").map(BlobHash))
}

/// Every file with its blob.
pub(crate) fn blobs(tx: &mut Tx<'_>) -> Result<Vec<(FileId, BlobHash)>, StoreError> {
    tx.query("SELECT id, blob FROM files", &[], |row| Ok((row.id("id")?, BlobHash(row.hash("blob")?))))
}

pub(crate) fn blob_in_use(tx: &mut Tx<'_>, blob: &BlobHash) -> Result<bool, StoreError> {
    tx.query_one(
        "SELECT EXISTS (SELECT 1 FROM files WHERE blob = ?1) AS used",
        &[Value::blob(&blob.0)],
        |row| row.bool("used"),
    )
}

/// Take the oldest file that is due. One statement, so no two callers can get the same.
pub(crate) fn claim(tx: &mut Tx<'_>, now: UnixTime, lease: Duration) -> Result<Option<Claim>, StoreError> {
    tx.query_opt(
        &format!(
            "UPDATE files SET state = 'processing', attempt = attempt + 1, due_at = ?2, updated_at = ?1 \
             WHERE id = (SELECT id FROM files WHERE due_at <= ?1 ORDER BY created_at, id LIMIT 1) \
             RETURNING attempt, {COLUMNS}"
        ),
        &[now.into(), now.plus(lease).into()],
        |row| Ok(Claim { file: read(row)?, attempt: row.number("attempt")? }),
    )
}

/// Have all leases run out.
pub(crate) fn release_claims(tx: &mut Tx<'_>, now: UnixTime) -> Result<usize, StoreError> {
    tx.execute("UPDATE files SET due_at = ?1 WHERE state = 'processing' AND due_at > ?1", &[now.into()])
}

/// Keep a claim until `until`; `false` if it is lost.
pub(crate) fn extend_claim(
    tx: &mut Tx<'_>,
    id: &FileId,
    attempt: u32,
    until: UnixTime,
) -> Result<bool, StoreError> {
    let extended = tx.execute(
        "UPDATE files SET due_at = ?3 WHERE id = ?1 AND attempt = ?2 AND state = 'processing'",
        &[id.into(), attempt.into(), until.into()],
    )?;
    Ok(extended > 0)
}

/// Whether the file is being processed under this attempt.
pub(crate) fn is_claimed(tx: &mut Tx<'_>, id: &FileId, attempt: u32) -> Result<bool, StoreError> {
    tx.query_one(
        "SELECT EXISTS (SELECT 1 FROM files WHERE id = ?1 AND attempt = ?2 AND state = 'processing') AS held",
        &[id.into(), attempt.into()],
        |row| row.bool("held"),
    )
}

/// End a claim with success; `false` if it is lost.
pub(crate) fn complete(
    tx: &mut Tx<'_>,
    id: &FileId,
    attempt: u32,
    text_hash: &str,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let completed = tx.execute(
        "UPDATE files SET state = 'completed', due_at = NULL, text_hash = ?3, updated_at = ?4 \
         WHERE id = ?1 AND attempt = ?2 AND state = 'processing'",
        &[id.into(), attempt.into(), text_hash.into(), now.into()],
    )?;
    Ok(completed > 0)
}

/// End a claim without success; `false` if it is lost.
pub(crate) fn fail(
    tx: &mut Tx<'_>,
    id: &FileId,
    attempt: u32,
    reason: &str,
    retry_at: Option<UnixTime>,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let (state, failure) = match retry_at {
        Some(_) => ("pending", None),
        None => ("failed", Some(reason)),
    };
    let failed = tx.execute(
        "UPDATE files SET state = ?3, failure = ?4, due_at = ?5, updated_at = ?6 \
         WHERE id = ?1 AND attempt = ?2 AND state = 'processing'",
        &[id.into(), attempt.into(), state.into(), failure.into(), retry_at.into(), now.into()],
    )?;
    Ok(failed > 0)
}

pub(crate) fn read(row: &Row<'_>) -> Result<File, StoreError> {
    let state = row.text("state")?;
    Ok(File {
        id: row.id("id")?,
        owner: row.id("owner")?,
        name: row.text("name")?,
        media_type: row.text("media_type")?,
        size_bytes: row.number("size_bytes")?,
        blob: BlobHash(row.hash("blob")?),
        text_hash: row.opt_text("text_hash")?,
        metadata: row.object("metadata")?,
        state: match state.as_str() {
            "stored" if row.bool("cancelled")? => FileState::Cancelled,
            "stored" => FileState::Stored,
            "pending" => FileState::Pending,
            "processing" => FileState::Processing,
            "completed" => FileState::Completed,
            "failed" => FileState::Failed(row.text("failure")?),
            _ => return Err(unreadable("file state", state)),
        },
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
