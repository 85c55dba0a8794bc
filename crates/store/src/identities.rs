//! Whom outside providers vouch for.

use breezeway_auth::ExternalIdentity;
use breezeway_core::StoreError;

use crate::db::Tx;

/// All identities, in the order they were linked.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<ExternalIdentity>, StoreError> {
    tx.query(
        "SELECT provider, subject, owner, linked_at FROM external_identities ORDER BY linked_at, provider, subject",
        &[],
        |row| {
            Ok(ExternalIdentity {
                provider: row.text("provider")?,
                subject: row.text("subject")?,
                owner: row.id("owner")?,
                linked_at: row.time("linked_at")?,
            })
        },
    )
}

/// Insert an identity, or give the one with its provider and subject to another account.
pub(crate) fn link(tx: &mut Tx<'_>, identity: &ExternalIdentity) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO external_identities (provider, subject, owner, linked_at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (provider, subject) DO UPDATE SET owner = excluded.owner, linked_at = excluded.linked_at",
        &[
            (&identity.provider).into(),
            (&identity.subject).into(),
            (&identity.owner).into(),
            identity.linked_at.into(),
        ],
    )
    .map(drop)
}
