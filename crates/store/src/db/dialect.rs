//! What differs between databases and cannot be written in their common language.

use breezeway_core::StoreError;
use rusqlite::{Connection, ErrorCode};

/// Uniqueness rules by the driver's spelling, and what callers know them as.
const UNIQUE: [(&str, &str); 8] = [
    ("accounts.email", "email"),
    ("accounts.id", "account id"),
    ("api_keys.id", "API key id"),
    ("api_keys.hash", "API key"),
    ("models.id", "model id"),
    ("files.id", "file"),
    ("collections.id", "collection"),
    ("chats.id", "chat"),
];

/// A driver's error while doing `action`.
pub(crate) fn store_error(action: &str, error: rusqlite::Error) -> StoreError {
    if let rusqlite::Error::SqliteFailure(failure, message) = &error {
        match failure.code {
            // Another process has held the database for longer than the busy timeout.
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => return StoreError::Overloaded,
            ErrorCode::ConstraintViolation => {
                let columns =
                    message.as_deref().and_then(|text| text.strip_prefix("UNIQUE constraint failed: "));
                let rule = UNIQUE.iter().find(|(rule, _)| columns == Some(*rule));
                if let Some((_, name)) = rule {
                    return StoreError::Taken(name);
                }
            }
            _ => {}
        }
    }
    StoreError::failed(action, error)
}

/// Marks a file as ours: `Brzw`.
const APPLICATION_ID: i64 = 0x4272_7a77;

/// The schema's version, or `None` for a database with nothing in it.
///
/// # Errors
/// If the tables in it are not ours: opening some other program's database must not add to it.
pub(super) fn version(connection: &Connection) -> Result<Option<u32>, StoreError> {
    let read = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| store_error("read the schema's version", error))
    };
    if read("PRAGMA application_id")? == APPLICATION_ID {
        let version = read("PRAGMA user_version")?;
        return u32::try_from(version)
            .map(Some)
            .map_err(|_| StoreError::Unreadable { what: "schema version", value: version.to_string() });
    }
    match read("SELECT count(*) FROM sqlite_schema")? {
        0 => Ok(None),
        tables => Err(StoreError::Unreadable {
            what: "schema",
            value: format!("{tables} tables and indexes of another program"),
        }),
    }
}

/// Note the schema's version; part of the transaction that is open.
pub(super) fn set_version(connection: &Connection, version: u32) -> rusqlite::Result<()> {
    connection
        .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};"))
}

/// What the database finds when it looks at itself: queries as in [`crate::check`], one column `id`.
pub(crate) const INTEGRITY: &[(&str, &str)] = &[
    (
        "the database file is damaged: {}",
        "SELECT quick_check AS id FROM pragma_quick_check WHERE quick_check <> 'ok'",
    ),
    (
        "table `{}` has a reference to nothing",
        "SELECT DISTINCT \"table\" AS id FROM pragma_foreign_key_check",
    ),
];
