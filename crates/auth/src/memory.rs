//! Accounts in memory, for tests and for embedders.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use breezeway_core::{ApiKeyId, GroupId, StoreError, UnixTime, UserId};

use crate::{Account, AccountStore, ApiKeyRecord, Group};

/// The port in memory. Clones share one state, so a second service over a clone sees what a restart
/// would see.
#[derive(Clone, Debug, Default)]
pub struct MemoryAccounts(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    accounts: HashMap<UserId, Account>,
    keys: HashMap<UserId, ApiKeyRecord>,
    groups: HashMap<GroupId, Group>,
}

impl Rows {
    /// Whether an address belongs to another account than `account`.
    fn email_taken(&self, account: &Account) -> bool {
        self.accounts.values().any(|other| other.email == account.email && other.id != account.id)
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
        rows.accounts.insert(account.id.clone(), account.clone());
        Ok(true)
    }

    async fn save_account(&self, account: &Account) -> Result<(), StoreError> {
        let mut rows = self.rows();
        if rows.email_taken(account) {
            return Err(StoreError::Taken("email"));
        }
        if let Some(row) = rows.accounts.get_mut(&account.id) {
            *row = account.clone();
        }
        Ok(())
    }

    async fn delete_account(&self, id: &UserId) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.accounts.remove(id);
        rows.keys.remove(id);
        for group in rows.groups.values_mut() {
            group.members.remove(id);
        }
        Ok(())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, StoreError> {
        Ok(self.rows().keys.values().cloned().collect())
    }

    async fn replace_api_key(&self, owner: &UserId, key: Option<&ApiKeyRecord>) -> Result<(), StoreError> {
        let mut rows = self.rows();
        match key {
            Some(key) => rows.keys.insert(owner.clone(), key.clone()),
            None => rows.keys.remove(owner),
        };
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
        for key in rows.keys.values_mut() {
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
