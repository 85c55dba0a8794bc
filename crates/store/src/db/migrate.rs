//! Bringing a database to the schema this program knows.

use breezeway_core::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use super::dialect;

/// A step from one version of the schema to the next.
pub(super) struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// All steps in order; the version of a database is how many of them it has seen. A released step is
/// never edited: databases that have taken it would differ from those that have not.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_init", sql: include_str!("../../migrations/0001_init.sql") },
    Migration { name: "0002_accounts", sql: include_str!("../../migrations/0002_accounts.sql") },
    Migration { name: "0003_gateway", sql: include_str!("../../migrations/0003_gateway.sql") },
    Migration { name: "0004_library", sql: include_str!("../../migrations/0004_library.sql") },
];

/// Refuse what this program cannot read. Changes nothing.
pub(super) fn verify(connection: &Connection, steps: &[Migration]) -> Result<(), StoreError> {
    let known = number(steps.len());
    match dialect::version(connection)? {
        Some(version) if version > known => Err(StoreError::Unreadable {
            what: "schema version",
            value: format!("{version}, made by a newer program; this one knows versions up to {known}"),
        }),
        _ => Ok(()),
    }
}

/// Take the steps that are missing, each in a transaction of its own.
///
/// To be called before foreign keys are switched on: a step may have to rebuild a table.
pub(super) fn run(connection: &mut Connection, steps: &[Migration]) -> Result<(), StoreError> {
    verify(connection, steps)?;
    for (index, step) in steps.iter().enumerate() {
        let failed = |error| dialect::store_error(&format!("apply migration {}", step.name), error);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Asked inside the transaction: a second process may have been faster.
        if dialect::version(&transaction)?.is_some_and(|version| version > number(index)) {
            continue;
        }
        transaction.execute_batch(step.sql).map_err(failed)?;
        if let Some(table) = broken_reference(&transaction).map_err(failed)? {
            return Err(StoreError::Unreadable { what: "reference after a migration", value: table });
        }
        dialect::set_version(&transaction, number(index + 1)).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        tracing::info!(migration.name = step.name, "Applied migration `{}`", step.name);
    }
    Ok(())
}

fn broken_reference(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| row.get("table")).transpose()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("migrations are written by hand and can be counted")
}

#[cfg(test)]
impl Migration {
    pub(super) const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sql }
    }
}
