//! Everything that is asked per request, in memory.
//!
//! One lock over plain maps, held for a lookup and never across an await. What the maps hold is
//! shared by `Arc`, so a change replaces one entry whatever the number of accounts. A change reaches
//! the directory only after the store has it.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use breezeway_core::{ApiKeyId, Credential, GroupId, Principal, Role, UnixTime, UserId};

use crate::{Account, ApiKeyRecord, Group, KeyHash};

/// An account with what a principal of it needs, ready to be shared.
struct Known {
    account: Arc<Account>,
    name: Arc<str>,
    email: Arc<str>,
    groups: Arc<[GroupId]>,
    seen: Seen,
}

impl Known {
    fn principal(&self, credential: Credential) -> Principal {
        Principal {
            user: self.account.id.clone(),
            role: self.account.role,
            name: self.name.clone(),
            email: self.email.clone(),
            groups: self.groups.clone(),
            credential,
            rules: None,
        }
    }
}

/// A key in memory.
struct Held {
    record: Arc<ApiKeyRecord>,
    seen: Seen,
}

/// When something was last seen, to the minute: between two notes nothing is written.
#[derive(Clone)]
struct Seen(Arc<AtomicI64>);

/// How old a note must be before a new one is worth it, in seconds.
const ROUGHLY: i64 = 60;

impl Seen {
    fn new(at: UnixTime) -> Self {
        Self(Arc::new(AtomicI64::new(at.seconds())))
    }

    /// Whether this use is to be noted; of many at once, one is.
    fn note(&self, now: UnixTime) -> bool {
        let (last, now) = (self.0.load(Ordering::Relaxed), now.seconds());
        now.saturating_sub(last) >= ROUGHLY
            && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[derive(Default)]
struct Maps {
    accounts: HashMap<UserId, Known>,
    emails: HashMap<Arc<str>, UserId>,
    admins: usize,
    keys: HashMap<KeyHash, Held>,
    keys_by_owner: HashMap<UserId, KeyHash>,
    groups: HashMap<GroupId, Arc<Group>>,
}

impl Maps {
    /// Tell the members which groups they are in; needed whenever memberships change.
    fn regroup<'a>(&mut self, members: impl Iterator<Item = &'a UserId>, group: &GroupId, is_in: bool) {
        for member in members {
            if let Some(known) = self.accounts.get_mut(member) {
                let others = known.groups.iter().filter(|&other| other != group).cloned();
                known.groups = others.chain(is_in.then(|| group.clone())).collect();
            }
        }
    }

    fn forget_key(&mut self, owner: &UserId) {
        if let Some(hash) = self.keys_by_owner.remove(owner) {
            self.keys.remove(&hash);
        }
    }
}

/// The maps behind their lock.
#[derive(Default)]
pub(crate) struct Directory(RwLock<Maps>);

/// The answer to a key: whose it is, and whether this use is worth a note.
pub(crate) struct KeyUse {
    pub(crate) principal: Principal,
    pub(crate) key: Option<ApiKeyId>,
    pub(crate) account: bool,
}

impl Directory {
    fn read(&self) -> RwLockReadGuard<'_, Maps> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Maps> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    // --- accounts

    pub(crate) fn len(&self) -> usize {
        self.read().accounts.len()
    }

    pub(crate) fn admins(&self) -> usize {
        self.read().admins
    }

    pub(crate) fn account(&self, id: &UserId) -> Option<Arc<Account>> {
        self.read().accounts.get(id).map(|known| known.account.clone())
    }

    pub(crate) fn by_email(&self, email: &str) -> Option<Arc<Account>> {
        let maps = self.read();
        let id = maps.emails.get(email)?;
        maps.accounts.get(id).map(|known| known.account.clone())
    }

    pub(crate) fn accounts(&self) -> Vec<Arc<Account>> {
        self.read().accounts.values().map(|known| known.account.clone()).collect()
    }

    /// The principal of an account if `stamp` is still its session stamp; whether to note the use.
    pub(crate) fn by_session(
        &self,
        id: &UserId,
        stamp: &str,
        credential: Credential,
        now: UnixTime,
    ) -> Option<Result<(Principal, bool), StaleStamp>> {
        let maps = self.read();
        let known = maps.accounts.get(id)?;
        if known.account.session_stamp != stamp {
            return Some(Err(StaleStamp));
        }
        Some(Ok((known.principal(credential), known.seen.note(now))))
    }

    pub(crate) fn principal(&self, id: &UserId, credential: Credential) -> Option<Principal> {
        self.read().accounts.get(id).map(|known| known.principal(credential))
    }

    /// Note that an account is in use; answers with the time if that is worth writing down.
    pub(crate) fn note(&self, id: &UserId, now: UnixTime) -> Option<UnixTime> {
        self.read().accounts.get(id).filter(|known| known.seen.note(now)).map(|_| now)
    }

