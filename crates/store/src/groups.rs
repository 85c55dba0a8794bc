//! Groups and their members.

use std::collections::{BTreeSet, HashMap};

use breezeway_auth::Group;
use breezeway_core::{GroupId, StoreError, UserId};

use crate::db::{Tx, Value};

/// All groups with their members, in the order they were made.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<Group>, StoreError> {
    let mut members: HashMap<GroupId, BTreeSet<UserId>> = HashMap::new();
    for (group, user) in tx.query("SELECT group_id, user_id FROM group_members", &[], |row| {
        Ok((row.id("group_id")?, row.id("user_id")?))
    })? {
        members.entry(group).or_default().insert(user);
    }
    tx.query(
        "SELECT id, owner, name, description, permissions, data, meta, created_at, updated_at FROM groups \
         ORDER BY created_at, id",
        &[],
        |row| {
            let id: GroupId = row.id("id")?;
            let members = members.remove(&id).unwrap_or_default();
            Ok(Group {
                id,
                owner: row.id("owner")?,
                name: row.text("name")?,
                description: row.text("description")?,
                permissions: row.opt_json("permissions")?,
                data: row.opt_object("data")?,
                meta: row.opt_object("meta")?,
                members,
                created_at: row.time("created_at")?,
                updated_at: row.time("updated_at")?,
            })
        },
    )
}

/// Insert or replace a group and its members.
pub(crate) fn save(tx: &mut Tx<'_>, group: &Group) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO groups (id, owner, name, description, permissions, data, meta, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, \
         name = excluded.name, description = excluded.description, permissions = excluded.permissions, \
         data = excluded.data, meta = excluded.meta, created_at = excluded.created_at, \
         updated_at = excluded.updated_at",
        &[
            (&group.id).into(),
            (&group.owner).into(),
            (&group.name).into(),
            (&group.description).into(),
            group.permissions.as_ref().map(Value::json).into(),
            group.data.as_ref().map(Value::object).into(),
            group.meta.as_ref().map(Value::object).into(),
            group.created_at.into(),
            group.updated_at.into(),
        ],
    )?;
    tx.execute("DELETE FROM group_members WHERE group_id = ?1", &[(&group.id).into()])?;
    for member in &group.members {
        tx.execute(
            "INSERT INTO group_members (group_id, user_id) VALUES (?1, ?2)",
            &[(&group.id).into(), member.into()],
        )?;
    }
    Ok(())
}

/// Delete a group with its memberships (by the foreign key).
pub(crate) fn delete(tx: &mut Tx<'_>, id: &GroupId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM groups WHERE id = ?1", &[id.into()]).map(drop)
}
