//! The service: every question about accounts, sessions and keys, answered from memory.

use std::sync::Arc;

use breezeway_core::{Clock, GroupId, Lane, Principal, Secret, SettingsStore, UnixTime, UserId};
use serde_json::Value;

use crate::{
    Account, AccountChange, AccountStore, AuthSettings, Group, GroupChange, NewAccount, PasswordParams,
    Result,
};

/// What the service needs to know.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Signs session tokens and derives the key that seals API keys.
    pub secret: Secret,
    /// Secrets that signed earlier tokens and still verify.
    pub previous_secrets: Vec<Secret>,
    /// How expensive password hashing is.
    pub password: PasswordParams,
    /// The first settings, until an admin changes them.
    pub settings: AuthSettings,
    /// Whether stored settings win over `settings` (the contract's `ENABLE_PERSISTENT_CONFIG`).
    pub persistent_settings: bool,
    /// Nobody signs in: requests without a credential act as the one admin account
    /// (`WEBUI_AUTH=false`).
    pub single_user: bool,
}

/// A signed-in account and its token.
#[derive(Clone, Debug)]
pub struct Session {
    /// The account.
    pub account: Account,
    /// The token.
    pub token: Secret,
    /// When the token ends; `None` for never.
    pub expires_at: Option<UnixTime>,
}

/// Accounts, sessions, keys, groups, permissions. Clones share one state.
#[derive(Clone)]
pub struct Auth {
    store: Arc<dyn AccountStore>,
    settings_store: Arc<dyn SettingsStore>,
    lane: Lane,
    clock: Clock,
}

#[expect(clippy::todo, unused_variables, reason = "skeleton")]
impl Auth {
    /// Read everything and be ready to answer. `lane` is where passwords are hashed.
    pub async fn open(
        config: AuthConfig,
        store: Arc<dyn AccountStore>,
        settings_store: Arc<dyn SettingsStore>,
        lane: Lane,
        clock: Clock,
    ) -> Result<Self> {
        todo!()
    }

    // --- on every request: memory only, never waits

    /// Who a bearer value (session token, or `sk-` key) is. The role may be pending. Notes the use.
    pub fn authenticate(&self, credential: &str) -> Result<Principal> {
        todo!()
    }

    /// Who a request without any credential is: the one account of single-user mode, or an error.
    pub fn anonymous(&self) -> Result<Principal> {
        todo!()
    }

    /// Whether a key may be used for a path (always true for sessions).
    pub fn allows_path(&self, principal: &Principal, path: &str) -> Result<()> {
        todo!()
    }

    /// The permission tree of an account: defaults, widened by its groups.
    pub fn permissions(&self, principal: &Principal) -> Value {
        todo!()
    }

    /// Whether a permission such as `workspace.knowledge` is given; admins have all.
    pub fn has_permission(&self, principal: &Principal, path: &str) -> bool {
        todo!()
    }

    /// Whether there is no account yet.
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// An account.
    pub fn account(&self, id: &UserId) -> Option<Arc<Account>> {
        todo!()
    }

    /// All accounts, unordered.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        todo!()
    }

    /// All groups, by name.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        todo!()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<AuthSettings> {
        todo!()
    }

    // --- sessions

    /// Sign up. The first account becomes admin and closes sign-up, also against simultaneous ones.
    pub async fn sign_up(&self, new: NewAccount) -> Result<Session> {
        todo!()
    }

    /// Sign in with a password; 15 tries an address in 180 s.
    pub async fn sign_in(&self, email: &str, password: &Secret) -> Result<Session> {
        todo!()
    }

    /// In single-user mode, a session of the one account without a password.
    pub async fn sign_in_single_user(&self) -> Result<Session> {
        todo!()
    }

    /// A fresh token for a signed-in person (renews the cookie).
    pub fn renew(&self, principal: &Principal) -> Result<Session> {
        todo!()
    }

    /// End the session of this credential at once. Keys are not ended by it.
    pub async fn sign_out(&self, principal: &Principal) -> Result<()> {
        todo!()
    }

    /// Change the own password; ends all sessions.
    pub async fn change_password(&self, principal: &Principal, old: &Secret, new: &Secret) -> Result<()> {
        todo!()
    }

    // --- keys

    /// Make the account's key, replacing the one it had.
    pub async fn create_api_key(&self, principal: &Principal) -> Result<Secret> {
        todo!()
    }

    /// Show the account's key.
    pub fn api_key(&self, principal: &Principal) -> Result<Secret> {
        todo!()
    }

    /// Delete the account's key.
    pub async fn delete_api_key(&self, principal: &Principal) -> Result<()> {
        todo!()
    }

    // --- administration: the caller has asked for the rights

    /// Make an account, with no regard to whether sign-up is open.
    pub async fn add_account(&self, new: NewAccount) -> Result<Session> {
        todo!()
    }

    /// Make the first admin, unless there is an account already; answers whether it did.
    pub async fn ensure_admin(&self, new: NewAccount) -> Result<bool> {
        todo!()
    }

    /// Change an account. Demoting the last admin is refused.
    pub async fn update_account(&self, id: &UserId, change: AccountChange) -> Result<Arc<Account>> {
        todo!()
    }

    /// Delete an account; deleting the last admin is refused. Answers whether it existed.
    pub async fn delete_account(&self, id: &UserId) -> Result<bool> {
        todo!()
    }

    /// Make a group.
    pub async fn create_group(&self, owner: &UserId, name: &str, description: &str) -> Result<Arc<Group>> {
        todo!()
    }

    /// Change a group.
    pub async fn update_group(&self, id: &GroupId, change: GroupChange) -> Result<Arc<Group>> {
        todo!()
    }

    /// Delete a group; answers whether it existed.
    pub async fn delete_group(&self, id: &GroupId) -> Result<bool> {
        todo!()
    }

    /// Replace the settings.
    pub async fn update_settings(&self, settings: AuthSettings) -> Result<()> {
        todo!()
    }

    /// Write what is only kept roughly (last used, last active); run every few seconds and at the end.
    pub async fn flush(&self) -> Result<()> {
        todo!()
    }
}
