//! The port to whatever keeps accounts.

use async_trait::async_trait;
use breezeway_core::{ApiKeyId, GroupId, StoreError, UnixTime, UserId};

use crate::{Account, ApiKeyRecord, ExternalIdentity, Group, Removal};

/// Accounts, keys and groups. Read as a whole at start, written through afterwards: the service
/// answers every question from memory.
///
/// # Contract
/// - every call is one transaction;
/// - what a call has written survives a crash after it answered;
/// - addresses are unique: inserting or saving a second one is `StoreError::Taken("email")`;
/// - deleting an account deletes its keys, identities and memberships, and its removal; deleting what is
///   not there is no error;
/// - noting the use of what is not there is no error and changes nothing.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// All accounts.
    async fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// Insert an account. With `only_if_first`, answers `false` and inserts nothing if any account
    /// exists; the check and the insertion are one transaction.
    async fn insert_account(&self, account: &Account, only_if_first: bool) -> Result<bool, StoreError>;

    /// Insert an account and the identity by which it signs in, both or none; otherwise as
    /// [`insert_account`](Self::insert_account).
    async fn insert_external_account(
        &self,
        account: &Account,
        identity: &ExternalIdentity,
        only_if_first: bool,
    ) -> Result<bool, StoreError>;

    /// Insert an identity of an existing account, or give the one with its provider and subject to
    /// that account.
    async fn link_identity(&self, identity: &ExternalIdentity) -> Result<(), StoreError>;

    /// All identities.
    async fn identities(&self) -> Result<Vec<ExternalIdentity>, StoreError>;

    /// Write all fields of an existing account.
    async fn save_account(&self, account: &Account) -> Result<(), StoreError>;

    /// Write all fields of an existing account together with its removal, in place of an earlier one.
    async fn begin_removal(&self, account: &Account, removal: &Removal) -> Result<(), StoreError>;

    /// Removals that have begun; [`delete_account`](Self::delete_account) ends one.
    async fn removals(&self) -> Result<Vec<Removal>, StoreError>;

    /// Delete an account.
    async fn delete_account(&self, id: &UserId) -> Result<(), StoreError>;

    /// All keys.
    async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, StoreError>;

    /// Keys in the order they were made, those of one account or all: at most `limit` after the first
    /// `offset`.
    async fn api_keys_of(
        &self,
        owner: Option<&UserId>,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<ApiKeyRecord>, StoreError>;

    /// Replace the unnamed key of an account by this one, or by none. Its named keys stay.
    async fn replace_api_key(&self, owner: &UserId, key: Option<&ApiKeyRecord>) -> Result<(), StoreError>;

    /// Insert a named key.
    async fn insert_api_key(&self, key: &ApiKeyRecord) -> Result<(), StoreError>;

    /// Write name, rules and end of a key; answers whether it was there.
    async fn update_api_key(&self, key: &ApiKeyRecord) -> Result<bool, StoreError>;

    /// Delete one key; answers whether it was there.
    async fn delete_api_key(&self, id: &ApiKeyId) -> Result<bool, StoreError>;

    /// Write the seals and endings of keys, in one go. Keys that are not there stay away.
    async fn reseal_api_keys(&self, keys: &[ApiKeyRecord]) -> Result<(), StoreError>;

    /// Note when accounts and keys were last used, in one go.
    async fn touch(
        &self,
        accounts: &[(UserId, UnixTime)],
        keys: &[(ApiKeyId, UnixTime)],
    ) -> Result<(), StoreError>;

    /// All groups with their members.
    async fn groups(&self) -> Result<Vec<Group>, StoreError>;

    /// Insert or replace a group and its members.
    async fn save_group(&self, group: &Group) -> Result<(), StoreError>;

    /// Delete a group.
    async fn delete_group(&self, id: &GroupId) -> Result<(), StoreError>;
}
