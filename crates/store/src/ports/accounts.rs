use async_trait::async_trait;
use breezeway_auth::{Account, AccountStore, ApiKeyRecord, ExternalIdentity, Group, Removal};
use breezeway_core::{ApiKeyId, GroupId, StoreError, UnixTime, UserId};

use crate::{Store, accounts, api_keys, groups, identities, removals};

#[async_trait]
impl AccountStore for Store {
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read("read accounts", accounts::all).await
    }

    async fn insert_account(&self, account: &Account, only_if_first: bool) -> Result<bool, StoreError> {
        let account = account.clone();
        self.write("insert an account", move |tx| {
            if only_if_first && accounts::any(tx)? {
                return Ok(false);
            }
            accounts::insert(tx, &account)?;
            Ok(true)
        })
        .await
    }

    async fn insert_external_account(
        &self,
        account: &Account,
        identity: &ExternalIdentity,
        only_if_first: bool,
    ) -> Result<bool, StoreError> {
        let (account, identity) = (account.clone(), identity.clone());
        self.write("insert an account of a provider", move |tx| {
            if only_if_first && accounts::any(tx)? {
                return Ok(false);
            }
            accounts::insert(tx, &account)?;
            identities::link(tx, &identity)?;
            Ok(true)
        })
        .await
    }

    async fn link_identity(&self, identity: &ExternalIdentity) -> Result<(), StoreError> {
        let identity = identity.clone();
        self.write("link an identity", move |tx| identities::link(tx, &identity)).await
    }

    async fn identities(&self) -> Result<Vec<ExternalIdentity>, StoreError> {
        self.read("read identities", identities::all).await
    }

    async fn save_account(&self, account: &Account) -> Result<(), StoreError> {
        let account = account.clone();
        self.write("save an account", move |tx| accounts::save(tx, &account)).await
    }

    async fn begin_removal(&self, account: &Account, removal: &Removal) -> Result<(), StoreError> {
        let (account, removal) = (account.clone(), removal.clone());
        self.write("begin to remove an account", move |tx| {
            accounts::save(tx, &account)?;
            removals::put(tx, &removal)
        })
        .await
    }

    async fn removals(&self) -> Result<Vec<Removal>, StoreError> {
        self.read("read removals", removals::all).await
    }

    async fn delete_account(&self, id: &UserId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write("delete an account", move |tx| accounts::delete(tx, &id)).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, StoreError> {
        self.read("read API keys", api_keys::all).await
    }

    async fn api_keys_of(
        &self,
        owner: Option<&UserId>,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let owner = owner.cloned();
        self.read("list API keys", move |tx| api_keys::slice(tx, owner.as_ref(), offset, limit)).await
    }

    async fn replace_api_key(&self, owner: &UserId, key: Option<&ApiKeyRecord>) -> Result<(), StoreError> {
        let (owner, key) = (owner.clone(), key.cloned());
        self.write("replace an API key", move |tx| api_keys::replace(tx, &owner, key.as_ref())).await
    }

    async fn insert_api_key(&self, key: &ApiKeyRecord) -> Result<(), StoreError> {
        let key = key.clone();
        self.write("insert an API key", move |tx| api_keys::insert(tx, &key)).await
    }

    async fn update_api_key(&self, key: &ApiKeyRecord) -> Result<bool, StoreError> {
        let key = key.clone();
        self.write("change an API key", move |tx| api_keys::update(tx, &key)).await
    }

    async fn delete_api_key(&self, id: &ApiKeyId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write("delete an API key", move |tx| api_keys::delete(tx, &id)).await
    }

    async fn reseal_api_keys(&self, keys: &[ApiKeyRecord]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.write("seal API keys anew", move |tx| keys.iter().try_for_each(|key| api_keys::reseal(tx, key)))
            .await
    }

    async fn touch(
        &self,
        accounts: &[(UserId, UnixTime)],
        keys: &[(ApiKeyId, UnixTime)],
    ) -> Result<(), StoreError> {
        let (accounts, keys) = (accounts.to_vec(), keys.to_vec());
        self.write("note uses of accounts and keys", move |tx| {
            accounts.iter().try_for_each(|(id, at)| accounts::touch(tx, id, *at))?;
            keys.iter().try_for_each(|(id, at)| api_keys::touch(tx, id, *at))
        })
        .await
    }

    async fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.read("read groups", groups::all).await
    }

    async fn save_group(&self, group: &Group) -> Result<(), StoreError> {
        let group = group.clone();
        self.write("save a group", move |tx| groups::save(tx, &group)).await
    }

    async fn delete_group(&self, id: &GroupId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write("delete a group", move |tx| groups::delete(tx, &id)).await
    }
}
