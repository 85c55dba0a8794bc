//! API keys: by hash, and sealed. The key itself never comes this far.

use breezeway_auth::{ApiKeyRecord, KeyHash, SealedKey};
use breezeway_core::{ApiKeyId, StoreError, UnixTime, UserId};

use crate::db::{Tx, Value};

/// All keys, in the order they were made.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<ApiKeyRecord>, StoreError> {
    tx.query(
        "SELECT id, owner, hash, sealed, created_at, last_used_at FROM api_keys ORDER BY created_at, id",
        &[],
        |row| {
            Ok(ApiKeyRecord {
                id: row.id("id")?,
                owner: row.id("owner")?,
                hash: KeyHash(row.hash("hash")?),
                sealed: SealedKey(row.blob("sealed")?),
                created_at: row.time("created_at")?,
                last_used_at: row.opt_time("last_used_at")?,
            })
        },
    )
}

/// Replace all keys of `owner` by this one, or by none.
pub(crate) fn replace(tx: &mut Tx<'_>, owner: &UserId, key: Option<&ApiKeyRecord>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM api_keys WHERE owner = ?1", &[owner.into()])?;
    let Some(key) = key else { return Ok(()) };
    tx.execute(
        "INSERT INTO api_keys (id, owner, hash, sealed, created_at, last_used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &[
            (&key.id).into(),
            owner.into(),
            Value::blob(&key.hash.0),
            Value::blob(&key.sealed.0),
            key.created_at.into(),
            key.last_used_at.into(),
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
