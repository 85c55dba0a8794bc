//! Folders of saved chats.

use breezeway_chat::history::{Folder, FolderChange};
use breezeway_core::{FolderId, StoreError, UnixTime, UserId};

use crate::{
    db::{Row, Tx, Value},
    departed,
};

const COLUMNS: &str = "id, owner, parent, name, data, meta, expanded, created_at, updated_at";

/// The folder `?1` and all below it. UNION and not UNION ALL: it ends whatever the table holds.
const BELOW: &str = "WITH RECURSIVE below (id) AS (SELECT ?1 \
     UNION SELECT f.id FROM chat_folders AS f JOIN below ON f.parent = below.id)";

/// Insert a folder; a parent that is not the owner's is none.
pub(crate) fn insert(tx: &mut Tx<'_>, folder: &Folder) -> Result<(), StoreError> {
    departed::refuse(tx, &folder.owner)?;
    let sql = format!(
        "INSERT INTO chat_folders ({COLUMNS}) VALUES (?1, ?2, \
         (SELECT id FROM chat_folders WHERE id = ?3 AND owner = ?2), ?4, ?5, ?6, ?7, ?8, ?9)"
    );
    tx.execute(
        &sql,
        &[
            (&folder.id).into(),
            (&folder.owner).into(),
            folder.parent.as_ref().into(),
            (&folder.name).into(),
            folder.data.as_ref().map_or(Value::Null, Value::object),
            folder.meta.as_ref().map_or(Value::Null, Value::object),
            folder.expanded.into(),
            folder.created_at.into(),
            folder.updated_at.into(),
        ],
    )
    .map(drop)
}

/// The folders of an account, in the order they were made.
pub(crate) fn list(tx: &mut Tx<'_>, owner: &UserId) -> Result<Vec<Folder>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM chat_folders WHERE owner = ?1 ORDER BY created_at, id");
    tx.query(&sql, &[owner.into()], read)
}

/// Change a folder of an account; `None` if it or its new parent is not there, or the parent is below it.
pub(crate) fn change(
    tx: &mut Tx<'_>,
    owner: &UserId,
    id: &FolderId,
    change: FolderChange,
    now: UnixTime,
) -> Result<Option<Folder>, StoreError> {
    let Some(folder) = by_id(tx, owner, id)? else { return Ok(None) };
    if let Some(Some(parent)) = &change.parent
        && (by_id(tx, owner, parent)?.is_none() || is_below(tx, id, parent)?)
    {
        return Ok(None);
    }
    let folder = change.applied_to(folder, now);
    tx.execute(
        "UPDATE chat_folders SET parent = ?2, name = ?3, data = ?4, meta = ?5, expanded = ?6, updated_at = ?7 \
         WHERE id = ?1",
        &[
            id.into(),
            folder.parent.as_ref().into(),
            (&folder.name).into(),
            folder.data.as_ref().map_or(Value::Null, Value::object),
            folder.meta.as_ref().map_or(Value::Null, Value::object),
            folder.expanded.into(),
            now.into(),
        ],
    )?;
    Ok(Some(folder))
}

/// Delete a folder of an account and those below it, with or without the chats in them.
pub(crate) fn delete(
    tx: &mut Tx<'_>,
    owner: &UserId,
    id: &FolderId,
    with_chats: bool,
) -> Result<bool, StoreError> {
    if by_id(tx, owner, id)?.is_none() {
        return Ok(false);
    }
    if with_chats {
        tx.execute(
            &format!("{BELOW} DELETE FROM chats WHERE folder IN (SELECT id FROM below)"),
            &[id.into()],
        )?;
    }
    // Those below it and the chats' references follow by their foreign keys.
    tx.execute("DELETE FROM chat_folders WHERE id = ?1", &[id.into()])?;
    Ok(true)
}

fn by_id(tx: &mut Tx<'_>, owner: &UserId, id: &FolderId) -> Result<Option<Folder>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM chat_folders WHERE id = ?1 AND owner = ?2");
    tx.query_opt(&sql, &[id.into(), owner.into()], read)
}

fn is_below(tx: &mut Tx<'_>, id: &FolderId, other: &FolderId) -> Result<bool, StoreError> {
    let sql = format!("{BELOW} SELECT id FROM below WHERE id = ?2");
    let found = tx.query_opt(&sql, &[id.into(), other.into()], |_| Ok(()))?;
    Ok(found.is_some())
}

fn read(row: &Row<'_>) -> Result<Folder, StoreError> {
    Ok(Folder {
        id: row.id("id")?,
        owner: row.id("owner")?,
        parent: row.opt_id("parent")?,
        name: row.text("name")?,
        data: row.opt_object("data")?,
        meta: row.opt_object("meta")?,
        expanded: row.bool("expanded")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
