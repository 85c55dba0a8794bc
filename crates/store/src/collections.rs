//! Collections and which files are in them.

use breezeway_core::{CollectionId, FileId, Grants, StoreError, UnixTime, UserId};
use breezeway_knowledge::{
    Collection, CollectionChange, CollectionQuery, Member, MemberQuery, NewCollection, Page,
};
use serde_json::Value;

use crate::{
    db::{Row, Tx},
    departed, files,
    grants::{self, Resource},
    text,
};

const COLUMNS: &str = "id, owner, name, description, meta, created_at, updated_at";

pub(crate) fn insert(
    tx: &mut Tx<'_>,
    owner: &UserId,
    new: NewCollection,
    now: UnixTime,
) -> Result<Collection, StoreError> {
    departed::refuse(tx, owner)?;
    let collection = Collection {
        id: CollectionId::mint(),
        owner: owner.clone(),
        name: new.name,
        description: new.description,
        meta: None,
        grants: new.grants,
        created_at: now,
        updated_at: now,
    };
    tx.execute(
        "INSERT INTO collections (id, owner, name, description, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        &[
            (&collection.id).into(),
            owner.into(),
            (&collection.name).into(),
            (&collection.description).into(),
            now.into(),
        ],
    )?;
    grants::replace(tx, Resource::Collection, collection.id.as_str(), &collection.grants)?;
    as_written(tx, collection)
}

/// A new collection with the lines of its access list that are there: those for who has departed
/// meanwhile are not.
fn as_written(tx: &mut Tx<'_>, collection: Collection) -> Result<Collection, StoreError> {
    let grants = grants::of(tx, Resource::Collection, collection.id.as_str())?;
    Ok(Collection { grants, ..collection })
}

/// Make a collection under this id unless there is one, and answer the one that is there.
pub(crate) fn ensure(
    tx: &mut Tx<'_>,
    id: &CollectionId,
    owner: &UserId,
    new: NewCollection,
    meta: &Value,
    now: UnixTime,
) -> Result<Collection, StoreError> {
    if let Some(known) = by_id(tx, id)? {
        return Ok(known);
    }
    departed::refuse(tx, owner)?;
    tx.execute(
        "INSERT INTO collections (id, owner, name, description, meta, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        &[
            id.into(),
            owner.into(),
            (&new.name).into(),
            (&new.description).into(),
            (&meta.to_string()).into(),
            now.into(),
        ],
    )?;
    grants::replace(tx, Resource::Collection, id.as_str(), &new.grants)?;
    let collection = Collection {
        id: id.clone(),
        owner: owner.clone(),
        name: new.name,
        description: new.description,
        meta: Some(meta.clone()),
        grants: new.grants,
        created_at: now,
        updated_at: now,
    };
    as_written(tx, collection)
}

/// Have the collections of one account belong to another. Those made by writing to a name have the
/// account in their id and are deleted.
pub(crate) fn hand_over(tx: &mut Tx<'_>, from: &UserId, to: &UserId) -> Result<(), StoreError> {
    let query = CollectionQuery { owner: Some(from.clone()), ..CollectionQuery::default() };
    for (collection, _) in list(tx, &query)? {
        if collection.is_named() {
            delete(tx, &collection.id)?;
        }
    }
    tx.execute("UPDATE collections SET owner = ?2 WHERE owner = ?1", &[from.into(), to.into()]).map(drop)
}

pub(crate) fn by_id(tx: &mut Tx<'_>, id: &CollectionId) -> Result<Option<Collection>, StoreError> {
    let grants = grants::of(tx, Resource::Collection, id.as_str())?;
    tx.query_opt(&format!("SELECT {COLUMNS} FROM collections WHERE id = ?1"), &[id.into()], |row| {
        read(row, grants)
    })
}

/// All collections that match, most recently changed first, with their number of files.
///
/// Text is compared here and not in the database, which knows the cases of ASCII only; all of the
/// list is wanted anyway.
pub(crate) fn list(tx: &mut Tx<'_>, query: &CollectionQuery) -> Result<Vec<(Collection, u64)>, StoreError> {
    let mut grants = grants::all(tx, Resource::Collection)?;
    let (condition, values) = match &query.owner {
        Some(owner) => ("owner = ?1", vec![owner.into()]),
        None => ("TRUE", Vec::new()),
    };
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT count(*) FROM collection_files WHERE collection_id = id) AS files \
         FROM collections WHERE {condition} ORDER BY updated_at DESC, id"
    );
    let mut found = tx.query(&sql, &values, |row| {
        let grants = grants.remove(&row.text("id")?).unwrap_or_default();
        Ok((read(row, grants)?, row.number("files")?))
    })?;
    if let Some(part) = query.text.as_deref().map(text::fold) {
        found.retain(|(it, _)| {
            text::fold(&it.name).contains(&part) || text::fold(&it.description).contains(&part)
        });
    }
    Ok(found)
}

