//! Making, changing and deleting accounts.

use std::sync::Arc;

use breezeway_core::{Credential, Principal, Role, SessionId, StoreError, UserId};

use super::{Auth, Session};
use crate::{
    Account, AccountChange, Error, NewAccount, PasswordHash, Profile, Result,
    account::{DEFAULT_IMAGE, normal_email},
    password,
};

impl Auth {
    /// Make an account, with no regard to whether sign-up is open.
    ///
    /// # Errors
    /// If the address or password cannot be taken; in single-user mode, which a second account would
    /// end; the store's.
    pub async fn add_account(&self, new: NewAccount) -> Result<Session> {
        if self.0.single_user.is_some() {
            return Err(Error::Forbidden);
        }
        let account = self.draft(new).await?;
        let account = self.write(async move |auth| auth.insert(account, false).await).await?;
        let account = account.ok_or(Error::SignupClosed)?;
        self.session(&account, SessionId::mint())
    }

    /// Make the first admin, unless there is an account already; answers whether it did.
    ///
    /// # Errors
    /// If the address or password cannot be taken; the store's.
    pub async fn ensure_admin(&self, new: NewAccount) -> Result<bool> {
        if !self.is_empty() {
            return Ok(false);
        }
        let account = Account { role: Role::Admin, ..self.draft(new).await? };
        self.write(async move |auth| {
            if !auth.is_empty() {
                return Ok(false);
            }
            Ok(auth.insert_first(account).await?.is_some())
        })
        .await
    }

    /// An account as a caller that this program speaks for: nobody had to prove anything.
    pub fn local_principal(&self, id: &UserId) -> Option<Principal> {
        self.0.directory.principal(id, Credential::Local)
    }

    /// Change an account. Demoting the last admin is refused. A new password ends the account's sessions,
    /// and so does a role that gives less; one that gives more counts at once, in the sessions there are.
    ///
    /// # Errors
    /// If there is no such account, or a change cannot be made; the store's.
    pub async fn update_account(&self, id: &UserId, change: AccountChange) -> Result<Arc<Account>> {
        let hash = match &change.password {
            Some(new) => {
                password::check(new, self.0.password_rule.as_ref())?;
                Some(self.0.hasher.hash(new).await?)
            }
            None => None,
        };
        let email = change.email.as_deref().map(normal_email).transpose()?;
        let id = id.clone();
        self.write(async move |auth| {
            let before = auth.account(&id).ok_or_else(|| Error::NoSuchAccount(id.clone()))?;
            let mut account = Account::clone(&before);
            if let Some(role) = change.role {
                auth.refuse_leaving(&id)?;
                auth.keep_an_admin(&account, role == Role::Admin)?;
                if gives_less(role, account.role) {
                    account.session_stamp = new_stamp();
                }
                account.role = role;
            }
            if let Some(email) = email {
                account.email = email;
            }
            if let Some(name) = change.name {
                account.name = name;
            }
            if let Some(url) = change.profile_image_url {
                account.profile_image_url = url;
            }
            account.profile.extend(change.profile.into_iter().flatten());
            if let Some(hash) = hash {
                account.set_password(hash);
            }
            let account = auth.save(account).await?;
            if account.session_stamp != before.session_stamp {
                auth.0.revoked.forget(&id);
            }
            Ok(account)
        })
        .await
    }

    /// End every session of an account. Its keys stay.
    ///
    /// # Errors
    /// [`Error::NoSuchAccount`]; the store's.
    pub async fn end_sessions(&self, id: &UserId) -> Result<()> {
        let id = id.clone();
        self.write(async move |auth| {
            let before = auth.account(&id).ok_or_else(|| Error::NoSuchAccount(id.clone()))?;
            auth.save(Account { session_stamp: new_stamp(), ..Account::clone(&before) }).await?;
            auth.0.revoked.forget(&id);
            Ok(())
        })
        .await
    }

    /// An account that could be inserted, its password hashed.
    pub(super) async fn draft(&self, new: NewAccount) -> Result<Account> {
        let email = normal_email(&new.email)?;
        password::check(&new.password, self.0.password_rule.as_ref())?;
        // Asked again when it is inserted; here it saves the hashing.
        if self.0.directory.by_email(&email).is_some() {
            return Err(Error::EmailTaken);
        }
        let password = self.0.hasher.hash(&new.password).await?;
        let now = self.0.clock.now();
        Ok(Account {
            id: UserId::mint(),
            email,
            name: new.name,
            role: new.role,
            profile_image_url: new.profile_image_url.unwrap_or_else(|| DEFAULT_IMAGE.into()),
            profile: Profile::new(),
            password,
            session_stamp: new_stamp(),
            last_active_at: now,
            created_at: now,
            updated_at: now,
        })
    }

    /// Insert the first account, which closes sign-up; `None` if somebody else was first.
    ///
    /// Sign-up is closed before the account exists: a crash in between leaves an empty server, where
    /// the first sign-up is always possible, and not an open one.
    pub(super) async fn insert_first(&self, account: Account) -> Result<Option<Arc<Account>>> {
        let mut settings = crate::AuthSettings::clone(&self.settings());
        if settings.enable_signup {
            settings.enable_signup = false;
            self.put_settings(settings).await?;
        }
        self.insert(account, true).await
    }

    pub(super) async fn insert(&self, account: Account, only_if_first: bool) -> Result<Option<Arc<Account>>> {
        if self.0.directory.by_email(&account.email).is_some() {
            return Err(Error::EmailTaken);
        }
        let inserted = self.0.store.insert_account(&account, only_if_first).await.map_err(taken)?;
        if !inserted {
            return Ok(None);
        }
        let account = self.0.directory.put_account(account);
        self.join_default_group(&account.id).await?;
        Ok(Some(account))
    }

    pub(super) async fn save(&self, mut account: Account) -> Result<Arc<Account>> {
        if self.0.directory.by_email(&account.email).is_some_and(|other| other.id != account.id) {
            return Err(Error::EmailTaken);
        }
        account.updated_at = self.0.clock.now();
        self.0.store.save_account(&account).await.map_err(taken)?;
        Ok(self.0.directory.put_account(account))
    }

    /// Refuse what would leave nobody in charge.
    pub(super) fn keep_an_admin(&self, account: &Account, stays_admin: bool) -> Result<()> {
        if account.role == Role::Admin && !stays_admin && self.0.directory.admins() <= 1 {
            return Err(Error::LastAdmin);
        }
        Ok(())
    }
}

impl Account {
    /// Take a new password, and with it a new stamp: whoever knew the old one is signed out.
    pub(super) fn set_password(&mut self, hash: PasswordHash) {
        self.password = hash;
        self.session_stamp = new_stamp();
    }
}

/// Whether a role allows less than another.
fn gives_less(role: Role, than: Role) -> bool {
    let rank = |role| match role {
        Role::Pending => 0,
        Role::User => 1,
        Role::Admin => 2,
    };
    rank(role) < rank(than)
}

pub(super) fn new_stamp() -> String {
    SessionId::mint().as_str().to_owned()
}

pub(super) fn taken(failure: StoreError) -> Error {
    match failure {
        StoreError::Taken(_) => Error::EmailTaken,
        other => other.into(),
    }
}
