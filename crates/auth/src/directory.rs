//! Everything that is asked per request, in memory.
//!
//! One lock over plain maps, held for a lookup and never across an await. What a principal needs is
//! shared by `Arc`; what only changes and lists ask for is packed, and unpacked for each that asks. A
//! change reaches the directory only after the store has it.

mod known;
mod packed;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use breezeway_core::{ApiKeyId, Credential, GroupId, KeyRules, Principal, Role, UnixTime, UserId};

use self::{
    known::{Known, Place, Seen},
    packed::Tag,
};
use crate::{Account, ApiKeyRecord, Group, KeyHash};

/// Where a key with this hash is.
fn place(hash: &KeyHash) -> Place {
    hash.0.first_chunk().copied().unwrap_or_default()
}

/// The half of a hash that its place does not say.
fn rest(hash: &KeyHash) -> [u8; 16] {
    hash.0.last_chunk().copied().unwrap_or_default()
}

/// What a request with a key asks for. What only a list of keys shows stays in the store.
struct Held {
    rest: [u8; 16],
    id: Tag,
    owner: UserId,
    /// In seconds; the last there are for never.
    expires_at: i64,
    /// `None` unless something is narrowed; an end narrows too, for a key that could make others
    /// would outlive it in them.
    rules: Option<Arc<KeyRules>>,
    seen: Seen,
}

impl Held {
    fn new(record: &ApiKeyRecord, owner: UserId) -> Self {
        let narrows = record.expires_at.is_some() || record.rules != KeyRules::default();
        Self {
            rest: rest(&record.hash),
            id: Tag::new(record.id.as_str()),
            owner,
            expires_at: record.expires_at.map_or(i64::MAX, UnixTime::seconds),
            rules: narrows.then(|| Arc::new(record.rules.clone())),
            seen: Seen::new(record.last_used_at.unwrap_or_default()),
        }
    }

    /// Whether this is the key with that hash, given that it is at its place.
    fn has_hash(&self, place: Place, hash: &KeyHash) -> bool {
        let mut own = [0; 32];
        own[..16].copy_from_slice(&place);
        own[16..].copy_from_slice(&self.rest);
        KeyHash(own).same_as(hash)
    }

    fn id(&self) -> Option<ApiKeyId> {
        self.id.with(|id| id.parse().ok())
    }
}

#[derive(Default)]
struct Maps {
    accounts: HashMap<UserId, Known>,
    emails: HashMap<Arc<str>, UserId>,
    admins: usize,
    keys: HashMap<Place, Held>,
    groups: HashMap<GroupId, Arc<Group>>,
    /// What password hashes have in common.
    heads: Vec<Arc<str>>,
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