pub(crate) fn update(
    tx: &mut Tx<'_>,
    id: &CollectionId,
    change: &CollectionChange,
    now: UnixTime,
) -> Result<Option<Collection>, StoreError> {
    let changed = tx.execute(
        "UPDATE collections SET name = coalesce(?2, name), description = coalesce(?3, description), \
         updated_at = ?4 WHERE id = ?1",
        &[id.into(), change.name.as_ref().into(), change.description.as_ref().into(), now.into()],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    if let Some(grants) = &change.grants {
        grants::replace(tx, Resource::Collection, id.as_str(), grants)?;
    }
    by_id(tx, id)
}

/// Delete a collection with its memberships (by the foreign key) and grants.
pub(crate) fn delete(tx: &mut Tx<'_>, id: &CollectionId) -> Result<bool, StoreError> {
    grants::replace(tx, Resource::Collection, id.as_str(), &Grants::default())?;
    let deleted = tx.execute("DELETE FROM collections WHERE id = ?1", &[id.into()])?;
    Ok(deleted > 0)
}

/// Add files; `false`, and no change, if the collection or one of them is unknown.
pub(crate) fn add(
    tx: &mut Tx<'_>,
    id: &CollectionId,
    files: &[FileId],
    now: UnixTime,
) -> Result<bool, StoreError> {
    let known = |tx: &mut Tx<'_>, sql, id: &str| tx.query_opt(sql, &[id.into()], |_| Ok(()));
    if known(tx, "SELECT id FROM collections WHERE id = ?1", id.as_str())?.is_none() {
        return Ok(false);
    }
    for file in files {
        if known(tx, "SELECT id FROM files WHERE id = ?1", file.as_str())?.is_none() {
            return Ok(false);
        }
    }
    let mut added = 0;
    for file in files {
        added += tx.execute(
            "INSERT INTO collection_files (collection_id, file_id, added_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT (collection_id, file_id) DO NOTHING",
            &[id.into(), file.into(), now.into()],
        )?;
    }
    if added > 0 {
        touch(tx, id, now)?;
    }
    Ok(true)
}

/// Take files out; those not in it are passed over.
pub(crate) fn remove(
    tx: &mut Tx<'_>,
    id: &CollectionId,
    files: &[FileId],
    now: UnixTime,
) -> Result<(), StoreError> {
    let mut removed = 0;
    for file in files {
        removed += tx.execute(
            "DELETE FROM collection_files WHERE collection_id = ?1 AND file_id = ?2",
            &[id.into(), file.into()],
        )?;
    }
    if removed > 0 { touch(tx, id, now) } else { Ok(()) }
}

fn touch(tx: &mut Tx<'_>, id: &CollectionId, now: UnixTime) -> Result<(), StoreError> {
    tx.execute("UPDATE collections SET updated_at = ?2 WHERE id = ?1", &[id.into(), now.into()]).map(drop)
}

pub(crate) fn members(
    tx: &mut Tx<'_>,
    id: &CollectionId,
    query: &MemberQuery,
) -> Result<Page<Member>, StoreError> {
    let mut condition = "collection_id = ?1";
    let mut values = vec![id.into()];
    let pattern = query.text.as_deref().map(text::contains);
    match &pattern {
        Some(Some(pattern)) => {
            condition = r"collection_id = ?1 AND name_key LIKE ?2 ESCAPE '\'";
            values.push(pattern.into());
        }
        Some(None) => return Ok(Page { items: Vec::new(), total: 0 }),
        None => {}
    }
    let from = format!("FROM collection_files JOIN files ON id = file_id WHERE {condition}");
    let total =
        tx.query_one(&format!("SELECT count(*) AS total {from}"), &values, |row| row.number("total"))?;
    let sql = format!(
        "SELECT added_at, {} {from} ORDER BY {} LIMIT ?{} OFFSET ?{}",
        files::COLUMNS,
        files::order_by(query.order),
        values.len() + 1,
        values.len() + 2
    );
    values.extend([query.slice.limit.into(), query.slice.offset.into()]);
    let items = tx.query(&sql, &values, |row| {
        Ok(Member { file: files::read(row)?, added_at: row.time("added_at")? })
    })?;
    Ok(Page { items, total })
}

pub(crate) fn member_ids(tx: &mut Tx<'_>, id: &CollectionId) -> Result<Vec<FileId>, StoreError> {
    tx.query(
        "SELECT file_id FROM collection_files WHERE collection_id = ?1 ORDER BY file_id",
        &[id.into()],
        |row| row.id("file_id"),
    )
}

/// The collections that hold a file, most recently changed first.
pub(crate) fn of_file(tx: &mut Tx<'_>, file: &FileId) -> Result<Vec<Collection>, StoreError> {
    let mut collections = tx.query(
        &format!(
            "SELECT {COLUMNS} FROM collections JOIN collection_files ON collection_id = id \
             WHERE file_id = ?1 ORDER BY updated_at DESC, id"
        ),
        &[file.into()],
        |row| read(row, Grants::default()),
    )?;
    for collection in &mut collections {
        collection.grants = grants::of(tx, Resource::Collection, collection.id.as_str())?;
    }
    Ok(collections)
}

fn read(row: &Row<'_>, grants: Grants) -> Result<Collection, StoreError> {
    Ok(Collection {
        id: row.id("id")?,
        owner: row.id("owner")?,
        name: row.text("name")?,
        description: row.text("description")?,
        meta: row.opt_json("meta")?,
        grants,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
