//! Accounts.

use breezeway_auth::{Account, PasswordHash};
use breezeway_core::{StoreError, UnixTime, UserId};

use crate::db::{Row, Tx, Value, unreadable};

const COLUMNS: &str = "id, email, name, role, profile_image_url, profile, password_hash, session_stamp, \
                       last_active_at, created_at, updated_at";

/// All accounts, in the order they were made.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<Account>, StoreError> {
    tx.query(&format!("SELECT {COLUMNS} FROM accounts ORDER BY created_at, id"), &[], read)
}

pub(crate) fn any(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    tx.query_one("SELECT EXISTS (SELECT 1 FROM accounts) AS found", &[], |row| row.bool("found"))
}

pub(crate) fn insert(tx: &mut Tx<'_>, account: &Account) -> Result<(), StoreError> {
    let sql =
        format!("INSERT INTO accounts ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
    tx.execute(&sql, &values(account)).map(drop)
}

/// Write all fields; an account that is not there stays away.
pub(crate) fn save(tx: &mut Tx<'_>, account: &Account) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE accounts SET email = ?2, name = ?3, role = ?4, profile_image_url = ?5, profile = ?6, \
         password_hash = ?7, session_stamp = ?8, last_active_at = ?9, created_at = ?10, updated_at = ?11 \
         WHERE id = ?1",
        &values(account),
    )
    .map(drop)
}

/// Delete an account with its keys (by the foreign key) and its memberships.
pub(crate) fn delete(tx: &mut Tx<'_>, id: &UserId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM group_members WHERE user_id = ?1", &[id.into()])?;
    tx.execute("DELETE FROM accounts WHERE id = ?1", &[id.into()]).map(drop)
}

/// Note a use. Batches can arrive out of order; the latest use counts.
pub(crate) fn touch(tx: &mut Tx<'_>, id: &UserId, at: UnixTime) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE accounts SET last_active_at = ?2 WHERE id = ?1 AND last_active_at < ?2",
        &[id.into(), at.into()],
    )
    .map(drop)
}

fn values(account: &Account) -> [Value<'_>; 11] {
    [
        (&account.id).into(),
        (&account.email).into(),
        (&account.name).into(),
        account.role.as_str().into(),
        (&account.profile_image_url).into(),
        Value::object(&account.profile),
        (&account.password.0).into(),
        (&account.session_stamp).into(),
        account.last_active_at.into(),
        account.created_at.into(),
        account.updated_at.into(),
    ]
}

fn read(row: &Row<'_>) -> Result<Account, StoreError> {
    let role = row.text("role")?;
    Ok(Account {
        id: row.id("id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        role: role.parse().map_err(|_| unreadable("role", role))?,
        profile_image_url: row.text("profile_image_url")?,
        profile: row.object("profile")?,
        password: PasswordHash(row.text("password_hash")?),
        session_stamp: row.text("session_stamp")?,
        last_active_at: row.time("last_active_at")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
