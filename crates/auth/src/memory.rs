//! Accounts in memory, for tests and for embedders.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use breezeway_core::{ApiKeyId, GroupId, StoreError, UnixTime, UserId};

use crate::{Account, AccountStore, ApiKeyRecord, ExternalIdentity, Group, Removal};

/// The port in memory. Clones share one state, so a second service over a clone sees what a restart
/// would see.
#[derive(Clone, Debug, Default)]
pub struct MemoryAccounts(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    accounts: HashMap<UserId, Account>,
    emails: HashMap<String, UserId>,
    keys: Vec<ApiKeyRecord>,
    groups: HashMap<GroupId, Group>,
    identities: Vec<ExternalIdentity>,
    removals: HashMap<UserId, Removal>,
}

impl Rows {
    /// Whether an address belongs to another account than `account`.
    fn email_taken(&self, account: &Account) -> bool {
        self.emails.get(&account.email).is_some_and(|id| *id != account.id)
    }

    /// Insert an account, or replace the one with its id.
    fn put(&mut self, account: &Account) {
        if let Some(before) = self.accounts.insert(account.id.clone(), account.clone()) {
            self.emails.remove(&before.email);
        }
        self.emails.insert(account.email.clone(), account.id.clone());
    }
}

impl MemoryAccounts {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AccountStore for MemoryAccounts {
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        Ok(self.rows().accounts.values().cloned().collect())
    }

    async fn insert_account(&self, account: &Account, only_if_first: bool) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        if only_if_first && !rows.accounts.is_empty() {
            return Ok(false);
        }
        if rows.email_taken(account) {
            return Err(StoreError::Taken("email"));
        }
        rows.put(account);
        Ok(true)
    }

    async fn insert_external_account(
        &self,
        account: &Account,
        identity: &ExternalIdentity,
        only_if_first: bool,
    ) -> Result<bool, StoreError> {
        let inserted = self.insert_account(account, only_if_first).await?;
        if inserted {
            self.link_identity(identity).await?;
        }
        Ok(inserted)
    }

    async fn link_identity(&self, identity: &ExternalIdentity) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.identities
            .retain(|known| (&known.provider, &known.subject) != (&identity.provider, &identity.subject));
        rows.identities.push(identity.clone());
        Ok(())
    }

    async fn identities(&self) -> Result<Vec<ExternalIdentity>, StoreError> {
        Ok(self.rows().identities.clone())
    }

    async fn save_account(&self, account: &Account) -> Result<(), StoreError> {
        let mut rows = self.rows();
        if rows.email_taken(account) {
            return Err(StoreError::Taken("email"));
        }
        if rows.accounts.contains_key(&account.id) {
            rows.put(account);
        }
        Ok(())
    }

    async fn begin_removal(&self, account: &Account, removal: &Removal) -> Result<(), StoreError> {
        self.save_account(account).await?;
        self.rows().removals.insert(account.id.clone(), removal.clone());
        Ok(())
    }

    async fn removals(&self) -> Result<Vec<Removal>, StoreError> {
        Ok(self.rows().removals.values().cloned().collect())
    }

    async fn delete_account(&self, id: &UserId) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.removals.remove(id);
        if let Some(account) = rows.accounts.remove(id) {
            rows.emails.remove(&account.email);
        }
        rows.keys.retain(|key| key.owner != *id);
        rows.identities.retain(|identity| identity.owner != *id);
        for group in rows.groups.values_mut() {
            group.members.remove(id);
        }
        Ok(())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, StoreError> {
        Ok(self.rows().keys.clone())
    }

    async fn api_keys_of(
        &self,
        owner: Option<&UserId>,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let [offset, limit] = [offset, limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let rows = self.rows();
        let keys = rows.keys.iter().filter(|key| owner.is_none_or(|owner| key.owner == *owner));
        let mut keys: Vec<_> = keys.cloned().collect();
        keys.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(keys.into_iter().skip(offset).take(limit).collect())
    }

    async fn replace_api_key(&self, owner: &UserId, key: Option<&ApiKeyRecord>) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.keys.retain(|known| known.owner != *owner || known.name.is_some());
        rows.keys.extend(key.cloned());
        Ok(())
    }

    async fn insert_api_key(&self, key: &ApiKeyRecord) -> Result<(), StoreError> {
        self.rows().keys.push(key.clone());
        Ok(())
    }

    async fn update_api_key(&self, key: &ApiKeyRecord) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let found = rows.keys.iter_mut().find(|known| known.id == key.id);
        let found = found.map(|known| {
            known.name.clone_from(&key.name);
            known.rules = key.rules.clone();
            known.expires_at = key.expires_at;
        });
        Ok(found.is_some())
    }

    async fn delete_api_key(&self, id: &ApiKeyId) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let before = rows.keys.len();
        rows.keys.retain(|key| key.id != *id);
        Ok(rows.keys.len() < before)
    }

    async fn reseal_api_keys(&self, keys: &[ApiKeyRecord]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for key in keys {
            if let Some(known) = rows.keys.iter_mut().find(|known| known.id == key.id) {
                known.sealed.clone_from(&key.sealed);
                known.ending.clone_from(&key.ending);
            }
        }
        Ok(())
    }

    async fn touch(
        &self,
        accounts: &[(UserId, UnixTime)],
        keys: &[(ApiKeyId, UnixTime)],
    ) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for (id, at) in accounts {
            if let Some(account) = rows.accounts.get_mut(id) {
                account.last_active_at = *at;
            }
        }
        let keys: HashMap<_, _> = keys.iter().map(|(id, at)| (id, *at)).collect();
        for key in &mut rows.keys {
            if let Some(at) = keys.get(&key.id) {
                key.last_used_at = Some(*at);
            }
        }
        Ok(())
    }

    async fn groups(&self) -> Result<Vec<Group>, StoreError> {
        Ok(self.rows().groups.values().cloned().collect())
    }

    async fn save_group(&self, group: &Group) -> Result<(), StoreError> {
        self.rows().groups.insert(group.id.clone(), group.clone());
        Ok(())
    }

    async fn delete_group(&self, id: &GroupId) -> Result<(), StoreError> {
        self.rows().groups.remove(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accounts_in_memory_keep_the_contract() {
        crate::conformance::account_store(async || MemoryAccounts::default()).await;
    }
}
