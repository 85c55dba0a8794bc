//! Access lists of things that have one.

use std::collections::HashMap;

use breezeway_core::{AccessGrant, Grantee, Grants, Permission, StoreError};

use crate::db::{Row, Tx, unreadable};

/// Kinds of things with an access list.
#[derive(Clone, Copy)]
pub(crate) enum Resource {
    Collection,
    Model,
}

impl Resource {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::Model => "model",
        }
    }
}

/// The access list of one thing.
pub(crate) fn of(tx: &mut Tx<'_>, resource: Resource, id: &str) -> Result<Grants, StoreError> {
    tx.query(
        "SELECT grantee_type, grantee_id, permission FROM grants WHERE resource_type = ?1 AND resource_id = ?2",
        &[resource.as_str().into(), id.into()],
        read,
    )
    .map(Grants::new)
}

/// The access lists of all things of a kind that have lines.
pub(crate) fn all(tx: &mut Tx<'_>, resource: Resource) -> Result<HashMap<String, Grants>, StoreError> {
    let mut lines: HashMap<String, Vec<AccessGrant>> = HashMap::new();
    for (id, grant) in tx.query(
        "SELECT resource_id, grantee_type, grantee_id, permission FROM grants WHERE resource_type = ?1",
        &[resource.as_str().into()],
        |row| Ok((row.text("resource_id")?, read(row)?)),
    )? {
        lines.entry(id).or_default().push(grant);
    }
    Ok(lines.into_iter().map(|(id, lines)| (id, Grants::new(lines))).collect())
}

/// Give a thing exactly this access list.
pub(crate) fn replace(
    tx: &mut Tx<'_>,
    resource: Resource,
    id: &str,
    grants: &Grants,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM grants WHERE resource_type = ?1 AND resource_id = ?2",
        &[resource.as_str().into(), id.into()],
    )?;
    for grant in grants.iter() {
        let (grantee_type, grantee_id) = grantee(&grant.grantee);
        // A list can have been written down before one of those it names departed.
        tx.execute(
            "INSERT INTO grants (resource_type, resource_id, grantee_type, grantee_id, permission) \
             SELECT ?1, ?2, ?3, ?4, ?5 \
             WHERE NOT EXISTS (SELECT 1 FROM departed WHERE kind = ?3 AND id = ?4)",
            &[
                resource.as_str().into(),
                id.into(),
                grantee_type.into(),
                grantee_id.into(),
                grant.permission.as_str().into(),
            ],
        )?;
    }
    Ok(())
}

/// Delete every line for one grantee on things of a kind.
pub(crate) fn take_back(tx: &mut Tx<'_>, resource: Resource, who: &Grantee) -> Result<(), StoreError> {
    let (grantee_type, grantee_id) = grantee(who);
    tx.execute(
        "DELETE FROM grants WHERE grantee_type = ?1 AND grantee_id = ?2 AND resource_type = ?3",
        &[grantee_type.into(), grantee_id.into(), resource.as_str().into()],
    )
    .map(drop)
}

/// A grantee in two columns.
pub(crate) fn grantee(who: &Grantee) -> (&'static str, &str) {
    match who {
        Grantee::Everyone => ("everyone", ""),
        Grantee::User(user) => ("user", user.as_str()),
        Grantee::Group(group) => ("group", group.as_str()),
    }
}

/// Delete the access lists of all things of a kind.
pub(crate) fn clear(tx: &mut Tx<'_>, resource: Resource) -> Result<(), StoreError> {
    tx.execute("DELETE FROM grants WHERE resource_type = ?1", &[resource.as_str().into()]).map(drop)
}

fn read(row: &Row<'_>) -> Result<AccessGrant, StoreError> {
    let grantee = match row.text("grantee_type")?.as_str() {
        "everyone" => Grantee::Everyone,
        "user" => Grantee::User(row.id("grantee_id")?),
        "group" => Grantee::Group(row.id("grantee_id")?),
        other => return Err(unreadable("grantee type", other)),
    };
    let permission = match row.text("permission")?.as_str() {
        "read" => Permission::Read,
        "write" => Permission::Write,
        other => return Err(unreadable("permission", other)),
    };
    Ok(AccessGrant { grantee, permission })
}