    /// Forget those keys of an account that are `gone`.
    fn forget_keys(&mut self, owner: &UserId, gone: impl Fn(&Tag) -> bool) {
        let Some(known) = self.accounts.get_mut(owner) else { return };
        let (gone, kept): (Vec<Place>, Vec<Place>) =
            known.keys.iter().partition(|place| self.keys.get(*place).is_none_or(|held| gone(&held.id)));
        known.keys = kept.into();
        for place in gone {
            self.keys.remove(&place);
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
        self.read().accounts.get(id).map(|known| Arc::new(known.account(id)))
    }

    pub(crate) fn by_email(&self, email: &str) -> Option<Arc<Account>> {
        let maps = self.read();
        let id = maps.emails.get(email)?;
        maps.accounts.get(id).map(|known| Arc::new(known.account(id)))
    }

    pub(crate) fn accounts(&self) -> Vec<Arc<Account>> {
        self.read().accounts.iter().map(|(id, known)| Arc::new(known.account(id))).collect()
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
        let (id, known) = maps.accounts.get_key_value(id)?;
        if !known.has_stamp(stamp) {
            return Some(Err(StaleStamp));
        }
        Some(Ok((known.principal(id, credential, None), known.seen.note(now))))
    }

    pub(crate) fn principal(&self, id: &UserId, credential: Credential) -> Option<Principal> {
        self.read().accounts.get(id).map(|known| known.principal(id, credential, None))
    }

    /// Note that an account is in use; answers with the time if that is worth writing down.
    pub(crate) fn note(&self, id: &UserId, now: UnixTime) -> Option<UnixTime> {
        self.read().accounts.get(id).filter(|known| known.seen.note(now)).map(|_| now)
    }

    /// Insert an account, or replace the one with its id.
    pub(crate) fn put_account(&self, account: Account) -> Arc<Account> {
        let mut maps = self.write();
        let maps = &mut *maps;
        let mut known = Known::new(&account, &mut maps.heads);
        if let Some(before) = maps.accounts.remove(&account.id) {
            maps.emails.remove(&before.email);
            maps.admins -= usize::from(before.role == Role::Admin);
            (known.groups, known.keys, known.seen) = (before.groups, before.keys, before.seen);
        }
        maps.admins += usize::from(account.role == Role::Admin);
        maps.emails.insert(known.email.clone(), account.id.clone());
        maps.accounts.insert(account.id.clone(), known);
        Arc::new(account)
    }

    pub(crate) fn remove_account(&self, id: &UserId) {
        let mut maps = self.write();
        maps.forget_keys(id, |_| true);
        let Some(before) = maps.accounts.remove(id) else { return };
        maps.emails.remove(&before.email);
        maps.admins -= usize::from(before.role == Role::Admin);
        for group in before.groups.iter() {
            if let Some(group) = maps.groups.get_mut(group) {
                Arc::make_mut(group).members.remove(id);
            }
        }
    }

    // --- keys

    /// The answer to a key that is known and has not ended; others are all alike.
    pub(crate) fn by_key(&self, hash: &KeyHash, now: UnixTime) -> Option<KeyUse> {
        let maps = self.read();
        let place = place(hash);
        let held = maps.keys.get(&place).filter(|held| held.has_hash(place, hash))?;
        if held.expires_at <= now.seconds() {
            return None;
        }
        let known = maps.accounts.get(&held.owner)?;
        let id = held.id()?;
        Some(KeyUse {
            key: held.seen.note(now).then(|| id.clone()),
            principal: known.principal(&held.owner, Credential::ApiKey(id), held.rules.clone()),
            account: known.seen.note(now),
        })
    }

    /// How many keys an account has.
    pub(crate) fn count_keys(&self, owner: &UserId) -> usize {
        self.read().accounts.get(owner).map_or(0, |known| known.keys.len())
    }

    /// `owner`, if one of its keys has this id.
    pub(crate) fn owner_of(&self, id: &ApiKeyId, owner: &UserId) -> Option<UserId> {
        let maps = self.read();
        let mut held = maps.accounts.get(owner)?.keys.iter().filter_map(|place| maps.keys.get(place));
        held.find(|held| held.id.is(id.as_str())).map(|held| held.owner.clone())
    }

    /// Whose key has this id. Looks at all of them, so it is for admins, not for requests.
    pub(crate) fn owner_of_any(&self, id: &ApiKeyId) -> Option<UserId> {
        self.read().keys.values().find(|held| held.id.is(id.as_str())).map(|held| held.owner.clone())
    }

    /// When a key was last used as far as memory knows; `None` if it knows nothing newer.
    pub(crate) fn key_seen(&self, hash: &KeyHash) -> Option<UnixTime> {
        self.read().keys.get(&place(hash)).map(|held| held.seen.at()).filter(|at| *at > UnixTime::default())
    }

    /// Insert a key, or replace the one with its hash. One whose owner is not there stays away.
    pub(crate) fn put_key(&self, record: &ApiKeyRecord) {
        let mut maps = self.write();
        let Some((owner, known)) = maps.accounts.get_key_value(&record.owner) else { return };
        let place = place(&record.hash);
        let (owner, is_new) = (owner.clone(), !known.keys.contains(&place));
        let mut held = Held::new(record, owner);
        if let Some(before) = maps.keys.get(&place) {
            held.seen = Seen::new(before.seen.at());
        }
        maps.keys.insert(place, held);
        if let Some(known) = maps.accounts.get_mut(&record.owner).filter(|_| is_new) {
            known.keys = known.keys.iter().copied().chain([place]).collect();
        }
    }

    /// Forget one key of an account.
    pub(crate) fn remove_key(&self, owner: &UserId, id: &ApiKeyId) {
        self.write().forget_keys(owner, |key| key.is(id.as_str()));
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

    /// Show in the accounts themselves when they were last used.
    pub(crate) fn touch(&self, accounts: &[(UserId, UnixTime)]) {
        let mut maps = self.write();
        for (id, at) in accounts {
            if let Some(known) = maps.accounts.get_mut(id) {
                known.rest.last_active_at = *at;
            }
        }
    }
}

/// The session stamp has changed since the token was signed.
pub(crate) struct StaleStamp;
