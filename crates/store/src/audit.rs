//! The audit log. Triggers keep its rows as they are; here they are added and read, and old ones deleted.

use breezeway_auth::{Actor, AuditCursor, AuditEntry, AuditEvent, AuditQuery, Target};
use breezeway_core::{StoreError, UnixTime};

use crate::db::{Row, Tx, Value, unreadable};

const COLUMNS: &str = "at, action, actor, actor_email, target_kind, target, address, request_id, detail";

pub(crate) fn append(tx: &mut Tx<'_>, events: &[AuditEvent]) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    for event in events {
        let address = event.address.map(|address| address.to_string());
        let values = [
            event.at.into(),
            event.action.as_str().into(),
            event.actor.as_ref().map(|actor| &actor.id).into(),
            event.actor.as_ref().map(|actor| &actor.email).into(),
            event.target.as_ref().map(|target| &target.kind).into(),
            event.target.as_ref().map(|target| &target.id).into(),
            address.as_ref().into(),
            event.request_id.as_ref().into(),
            Value::object(&event.detail),
        ];
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

pub(crate) fn list(tx: &mut Tx<'_>, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
    let (order, bound) = match query.from {
        AuditCursor::Before(before) => ("id DESC", ("id <", before.map(Value::from))),
        AuditCursor::After(after) => ("id", ("id >", Some(after.into()))),
    };
    let parts = [
        ("at >=", query.since.map(Value::from)),
        ("at <", query.until.map(Value::from)),
        ("actor =", query.actor.as_ref().map(Value::from)),
        ("action =", query.action.map(|action| action.as_str().into())),
        ("target =", query.target.as_ref().map(Value::from)),
        bound,
    ];
    let mut conditions = String::from("TRUE");
    let mut values = Vec::new();
    for (condition, value) in parts {
        if let Some(value) = value {
            values.push(value);
            conditions += &format!(" AND {condition} ?{}", values.len());
        }
    }
    values.push(query.limit.into());
    let sql = format!(
        "SELECT id, {COLUMNS} FROM audit WHERE {conditions} ORDER BY {order} LIMIT ?{}",
        values.len()
    );
    tx.query(&sql, &values, read)
}

/// Delete the oldest entries before a time. The triggers let go what lies before the horizon, which
/// only ever moves on.
pub(crate) fn forget(tx: &mut Tx<'_>, before: UnixTime, most: u64) -> Result<u64, StoreError> {
    tx.execute("UPDATE audit_horizon SET before = max(before, ?1)", &[before.into()])?;
    let deleted = tx.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit \
         WHERE at < ?1 AND id < (SELECT max(id) FROM audit) ORDER BY id LIMIT ?2)",
        &[before.into(), most.into()],
    )?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

fn read(row: &Row<'_>) -> Result<AuditEntry, StoreError> {
    let action = row.text("action")?;
    let address = row.opt_text("address")?;
    let email = row.opt_text("actor_email")?.unwrap_or_default();
    let target = row.opt_text("target")?;
    let kind = row.opt_text("target_kind")?;
    let address = address.map(|text| text.parse().map_err(|_| unreadable("address", text))).transpose()?;
    Ok(AuditEntry {
        id: row.number("id")?,
        event: AuditEvent {
            at: row.time("at")?,
            action: action.parse().map_err(|_| unreadable("action", action))?,
            actor: row.opt_id("actor")?.map(|id| Actor { id, email }),
            target: target.zip(kind).map(|(id, kind)| Target { kind, id }),
            address,
            request_id: row.opt_text("request_id")?,
            detail: row.object("detail")?,
        },
    })
}
