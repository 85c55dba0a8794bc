//! Kept responses: rows.

use breezeway_chat::responses::{Keep, StoredResponse};
use breezeway_core::{Grantee, ResponseId, StoreError, UserId};
use serde_json::json;

use crate::{
    db::{Tx, Value},
    departed,
};

/// Keep one, and delete what may not stay beside it.
pub(crate) fn keep(tx: &mut Tx<'_>, response: &StoredResponse, keep: Keep) -> Result<(), StoreError> {
    departed::refuse(tx, &response.owner)?;
    let known =
        tx.query_opt("SELECT id FROM responses WHERE id = ?1", &[(&response.id).into()], |_| Ok(()))?;
    if known.is_some() {
        return Err(StoreError::Taken("response"));
    }
    let body = json!({"response": response.response, "items": response.items});
    tx.execute(
        "INSERT INTO responses (id, owner, created_at, body) VALUES (?1, ?2, ?3, ?4)",
        &[(&response.id).into(), (&response.owner).into(), response.created_at.into(), Value::json(&body)],
    )?;
    tx.execute("DELETE FROM responses WHERE created_at < ?1", &[keep.since.into()])?;
    tx.execute(
        "DELETE FROM responses WHERE owner = ?1 AND number NOT IN \
         (SELECT number FROM responses WHERE owner = ?1 ORDER BY number DESC LIMIT ?2)",
        &[(&response.owner).into(), keep.most.into()],
    )
    .map(drop)
}

/// One response of an account.
pub(crate) fn by_id(
    tx: &mut Tx<'_>,
    owner: &UserId,
    id: &ResponseId,
) -> Result<Option<StoredResponse>, StoreError> {
    tx.query_opt(
        "SELECT id, owner, created_at, body FROM responses WHERE id = ?1 AND owner = ?2",
        &[id.into(), owner.into()],
        |row| {
            let mut body = row.object("body")?;
            let mut part = |name: &str| body.get_mut(name).map(serde_json::Value::take).unwrap_or_default();
            Ok(StoredResponse {
                id: row.id("id")?,
                owner: row.id("owner")?,
                created_at: row.time("created_at")?,
                response: part("response").as_object_mut().map(std::mem::take).unwrap_or_default(),
                items: part("items").as_array_mut().map(std::mem::take).unwrap_or_default(),
            })
        },
    )
}

/// Delete one; answers whether it was there.
pub(crate) fn delete(tx: &mut Tx<'_>, owner: &UserId, id: &ResponseId) -> Result<bool, StoreError> {
    let gone =
        tx.execute("DELETE FROM responses WHERE id = ?1 AND owner = ?2", &[id.into(), owner.into()])?;
    Ok(gone > 0)
}

/// Delete all of an account that departs.
pub(crate) fn depart(tx: &mut Tx<'_>, account: &UserId) -> Result<(), StoreError> {
    departed::note(tx, &Grantee::User(account.clone()))?;
    tx.execute("DELETE FROM responses WHERE owner = ?1", &[account.into()]).map(drop)
}
