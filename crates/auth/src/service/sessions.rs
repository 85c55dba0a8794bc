//! Signing up, in and out.

use breezeway_core::{Credential, Principal, Role, Secret, SessionId, UnixTime};

use super::{Auth, Session};
use crate::{
    Account, Error, NewAccount, Result, password, service::accounts::new_stamp, session::SessionToken,
};

impl Auth {
    /// Sign up. The first account becomes admin and closes sign-up, also against simultaneous ones.
    ///
    /// # Errors
    /// If sign-up is closed, or the address or password cannot be taken; the store's.
    pub async fn sign_up(&self, new: NewAccount) -> Result<Session> {
        // Asked again when the account is made; here it spares strangers' passwords the hashing.
        self.signup_role()?;
        let draft = self.draft(new).await?;
        let account = self
            .write(async move |auth| {
                let account = Account { role: auth.signup_role()?, ..draft };
                if auth.is_empty() {
                    auth.insert_first(account).await
                } else {
                    auth.insert(account, false).await
                }
            })
            .await?
            .ok_or(Error::SignupClosed)?;
        self.session(&account, SessionId::mint())
    }

    /// The role of whoever signs up now.
    fn signup_role(&self) -> Result<Role> {
        let settings = self.settings();
        match (self.is_empty(), settings.enable_signup && self.0.single_user.is_none()) {
            (true, _) => Ok(Role::Admin),
            (false, true) => settings.role(),
            (false, false) => Err(Error::SignupClosed),
        }
    }

    /// Sign in with a password; 15 tries an address in 180 s.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], [`Error::Throttled`], or an overloaded lane.
    pub async fn sign_in(&self, email: &str, password: &Secret) -> Result<Session> {
        let email = email.trim().to_lowercase();
        let attempt = self.0.throttle.begin(&email, self.0.clock.now())?;
        let account = self.0.directory.by_email(&email);
        let hash = account.as_ref().map(|account| account.password.clone());
        let verified = match self.0.hasher.verify(hash, password).await {
            Ok(verified) => verified,
            Err(failure) => {
                attempt.forgive();
                return Err(failure);
            }
        };
        let account = account.filter(|_| verified).ok_or(Error::WrongCredentials)?;
        // The password may have been changed, or the account deleted, while this one was hashed.
        let account = self
            .account(&account.id)
            .filter(|current| current.password == account.password)
            .ok_or(Error::WrongCredentials)?;
        attempt.forgive();
        self.session(&account, SessionId::mint())
    }

    /// In single-user mode, a session of the one account without a password.
    ///
    /// # Errors
    /// [`Error::Forbidden`] in every other mode.
    pub async fn sign_in_single_user(&self) -> Result<Session> {
        let id = self.0.single_user.as_ref().ok_or(Error::Forbidden)?;
        let account = self.account(id).ok_or_else(|| Error::NoSuchAccount(id.clone()))?;
        self.session(&account, SessionId::mint())
    }

    /// A fresh token for a signed-in person (renews the cookie). It is the same session, so signing
    /// out ends the earlier tokens too. `token` is the one the caller came with: how the person proved
    /// who they are, and when, stays as it says.
    ///
    /// # Errors
    /// [`Error::HumanRequired`] for API keys; if the account or session is gone.
    pub fn renew(&self, principal: &Principal, token: Option<&str>) -> Result<Session> {
        let session = match &principal.credential {
            Credential::Session(session) if self.0.revoked.contains(session) => return Err(Error::Revoked),
            Credential::Session(session) => session.clone(),
            Credential::Local => SessionId::mint(),
            Credential::ApiKey(_) => return Err(Error::HumanRequired),
        };
        let account = self.account(&principal.user).ok_or(Error::UnknownCredential)?;
        let now = self.0.clock.now();
        let earlier = token.and_then(|token| self.0.tokens.verify(token, now).ok());
        match earlier.filter(|earlier| earlier.session == session) {
            Some(earlier) => self.signed(&account, session, earlier.method, earlier.proved_at),
            None => self.session(&account, session),
        }
    }

    /// End the session of this credential at once. Keys are not ended by it.
    ///
    /// # Errors
    /// The store's; the session has ended anyway, until a restart.
    pub async fn sign_out(&self, principal: &Principal) -> Result<()> {
        let Credential::Session(session) = &principal.credential else { return Ok(()) };
        let (session, owner) = (session.clone(), principal.user.clone());
        self.write(async move |auth| {
            let crowded = auth.0.revoked.insert(session, owner, auth.0.clock.now());
            for id in crowded {
                // New stamp first, list second: at no moment is a session alive that was ended.
                if let Some(account) = auth.account(&id) {
                    let account = Account { session_stamp: new_stamp(), ..Account::clone(&account) };
                    auth.save(account).await?;
                }
                auth.0.revoked.forget(&id);
                tracing::warn!(principal.id = %id, "Ended all sessions of account `{id}`: it had ended too many one by one");
            }
            auth.put_revoked().await
        })
        .await
    }

    /// Change the own password; ends all sessions.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::Throttled`], [`Error::HumanRequired`] for API keys, or a new
    /// password that cannot be taken; the store's.
    pub async fn change_password(&self, principal: &Principal, old: &Secret, new: &Secret) -> Result<()> {
        if matches!(principal.credential, Credential::ApiKey(_)) {
            return Err(Error::HumanRequired);
        }
        password::check(new, self.0.password_rule.as_ref())?;
        let account = self.account(&principal.user).ok_or(Error::UnknownCredential)?;
        // A stolen session must not be a way to guess the password; it has a count of its own, so
        // that it is no way to keep the owner from signing in either.
        let subject = format!("password of {}", account.id);
        let attempt = self.0.throttle.begin(&subject, self.0.clock.now())?;
        let verified = match self.0.hasher.verify(Some(account.password.clone()), old).await {
            Ok(verified) => verified,
            Err(failure) => {
                attempt.forgive();
                return Err(failure);
            }
        };
        if !verified {
            return Err(Error::WrongPassword);
        }
        attempt.forgive();
        let hash = self.0.hasher.hash(new).await?;
        self.write(async move |auth| {
            let current = auth.account(&account.id).ok_or(Error::UnknownCredential)?;
            if current.password != account.password {
                return Err(Error::WrongPassword);
            }
            let mut account = Account::clone(&current);
            account.set_password(hash);
            let account = auth.save(account).await?;
            auth.0.revoked.forget(&account.id);
            Ok(())
        })
        .await
    }

    pub(super) fn session(&self, account: &Account, session: SessionId) -> Result<Session> {
        self.session_as(account, session, "password")
    }

    /// A session of an account that proved itself by `method`, a word of the contract.
    pub(super) fn session_as(
        &self,
        account: &Account,
        session: SessionId,
        method: &'static str,
    ) -> Result<Session> {
        self.signed(account, session, method.to_owned(), self.0.clock.now())
    }

    fn signed(
        &self,
        account: &Account,
        session: SessionId,
        method: String,
        proved_at: UnixTime,
    ) -> Result<Session> {
        let now = self.0.clock.now();
        let expires_at = self.settings().session_lifetime()?.map(|lifetime| now.plus(lifetime));
        let token = SessionToken {
            user: account.id.clone(),
            session,
            stamp: account.session_stamp.clone(),
            expires_at,
            method,
            proved_at,
        };
        Ok(Session { account: account.clone(), token: self.0.tokens.sign(token, now)?, expires_at })
    }
}