    /// Insert an account, or replace the one with its id.
    pub(crate) fn put_account(&self, account: Account) -> Arc<Account> {
        let mut maps = self.write();
        let account = Arc::new(account);
        let (mut groups, mut seen) = (None, None);
        if let Some(before) = maps.accounts.remove(&account.id) {
            maps.emails.remove(&before.email);
            maps.admins -= usize::from(before.account.role == Role::Admin);
            groups = Some(before.groups);
            seen = Some(before.seen);
        }
        let email: Arc<str> = account.email.as_str().into();
        maps.admins += usize::from(account.role == Role::Admin);
        maps.emails.insert(email.clone(), account.id.clone());
        maps.accounts.insert(
            account.id.clone(),
            Known {
                name: account.name.as_str().into(),
                email,
                groups: groups.unwrap_or_default(),
                seen: seen.unwrap_or_else(|| Seen::new(account.last_active_at)),
                account: account.clone(),
            },
        );
        account
    }

    pub(crate) fn remove_account(&self, id: &UserId) {
        let mut maps = self.write();
        let Some(before) = maps.accounts.remove(id) else { return };
        maps.emails.remove(&before.email);
        maps.admins -= usize::from(before.account.role == Role::Admin);
        maps.forget_key(id);
        for group in before.groups.iter() {
            if let Some(group) = maps.groups.get_mut(group) {
                Arc::make_mut(group).members.remove(id);
            }
        }
    }

    // --- keys

    pub(crate) fn by_key(&self, hash: &KeyHash, now: UnixTime) -> Option<KeyUse> {
        let maps = self.read();
        let held = maps.keys.get(hash)?;
        let known = maps.accounts.get(&held.record.owner)?;
        Some(KeyUse {
            principal: known.principal(Credential::ApiKey(held.record.id.clone())),
            key: held.seen.note(now).then(|| held.record.id.clone()),
            account: known.seen.note(now),
        })
    }

    pub(crate) fn key_of(&self, owner: &UserId) -> Option<Arc<ApiKeyRecord>> {
        let maps = self.read();
        maps.keys_by_owner.get(owner).and_then(|hash| maps.keys.get(hash)).map(|held| held.record.clone())
    }

    /// Replace the key of an account by this one, or by none.
    pub(crate) fn put_key(&self, owner: &UserId, key: Option<ApiKeyRecord>) {
        let mut maps = self.write();
        maps.forget_key(owner);
        if let Some(record) = key.map(Arc::new) {
            maps.keys_by_owner.insert(owner.clone(), record.hash);
            let seen = Seen::new(record.last_used_at.unwrap_or_default());
            maps.keys.insert(record.hash, Held { record, seen });
        }
    }

    // --- groups

    /// All groups, by name.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        let mut groups: Vec<_> = self.read().groups.values().cloned().collect();
        groups.sort_by(|one, other| one.name.cmp(&other.name).then_with(|| one.id.cmp(&other.id)));
        groups
    }

    pub(crate) fn group(&self, id: &GroupId) -> Option<Arc<Group>> {
        self.read().groups.get(id).cloned()
    }

    /// Whether any of these groups satisfies `test`.
    pub(crate) fn any_group(&self, ids: &[GroupId], mut test: impl FnMut(&Group) -> bool) -> bool {
        let maps = self.read();
        ids.iter().filter_map(|id| maps.groups.get(id)).any(|group| test(group))
    }

    /// Insert a group, or replace the one with its id.
    pub(crate) fn put_group(&self, group: Group) -> Arc<Group> {
        let mut maps = self.write();
        let group = Arc::new(group);
        if let Some(before) = maps.groups.insert(group.id.clone(), group.clone()) {
            maps.regroup(before.members.difference(&group.members), &group.id, false);
        }
        maps.regroup(group.members.iter(), &group.id, true);
        group
    }

    pub(crate) fn remove_group(&self, id: &GroupId) {
        let mut maps = self.write();
        if let Some(before) = maps.groups.remove(id) {
            maps.regroup(before.members.iter(), id, false);
        }
    }

    // --- uses

    /// Show in the accounts and keys themselves when they were last used.
    pub(crate) fn touch(&self, accounts: &[(UserId, UnixTime)], keys: &[(UserId, UnixTime)]) {
        let mut maps = self.write();
        for (id, at) in accounts {
            if let Some(known) = maps.accounts.get_mut(id) {
                Arc::make_mut(&mut known.account).last_active_at = *at;
            }
        }
        for (owner, at) in keys {
            let hash = maps.keys_by_owner.get(owner).copied();
            if let Some(held) = hash.and_then(|hash| maps.keys.get_mut(&hash)) {
                Arc::make_mut(&mut held.record).last_used_at = Some(*at);
            }
        }
    }
}

/// The session stamp has changed since the token was signed.
pub(crate) struct StaleStamp;
