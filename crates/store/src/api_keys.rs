//! API keys: by hash, and one of an account's sealed. The key itself never comes this far.

use breezeway_auth::{ApiKeyRecord, KeyHash, SealedKey};
use breezeway_core::{ApiKeyId, StoreError, UnixTime, UserId};

use crate::db::{Row, Tx, Value};

mod rules;

const COLUMNS: &str = "id, owner, name, hash, sealed, ending, rules, expires_at, created_at, last_used_at";

/// All keys, in the order they were made.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<ApiKeyRecord>, StoreError> {
    tx.query(&format!("SELECT {COLUMNS} FROM api_keys ORDER BY created_at, id"), &[], read)
}

/// A part of the keys of one account or of all, in the order they were made.
pub(crate) fn slice(
    tx: &mut Tx<'_>,
    owner: Option<&UserId>,
    offset: u64,
    limit: u64,
) -> Result<Vec<ApiKeyRecord>, StoreError> {
    let order = "ORDER BY created_at, id LIMIT ?1 OFFSET ?2";
    match owner {
        Some(owner) => tx.query(
            &format!("SELECT {COLUMNS} FROM api_keys WHERE owner = ?3 {order}"),
            &[limit.into(), offset.into(), owner.into()],
            read,
        ),
        None => {
            tx.query(&format!("SELECT {COLUMNS} FROM api_keys {order}"), &[limit.into(), offset.into()], read)
        }
    }
}

/// Replace the unnamed key of `owner` by this one, or by none.
pub(crate) fn replace(tx: &mut Tx<'_>, owner: &UserId, key: Option<&ApiKeyRecord>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM api_keys WHERE owner = ?1 AND name IS NULL", &[owner.into()])?;
    key.map_or(Ok(()), |key| insert(tx, key))
}

pub(crate) fn insert(tx: &mut Tx<'_>, key: &ApiKeyRecord) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO api_keys ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    let values = [
        (&key.id).into(),
        (&key.owner).into(),
        key.name.as_deref().into(),
        Value::blob(&key.hash.0),
        key.sealed.as_ref().map_or(Value::Null, |sealed| Value::blob(&sealed.0)),
        (&key.ending).into(),
        rules::value(&key.rules),
        key.expires_at.into(),
        key.created_at.into(),
        key.last_used_at.into(),
    ];
    tx.execute(&sql, &values).map(drop)
}

/// Write what the owner can change; answers whether there is such a key.
pub(crate) fn update(tx: &mut Tx<'_>, key: &ApiKeyRecord) -> Result<bool, StoreError> {
    tx.execute(
        "UPDATE api_keys SET name = ?2, rules = ?3, expires_at = ?4 WHERE id = ?1",
        &[(&key.id).into(), key.name.as_deref().into(), rules::value(&key.rules), key.expires_at.into()],
    )
    .map(|changed| changed > 0)
}

pub(crate) fn delete(tx: &mut Tx<'_>, id: &ApiKeyId) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM api_keys WHERE id = ?1", &[id.into()]).map(|deleted| deleted > 0)
}

/// Write the seal and the ending; a key that is not there stays away.
pub(crate) fn reseal(tx: &mut Tx<'_>, key: &ApiKeyRecord) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE api_keys SET sealed = ?2, ending = ?3 WHERE id = ?1",
        &[
            (&key.id).into(),
            key.sealed.as_ref().map_or(Value::Null, |sealed| Value::blob(&sealed.0)),
            (&key.ending).into(),
        ],
    )
    .map(drop)
}

/// Note a use. Batches can arrive out of order; the latest use counts.
pub(crate) fn touch(tx: &mut Tx<'_>, id: &ApiKeyId, at: UnixTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND coalesce(last_used_at, 0) < ?2",
        &[id.into(), at.into()],
    )
    .map(drop)
}

fn read(row: &Row<'_>) -> Result<ApiKeyRecord, StoreError> {
    Ok(ApiKeyRecord {
        id: row.id("id")?,
        owner: row.id("owner")?,
        name: row.opt_text("name")?,
        hash: KeyHash(row.hash("hash")?),
        sealed: row.opt_bytes("sealed", |bytes| Some(SealedKey(bytes.to_vec())))?,
        ending: row.text("ending")?,
        rules: rules::read(row.opt_object("rules")?)?,
        expires_at: row.opt_time("expires_at")?,
        created_at: row.time("created_at")?,
        last_used_at: row.opt_time("last_used_at")?,
    })
}
