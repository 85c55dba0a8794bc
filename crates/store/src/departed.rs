//! Accounts and groups that are gone, or going.
//!
//! A deletion takes several transactions, and a request of the account that began before may end after
//! all of them: an upload that took an hour inserts its row at the end. So who departs is written down
//! first, and whatever would belong or be granted to them is asked about here, in its own transaction.

use breezeway_core::{Grantee, StoreError, UserId};

use crate::{
    db::Tx,
    grants::{self, Resource},
};

/// Have somebody depart, and take back what was granted to them on things of one kind.
pub(crate) fn add(tx: &mut Tx<'_>, who: &Grantee, resource: Resource) -> Result<(), StoreError> {
    note(tx, who)?;
    grants::take_back(tx, resource, who)
}

/// Have somebody depart, where nothing could have been granted to them.
pub(crate) fn note(tx: &mut Tx<'_>, who: &Grantee) -> Result<(), StoreError> {
    let (kind, id) = grants::grantee(who);
    tx.execute(
        "INSERT INTO departed (kind, id) VALUES (?1, ?2) ON CONFLICT (kind, id) DO NOTHING",
        &[kind.into(), id.into()],
    )
    .map(drop)
}

/// Refuse to let anything more belong to who has departed.
pub(crate) fn refuse(tx: &mut Tx<'_>, owner: &UserId) -> Result<(), StoreError> {
    let found =
        tx.query_opt("SELECT id FROM departed WHERE kind = 'user' AND id = ?1", &[owner.into()], |_| Ok(()))?;
    match found {
        Some(()) => Err(StoreError::Departed(owner.clone())),
        None => Ok(()),
    }
}
