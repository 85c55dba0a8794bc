//! Deleting accounts. What is theirs is elsewhere, so this is the first step and the last of several.

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
};

use breezeway_core::{Role, UserId};

use super::{Auth, accounts::new_stamp};
use crate::{Account, Error, Removal, Result};

impl Auth {
    /// Begin to delete an account: it may do nothing more and its sessions end, so that what is its can
    /// be deleted or handed over without more of it coming. [`Auth::delete_account`] is the end. In
    /// between the account waits like one that was never let in.
    ///
    /// Beginning again is no error. The heir of the first time stays, unless another is named.
    ///
    /// `None` if there is no such account.
    ///
    /// # Errors
    /// [`Error::LastAdmin`]; [`Error::NoSuchHeir`] if the heir is no other account that stays, be it by
    /// now; the store's.
    pub async fn begin_removal(
        &self,
        id: &UserId,
        heir: Option<&UserId>,
        by: &UserId,
    ) -> Result<Option<Removal>> {
        let (id, heir, by) = (id.clone(), heir.cloned(), by.clone());
        self.write(async move |auth| {
            let Some(before) = auth.account(&id) else { return Ok(None) };
            auth.keep_an_admin(&before, false)?;
            let heir = heir.or_else(|| auth.removals_now().get(&id)?.heir.clone());
            if let Some(heir) = &heir {
                auth.may_inherit(heir, &id)?;
            }
            let removal = Removal { account: id.clone(), heir, by };
            let stopped = Account {
                role: Role::Pending,
                session_stamp: new_stamp(),
                updated_at: auth.0.clock.now(),
                ..Account::clone(&before)
            };
            auth.0.store.begin_removal(&stopped, &removal).await?;
            auth.removals_now().insert(id.clone(), removal.clone());
            auth.0.directory.put_account(stopped);
            auth.0.revoked.forget(&id);
            Ok(Some(removal))
        })
        .await
    }

    /// Who keeps what belongs to the server and not to an account that goes: who removes it, or the
    /// oldest admin if they remove themselves or are gone. `None` if there is no admin.
    pub fn keeper(&self, removal: &Removal) -> Option<UserId> {
        let mut admins = self.accounts();
        admins.retain(|account| account.role == Role::Admin && account.id != removal.account);
        let oldest = || admins.iter().min_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let remover = admins.iter().find(|account| account.id == removal.by);
        remover.or_else(oldest).map(|account| account.id.clone())
    }

    /// Removals that have begun and not ended.
    pub fn removals(&self) -> Vec<Removal> {
        self.removals_now().values().cloned().collect()
    }

    /// The same, once whatever change is under way has been made: one that begins at this moment is among
    /// them.
    ///
    /// # Errors
    /// If more changes wait than can.
    pub async fn settled_removals(&self) -> Result<Vec<Removal>> {
        self.write(async |auth| Ok(auth.removals())).await
    }

    /// Delete an account; deleting the last admin is refused. Answers whether it existed.
    ///
    /// # Errors
    /// [`Error::LastAdmin`]; the store's.
    pub async fn delete_account(&self, id: &UserId) -> Result<bool> {
        let id = id.clone();
        self.write(async move |auth| {
            let existing = auth.account(&id);
            if let Some(account) = &existing {
                auth.keep_an_admin(account, false)?;
            }
            auth.0.store.delete_account(&id).await?;
            auth.removals_now().remove(&id);
            auth.0.directory.remove_account(&id);
            auth.0.revoked.forget(&id);
            auth.0.identities.forget(&id);
            Ok(existing.is_some())
        })
        .await
    }

    /// Refuse to let an account do anything again that is being deleted.
    pub(super) fn refuse_leaving(&self, id: &UserId) -> Result<()> {
        match self.removals_now().contains_key(id) {
            true => Err(Error::Leaving(id.clone())),
            false => Ok(()),
        }
    }

    fn may_inherit(&self, heir: &UserId, from: &UserId) -> Result<()> {
        let stays = self.account(heir).is_some() && !self.removals_now().contains_key(heir);
        if stays && heir != from { Ok(()) } else { Err(Error::NoSuchHeir(heir.clone())) }
    }

    fn removals_now(&self) -> MutexGuard<'_, HashMap<UserId, Removal>> {
        self.0.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
