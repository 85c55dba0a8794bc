//! The service: every question about accounts, sessions and keys, answered from memory.
//!
//! What is asked on every request stands in this file and waits for nothing. What changes something
//! stands in the modules below and goes through [`Auth::write`]: one change at a time, first in the
//! store, then in memory, and always to its end.

mod accounts;
mod external;
mod groups;
mod keys;
mod open;
mod removals;
mod sessions;
mod uses;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use breezeway_core::{
    Clock, Credential, Lane, Live, Principal, Role, Secret, SettingsStore, StoreError, UnixTime, UserId,
};
use serde_json::Value;
use tokio::runtime::Handle;

use self::{external::Identities, uses::Uses};
use crate::{
    Account, AccountStore, AuthSettings, Error, Group, KeyHash, PasswordParams, PasswordRule, Permissions,
    Removal, Result, api_key,
    directory::{Directory, StaleStamp},
    password::Hasher,
    permissions::gives,
    revoked::Revoked,
    seal::Sealer,
    session::Tokens,
    throttle::Throttle,
};

/// Our keys have 35 bytes; imported ones may be longer, but nobody hashes a megabyte.
const MAX_KEY_BYTES: usize = 256;

const SETTINGS: &str = "auth.settings";
const REVOKED: &str = "auth.revoked_sessions";

/// What the service needs to know.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Signs session tokens and derives the key that seals API keys.
    pub secret: Secret,
    /// Secrets that signed earlier tokens and still verify.
    pub previous_secrets: Vec<Secret>,
    /// How expensive password hashing is.
    pub password: PasswordParams,
    /// What passwords have to satisfy that are chosen from now on.
    pub password_rule: Option<PasswordRule>,
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
pub struct Auth(Arc<Shared>);

struct Shared {
    store: Arc<dyn AccountStore>,
    settings_store: Arc<dyn SettingsStore>,
    persistent_settings: bool,
    clock: Clock,
    tokens: Tokens,
    sealer: Sealer,
    hasher: Hasher,
    password_rule: Option<PasswordRule>,
    throttle: Throttle,
    directory: Directory,
    settings: Live<AuthSettings>,
    revoked: Revoked,
    uses: Uses,
    identities: Identities,
    /// Accounts that are being deleted.
    removals: Mutex<HashMap<UserId, Removal>>,
    /// The one account, in single-user mode.
    single_user: Option<UserId>,
    /// Where changes are made: one thread, so one after another.
    writes: Lane,
}

impl Auth {
    // --- on every request: memory only, never waits

    /// Who a bearer value (session token, or `sk-` key) is. The role may be pending. Notes the use.
    ///
    /// # Errors
    /// Why the credential is not good enough; each case is an answer of its own in the API.
    pub fn authenticate(&self, credential: &str) -> Result<Principal> {
        match credential {
            "" => Err(Error::NoCredential),
            key if key.starts_with(api_key::PREFIX) => self.by_key(key),
            token => self.by_session(token),
        }
    }

    /// Who a request without any credential is: the one account of single-user mode, or an error.
    ///
    /// # Errors
    /// [`Error::NoCredential`] in every other mode.
    pub fn anonymous(&self) -> Result<Principal> {
        let id = self.0.single_user.as_ref().ok_or(Error::NoCredential)?;
        let principal = self.0.directory.principal(id, Credential::Local).ok_or(Error::NoCredential)?;
        self.0.uses.note_account(id, self.0.directory.note(id, self.0.clock.now()));
        Ok(principal)
    }

    /// Whether a key may be used for a path (always true for sessions): by its own rules, and by those
    /// for all keys.
    ///
    /// # Errors
    /// [`Error::EndpointNotAllowed`] if it may not.
    pub fn allows_path(&self, principal: &Principal, path: &str) -> Result<()> {
        let Credential::ApiKey(_) = principal.credential else { return Ok(()) };
        if principal.rules.as_ref().is_some_and(|rules| !rules.allows_path(path)) {
            return Err(Error::EndpointNotAllowed);
        }
        let settings = self.settings();
        if !settings.restrict_api_key_endpoints {
            return Ok(());
        }
        let allowed = settings.api_keys_allowed_endpoints.iter().any(|allowed| {
            let allowed = allowed.trim().trim_end_matches('/');
            let below = path.strip_prefix(allowed);
            !allowed.is_empty() && below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        });
        if allowed { Ok(()) } else { Err(Error::EndpointNotAllowed) }
    }

