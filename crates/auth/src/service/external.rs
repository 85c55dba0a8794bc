//! Signing in people for whom somebody else vouches.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use breezeway_core::{GroupId, Role, Secret, SessionId, UnixTime, UserId};

use super::{Auth, Session, accounts::new_stamp};
use crate::{
    Account, AuthSettings, Error, ExternalIdentity, ExternalPerson, ExternalPolicy, ExternalRole, Group,
    PasswordHash, Profile, Result, TrustedPerson,
    account::{DEFAULT_IMAGE, normal_email},
};

/// The longest name that is taken from elsewhere, in characters.
const NAME_CHARS: usize = 200;
/// The longest subject, in bytes; the OpenID specification allows 255 characters of ASCII.
const SUBJECT_BYTES: usize = 255;
/// The longest address of a picture, in bytes.
const PICTURE_BYTES: usize = 2048;
/// The most groups of one person that are looked at.
const MOST_GROUPS: usize = 500;

/// Which account belongs to whom at a provider.
#[derive(Default)]
pub(crate) struct Identities(RwLock<HashMap<String, HashMap<String, UserId>>>);

impl Identities {
    pub(crate) fn put(&self, identity: ExternalIdentity) {
        let mut providers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        providers.entry(identity.provider).or_default().insert(identity.subject, identity.owner);
    }

    pub(crate) fn forget(&self, owner: &UserId) {
        let mut providers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for subjects in providers.values_mut() {
            subjects.retain(|_, other| other != owner);
        }
    }

    fn owner(&self, provider: &str, subject: &str) -> Option<UserId> {
        let providers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        providers.get(provider)?.get(subject).cloned()
    }
}

impl Auth {
    /// Sign in whom a provider vouches for: by the identity that is known, else by the address if that
    /// is allowed and verified, else as a new account if that is allowed. Role and groups follow the
    /// provider where it says something about them; the last admin stays one.
    ///
    /// # Errors
    /// [`Error::EmailTaken`] for an address that belongs to another account, [`Error::SignupClosed`]
    /// for a newcomer who is not let in, [`Error::InvalidEmail`], [`Error::Forbidden`] in single-user
    /// mode; the store's.
    pub async fn sign_in_external(&self, person: ExternalPerson, policy: &ExternalPolicy) -> Result<Session> {
        if self.0.single_user.is_some() {
            return Err(Error::Forbidden);
        }
        if person.subject.is_empty() || person.subject.len() > SUBJECT_BYTES {
            return Err(Error::UnknownCredential);
        }
        let email = normal_email(&person.email)?;
        let policy = policy.clone();
        let account = self.write(async move |auth| auth.admit(person, email, &policy).await).await?;
        self.session_as(&account, SessionId::mint(), "oauth")
    }

    /// Sign in whom a trusted proxy vouches for, by the address. Whoever is new gets an account: the
    /// proxy has let them in.
    ///
    /// # Errors
    /// [`Error::InvalidEmail`], [`Error::Forbidden`] in single-user mode; the store's.
    pub async fn sign_in_trusted(&self, person: TrustedPerson) -> Result<Session> {
        if self.0.single_user.is_some() {
            return Err(Error::Forbidden);
        }
        let email = normal_email(&person.email)?;
        let account = self
            .write(async move |auth| {
                let role = person.role.map_or(ExternalRole::Unmanaged, ExternalRole::Is);
                let account = match auth.0.directory.by_email(&email) {
                    Some(account) => auth.take_role(account, role).await?,
                    None => {
                        let account = auth.newcomer(email, person.name, None, role)?;
                        auth.take_in(account, None).await?
                    }
                };
                if let Some(groups) = person.groups {
                    auth.follow_groups(&account.id, groups, &ExternalPolicy::default()).await?;
                }
                Ok(account)
            })
            .await?;
        self.session_as(&account, SessionId::mint(), "trusted_header")
    }

