//! Deletions of accounts that have begun and not ended.

use breezeway_auth::Removal;
use breezeway_core::StoreError;

use crate::db::Tx;

/// Write a removal down, in place of an earlier one.
pub(crate) fn put(tx: &mut Tx<'_>, removal: &Removal) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO removals (account, heir, by) VALUES (?1, ?2, ?3) \
         ON CONFLICT (account) DO UPDATE SET heir = excluded.heir, by = excluded.by",
        &[(&removal.account).into(), removal.heir.as_ref().into(), (&removal.by).into()],
    )
    .map(drop)
}

/// All removals; one goes with its account.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<Removal>, StoreError> {
    tx.query("SELECT account, heir, by FROM removals ORDER BY account", &[], |row| {
        Ok(Removal { account: row.id("account")?, heir: row.opt_id("heir")?, by: row.id("by")? })
    })
}