    /// The permission tree of an account: defaults, widened by its groups.
    pub fn permissions(&self, principal: &Principal) -> Value {
        let mut permissions = Permissions::from_tree(&self.settings().permissions);
        self.0.directory.any_group(&principal.groups, |group| {
            if let Some(more) = &group.permissions {
                permissions.widen(more);
            }
            false
        });
        permissions.into_tree()
    }

    /// Whether a permission such as `workspace.knowledge` is given; admins have all, and accounts
    /// that are pending have none.
    pub fn has_permission(&self, principal: &Principal, path: &str) -> bool {
        match principal.role {
            Role::Admin => true,
            Role::Pending => false,
            Role::User => {
                gives(&self.settings().permissions, path)
                    || self.0.directory.any_group(&principal.groups, |group| {
                        group.permissions.as_ref().is_some_and(|tree| gives(tree, path))
                    })
            }
        }
    }

    /// Whether there is no account yet.
    pub fn is_empty(&self) -> bool {
        self.0.directory.len() == 0
    }

    /// An account.
    pub fn account(&self, id: &UserId) -> Option<Arc<Account>> {
        self.0.directory.account(id)
    }

    /// All accounts, unordered.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.0.directory.accounts()
    }

    /// All groups, by name.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.0.directory.groups()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<AuthSettings> {
        self.0.settings.load()
    }

    fn by_key(&self, key: &str) -> Result<Principal> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::UnknownCredential);
        }
        let now = self.0.clock.now();
        let used = self.0.directory.by_key(&KeyHash::of(key), now).ok_or(Error::UnknownCredential)?;
        let principal = used.principal;
        // An admin has every permission, so the switch is asked for separately.
        if !self.settings().enable_api_keys || !self.has_permission(&principal, "features.api_keys") {
            return Err(Error::ApiKeysOff);
        }
        self.0.uses.note_key(used.key, now);
        self.0.uses.note_account(&principal.user, used.account.then_some(now));
        Ok(principal)
    }

    fn by_session(&self, token: &str) -> Result<Principal> {
        let now = self.0.clock.now();
        let token = self.0.tokens.verify(token, now)?;
        if self.0.revoked.contains(&token.session) {
            return Err(Error::Revoked);
        }
        let credential = Credential::Session(token.session);
        match self.0.directory.by_session(&token.user, &token.stamp, credential, now) {
            None => Err(Error::UnknownCredential),
            Some(Err(StaleStamp)) => Err(Error::Revoked),
            Some(Ok((principal, noted))) => {
                self.0.uses.note_account(&principal.user, noted.then_some(now));
                Ok(principal)
            }
        }
    }

    // --- changes

    /// Make a change: store first, then memory.
    ///
    /// A caller may leave in the middle of its request. If the change were part of the caller's own
    /// future, a key could then be deleted in the store and still open doors from memory. So the
    /// change runs on a thread of its own, where what has begun is finished; a single thread, so that
    /// store and memory see all changes in the same order.
    async fn write<T, C>(&self, change: C) -> Result<T>
    where
        T: Send + 'static,
        C: AsyncFnOnce(Auth) -> Result<T> + Send + 'static,
    {
        let (auth, runtime) = (self.clone(), Handle::current());
        self.0.writes.run(move || runtime.block_on(change(auth))).await?
    }

    /// Replace the settings.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a role or duration that is none; the store's.
    pub async fn update_settings(&self, settings: AuthSettings) -> Result<()> {
        let settings = settings.checked()?;
        self.write(async move |auth| auth.put_settings(settings).await).await
    }

    /// Change some settings, whatever others are changed at the same time, and answer the new ones.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a role or duration that is none; the store's.
    pub async fn change_settings(
        &self,
        change: impl FnOnce(&mut AuthSettings) + Send + 'static,
    ) -> Result<Arc<AuthSettings>> {
        self.write(async move |auth| {
            let mut settings = AuthSettings::clone(&auth.settings());
            change(&mut settings);
            auth.put_settings(settings.checked()?).await?;
            Ok(auth.settings())
        })
        .await
    }

    async fn put_settings(&self, settings: AuthSettings) -> Result<()> {
        // Before the first token with a longer life exists, sign-outs must know of it.
        if self.0.revoked.allow(settings.session_lifetime()?) {
            self.put_revoked().await?;
        }
        if self.0.persistent_settings {
            let text = serde_json::to_string(&settings)
                .map_err(|failure| StoreError::failed("write the settings of accounts", failure))?;
            self.0.settings_store.put_setting(SETTINGS, &text).await?;
        }
        self.0.settings.store(settings);
        Ok(())
    }

    async fn put_revoked(&self) -> Result<()> {
        Ok(self.0.settings_store.put_setting(REVOKED, &self.0.revoked.to_text()).await?)
    }
}

#[cfg(test)]
mod tests;