    /// Seal a note that a browser keeps for a while and brings back. `purpose` keeps notes of one kind
    /// from being taken for another.
    ///
    /// # Errors
    /// If the machine has no randomness to give.
    pub fn seal_note(&self, purpose: &str, note: &Secret, lifetime: Duration) -> Result<Vec<u8>> {
        let end = self.0.clock.now().plus(lifetime).seconds();
        self.0.sealer.seal(&owner_of_notes(purpose), &format!("{end}\n{}", note.expose()).into())
    }

    /// What is in a note that was sealed here, for this purpose, and has not ended.
    pub fn open_note(&self, purpose: &str, sealed: &[u8]) -> Option<Secret> {
        let opened = self.0.sealer.open(&owner_of_notes(purpose), sealed).ok()?;
        let (end, note) = opened.expose().split_once('\n')?;
        let end = UnixTime::from_seconds(end.parse().ok()?);
        (self.0.clock.now() < end).then(|| note.into())
    }

    async fn admit(
        &self,
        person: ExternalPerson,
        email: String,
        policy: &ExternalPolicy,
    ) -> Result<Arc<Account>> {
        let known = self.0.identities.owner(&person.provider, &person.subject);
        let account = match known.and_then(|id| self.account(&id)) {
            Some(account) => self.take_role(account, person.role).await?,
            None => {
                let identity = |owner: &Account| ExternalIdentity {
                    provider: person.provider.clone(),
                    subject: person.subject.clone(),
                    owner: owner.id.clone(),
                    linked_at: self.0.clock.now(),
                };
                match self.0.directory.by_email(&email) {
                    Some(account) if policy.merge_by_email && person.email_verified => {
                        let identity = identity(&account);
                        self.0.store.link_identity(&identity).await?;
                        self.0.identities.put(identity);
                        tracing::info!(principal.id = %account.id, "Linked account `{}` to its provider", account.id);
                        self.take_role(account, person.role).await?
                    }
                    Some(_) => return Err(Error::EmailTaken),
                    None if !policy.sign_up => return Err(Error::SignupClosed),
                    None => {
                        let account = self.newcomer(email, person.name, person.picture, person.role)?;
                        let identity = identity(&account);
                        self.take_in(account, Some(identity)).await?
                    }
                }
            }
        };
        if let Some(groups) = person.groups {
            self.follow_groups(&account.id, groups, policy).await?;
        }
        Ok(account)
    }

    /// The account of somebody new; no password opens it.
    fn newcomer(
        &self,
        email: String,
        name: Option<String>,
        picture: Option<String>,
        role: ExternalRole,
    ) -> Result<Account> {
        let name = name.map(|name| short(&name)).filter(|name| !name.is_empty());
        let picture = picture.filter(|url| url.len() <= PICTURE_BYTES && url.starts_with("https://"));
        let role = match role {
            _ if self.is_empty() => Role::Admin,
            ExternalRole::Is(role) => role,
            ExternalRole::Unmanaged | ExternalRole::Default => self.settings().role()?,
        };
        let now = self.0.clock.now();
        Ok(Account {
            id: UserId::mint(),
            name: name.unwrap_or_else(|| email.clone()),
            email,
            role,
            profile_image_url: picture.unwrap_or_else(|| DEFAULT_IMAGE.into()),
            profile: Profile::new(),
            password: PasswordHash::unusable(),
            session_stamp: new_stamp(),
            last_active_at: now,
            created_at: now,
            updated_at: now,
        })
    }

    /// Insert an account together with its identity. The first one closes sign-up, as it does when
    /// somebody signs up with a password.
    async fn take_in(&self, account: Account, identity: Option<ExternalIdentity>) -> Result<Arc<Account>> {
        let account = match identity {
            None if self.is_empty() => self.insert_first(account).await?,
            None => self.insert(account, false).await?,
            Some(identity) => {
                let first = self.is_empty();
                let settings = self.settings();
                if first && settings.enable_signup {
                    let closed = AuthSettings { enable_signup: false, ..AuthSettings::clone(&settings) };
                    self.put_settings(closed).await?;
                }
                let inserted = self.0.store.insert_external_account(&account, &identity, first).await;
                if inserted.map_err(super::accounts::taken)? {
                    self.0.identities.put(identity);
                    let account = self.0.directory.put_account(account);
                    self.join_default_group(&account.id).await?;
                    Some(account)
                } else {
                    None
                }
            }
        };
        let account = account.ok_or(Error::SignupClosed)?;
        tracing::info!(principal.id = %account.id, "Made account `{}` for a newcomer", account.id);
        Ok(account)
    }

