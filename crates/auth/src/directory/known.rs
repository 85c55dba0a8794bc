//! An account as the directory holds it: what requests ask for at hand, the rest packed.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use breezeway_core::{Credential, GroupId, KeyRules, Principal, Role, UnixTime, UserId};

use super::packed::{PackedHash, Tag};
use crate::{Account, Profile, account::DEFAULT_IMAGE};

/// Where a key is looked for: half of its hash, which no two keys share by chance.
pub(super) type Place = [u8; 16];

/// An account with what a principal of it needs, ready to be shared. Its id is beside it.
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) email: Arc<str>,
    pub(super) groups: Arc<[GroupId]>,
    /// Where its keys are; most have one or none, so there is no room for more.
    pub(super) keys: Box<[Place]>,
    pub(super) role: Role,
    pub(super) seen: Seen,
    pub(super) rest: Box<Rest>,
}

/// What only changes and lists of accounts ask for.
pub(super) struct Rest {
    stamp: Tag,
    password: PackedHash,
    /// `None` for the default.
    profile_image_url: Option<Box<str>>,
    /// `None` for an empty one.
    profile: Option<Box<Profile>>,
    pub(super) last_active_at: UnixTime,
    created_at: UnixTime,
    updated_at: UnixTime,
}

impl Known {
    pub(super) fn new(account: &Account, heads: &mut Vec<Arc<str>>) -> Self {
        let url = account.profile_image_url.as_str();
        let rest = Rest {
            stamp: Tag::new(&account.session_stamp),
            password: PackedHash::new(&account.password, heads),
            profile_image_url: (url != DEFAULT_IMAGE).then(|| url.into()),
            profile: (!account.profile.is_empty()).then(|| Box::new(account.profile.clone())),
            last_active_at: account.last_active_at,
            created_at: account.created_at,
            updated_at: account.updated_at,
        };
        Self {
            name: account.name.as_str().into(),
            email: account.email.as_str().into(),
            groups: Arc::default(),
            keys: Box::default(),
            role: account.role,
            seen: Seen::new(account.last_active_at),
            rest: Box::new(rest),
        }
    }

    /// Whether this is its session stamp.
    pub(super) fn has_stamp(&self, stamp: &str) -> bool {
        self.rest.stamp.is(stamp)
    }

    pub(super) fn principal(
        &self,
        id: &UserId,
        credential: Credential,
        rules: Option<Arc<KeyRules>>,
    ) -> Principal {
        Principal {
            user: id.clone(),
            role: self.role,
            name: self.name.clone(),
            email: self.email.clone(),
            groups: self.groups.clone(),
            credential,
            rules,
        }
    }

    /// The account as everybody else knows it.
    pub(super) fn account(&self, id: &UserId) -> Account {
        let rest = &self.rest;
        Account {
            id: id.clone(),
            email: self.email.as_ref().to_owned(),
            name: self.name.as_ref().to_owned(),
            role: self.role,
            profile_image_url: rest.profile_image_url.as_deref().unwrap_or(DEFAULT_IMAGE).to_owned(),
            profile: rest.profile.as_deref().cloned().unwrap_or_default(),
            password: rest.password.unpack(),
            session_stamp: rest.stamp.with(str::to_owned),
            last_active_at: rest.last_active_at,
            created_at: rest.created_at,
            updated_at: rest.updated_at,
        }
    }
}

/// When something was last seen, to the minute: between two notes nothing is written.
pub(super) struct Seen(AtomicI64);

/// How old a note must be before a new one is worth it, in seconds.
const ROUGHLY: i64 = 60;

impl Seen {
    pub(super) fn new(at: UnixTime) -> Self {
        Self(AtomicI64::new(at.seconds()))
    }

    pub(super) fn at(&self) -> UnixTime {
        UnixTime::from_seconds(self.0.load(Ordering::Relaxed))
    }

    /// Whether this use is to be noted; of many at once, one is.
    pub(super) fn note(&self, now: UnixTime) -> bool {
        let (last, now) = (self.0.load(Ordering::Relaxed), now.seconds());
        now.saturating_sub(last) >= ROUGHLY
            && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
