//! What happens to overlays when an account or a group goes.

use std::sync::Arc;

use breezeway_core::{Grantee, GroupId, UserId};

use super::Registry;
use crate::{Overlay, Result};

/// What an overlay becomes.
enum Fate {
    Stays,
    PassesTo(UserId),
    Goes,
}

impl Registry {
    /// Part with an account that is being deleted: what was granted to it is not any more, and its custom
    /// models are deleted, or belong to `heir`. Whether the caller may do that is asked before.
    ///
    /// Overrides of an upstream's own model are settings of the server, whoever wrote them; without an
    /// heir they belong to `keeper`. Doing it again after a failure goes on where it stopped.
    ///
    /// # Errors
    /// If the store fails, or the heir has departed.
    pub async fn depart(&self, account: &UserId, heir: Option<&UserId>, keeper: &UserId) -> Result<()> {
        let owner = |overlay: &Overlay| match heir {
            None if overlay.base.is_none() => Some(keeper),
            heir => heir,
        };
        self.part_with(&Grantee::User(account.clone()), |overlay| match owner(overlay) {
            _ if overlay.owner != *account => Fate::Stays,
            Some(owner) => Fate::PassesTo(owner.clone()),
            None => Fate::Goes,
        })
        .await
    }

    /// Part with a group that is being deleted: what was granted to it is not any more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn depart_group(&self, group: &GroupId) -> Result<()> {
        self.part_with(&Grantee::Group(group.clone()), |_| Fate::Stays).await
    }

    async fn part_with(&self, who: &Grantee, fate: impl Fn(&Overlay) -> Fate) -> Result<()> {
        let _writing = self.shared.writing.lock().await;
        self.reload_if_stale().await?;
        self.shared.stale.store(true, std::sync::atomic::Ordering::SeqCst);
        self.store.depart(who).await?;
        let (mut kept, mut changed) = (Vec::new(), Vec::new());
        for overlay in self.state.load().overlays.iter() {
            let granted = Overlay { grants: overlay.grants.without(who), ..Overlay::clone(overlay) };
            match fate(&granted) {
                Fate::Stays if granted.grants == overlay.grants => kept.push(overlay.clone()),
                Fate::Stays => kept.push(Arc::new(granted)),
                Fate::PassesTo(owner) => {
                    let passed = Overlay { owner, ..granted };
                    changed.push(passed.clone());
                    kept.push(Arc::new(passed));
                }
                Fate::Goes => {
                    self.store.delete_overlay(&overlay.id).await?;
                }
            }
        }
        if !changed.is_empty() {
            self.store.save_overlays(&changed).await?;
        }
        self.shared.stale.store(false, std::sync::atomic::Ordering::SeqCst);
        self.publish(|overlays| *overlays = kept);
        Ok(())
    }
}