    async fn take_role(&self, account: Arc<Account>, role: ExternalRole) -> Result<Arc<Account>> {
        let role = match role {
            ExternalRole::Unmanaged => return Ok(account),
            ExternalRole::Default => self.settings().role()?,
            ExternalRole::Is(role) => role,
        };
        // Who is being deleted is not let in again on the way.
        if role == account.role || self.refuse_leaving(&account.id).is_err() {
            return Ok(account);
        }
        // Refusing the sign-in would lock the last one who could repair the mapping out.
        if account.role == Role::Admin && self.0.directory.admins() <= 1 {
            tracing::warn!(principal.id = %account.id, "Account `{}` stays admin: it is the last, and is signed in as `{role}`", account.id);
            return Ok(account);
        }
        let mut changed = Account { role, ..Account::clone(&account) };
        // Whoever may do less now is not to go on in a session that was begun with more.
        if account.role == Role::Admin || role == Role::Pending {
            changed.session_stamp = new_stamp();
        }
        let changed = self.save(changed).await?;
        if changed.session_stamp != account.session_stamp {
            self.0.revoked.forget(&changed.id);
        }
        Ok(changed)
    }

    /// Bring somebody into the groups of these names and out of all others, except for those that are
    /// kept.
    async fn follow_groups(&self, user: &UserId, names: Vec<String>, policy: &ExternalPolicy) -> Result<()> {
        if names.len() > MOST_GROUPS {
            tracing::warn!(principal.id = %user, groups = names.len(), "Groups of account `{user}` stay as they are: more than {MOST_GROUPS} came");
            return Ok(());
        }
        let names = names.iter().map(|name| name.trim());
        let mut missing: BTreeSet<&str> =
            names.filter(|name| !name.is_empty() && name.chars().count() <= NAME_CHARS).collect();
        let wanted = missing.clone();
        let now = self.0.clock.now();
        for group in self.groups() {
            missing.remove(group.name.as_str());
            let (is_in, belongs) = (group.members.contains(user), wanted.contains(group.name.as_str()));
            if is_in == belongs || policy.keeps(&group.name) {
                continue;
            }
            let mut group = Group::clone(&group);
            if belongs {
                group.members.insert(user.clone())
            } else {
                group.members.remove(user)
            };
            group.updated_at = now;
            self.keep_group(group).await?;
        }
        missing.retain(|name| policy.create_groups && !policy.keeps(name));
        for name in missing {
            let group = Group {
                id: GroupId::mint(),
                owner: self.first_admin().unwrap_or_else(|| user.clone()),
                name: name.to_owned(),
                description: String::new(),
                permissions: None,
                data: None,
                meta: None,
                members: BTreeSet::from([user.clone()]),
                created_at: now,
                updated_at: now,
            };
            tracing::info!(group.id = %group.id, "Made group `{}`, which a provider has and this server had not", group.id);
            self.keep_group(group).await?;
        }
        Ok(())
    }

    async fn keep_group(&self, group: Group) -> Result<()> {
        self.0.store.save_group(&group).await?;
        self.0.directory.put_group(group);
        Ok(())
    }

    fn first_admin(&self) -> Option<UserId> {
        let accounts = self.accounts();
        let admins = accounts.iter().filter(|account| account.role == Role::Admin);
        admins.min_by_key(|account| account.created_at).map(|account| account.id.clone())
    }
}

fn owner_of_notes(purpose: &str) -> String {
    format!("note of {purpose}")
}

fn short(name: &str) -> String {
    name.trim().chars().filter(|sign| !sign.is_control()).take(NAME_CHARS).collect()
}
