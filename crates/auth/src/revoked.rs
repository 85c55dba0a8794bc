//! Sessions that were ended one by one, before their time.
//!
//! # Design
//! A token proves itself, so ending one session means remembering it until the token could no longer
//! be presented. How long that is cannot be read off a principal; it is at most the longest lifetime
//! that was ever in force, so that is remembered too. The list is kept under one setting and is
//! bounded: when it is full, the account with the most entries gets a new session stamp, which ends
//! all its sessions and makes its entries superfluous. Forgetting an entry instead would bring a
//! session back to life.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use breezeway_core::{SessionId, UnixTime, UserId};
use serde::{Deserialize, Serialize};

/// About 100 bytes each in the stored form, which every sign-out writes anew.
pub(crate) const MOST: usize = 2048;

struct Ended {
    owner: UserId,
    /// When even the longest-lived token of the session has expired; `None` for never.
    until: Option<UnixTime>,
}

struct State {
    /// The longest lifetime a token can have; `None` for ever.
    longest: Option<Duration>,
    sessions: HashMap<SessionId, Ended>,
}

/// The stored form.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    longest_seconds: Option<u64>,
    sessions: Vec<(String, String, Option<i64>)>,
}

pub(crate) struct Revoked(RwLock<State>);

impl Revoked {
    /// Nothing ended yet, with tokens of this lifetime.
    pub(crate) fn new(lifetime: Option<Duration>) -> Self {
        Self(RwLock::new(State { longest: lifetime, sessions: HashMap::new() }))
    }

    /// The list as it was stored, or `None` if the text is not one.
    pub(crate) fn parse(text: &str, now: UnixTime) -> Option<Self> {
        let stored: Stored = serde_json::from_str(text).ok()?;
        let mut sessions = HashMap::new();
        for (session, owner, until) in stored.sessions {
            let until = until.map(UnixTime::from_seconds);
            if until.is_none_or(|until| until > now) {
                sessions.insert(session.parse().ok()?, Ended { owner: owner.parse().ok()?, until });
            }
        }
        Some(Self(RwLock::new(State { longest: stored.longest_seconds.map(Duration::from_secs), sessions })))
    }

    pub(crate) fn to_text(&self) -> String {
        let state = self.read();
        let stored = Stored {
            longest_seconds: state.longest.map(|longest| longest.as_secs()),
            sessions: state
                .sessions
                .iter()
                .map(|(session, ended)| {
                    (session.to_string(), ended.owner.to_string(), ended.until.map(UnixTime::seconds))
                })
                .collect(),
        };
        serde_json::to_string(&stored).unwrap_or_default()
    }

    pub(crate) fn contains(&self, session: &SessionId) -> bool {
        self.read().sessions.contains_key(session)
    }

    /// Tokens of this lifetime are signed from now on; answers whether that has to be stored.
    pub(crate) fn allow(&self, lifetime: Option<Duration>) -> bool {
        let mut state = self.write();
        let longer = match (state.longest, lifetime) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(longest), Some(lifetime)) => lifetime > longest,
        };
        if longer {
            state.longest = lifetime;
        }
        longer
    }

    /// End a session. Answers with the accounts whose sessions must all end to make room.
    pub(crate) fn insert(&self, session: SessionId, owner: UserId, now: UnixTime) -> HashSet<UserId> {
        let mut state = self.write();
        state.sessions.retain(|_, ended| ended.until.is_none_or(|until| until > now));
        // A second on top, because a token may be signed at the very moment its session ends.
        let until = state.longest.map(|longest| now.plus(longest + Duration::from_secs(1)));
        state.sessions.insert(session, Ended { owner, until });
        if state.sessions.len() <= MOST {
            return HashSet::new();
        }
        let mut counts = HashMap::<&UserId, usize>::new();
        for ended in state.sessions.values() {
            *counts.entry(&ended.owner).or_default() += 1;
        }
        let mut excess = state.sessions.len() - MOST;
        let mut by_count: Vec<_> = counts.into_iter().collect();
        by_count.sort_unstable_by_key(|&(_, count)| std::cmp::Reverse(count));
        let mut crowded = HashSet::new();
        for (owner, count) in by_count {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(count);
            crowded.insert(owner.clone());
        }
        crowded
    }

    /// All sessions of an account have ended otherwise.
    pub(crate) fn forget(&self, owner: &UserId) {
        self.write().sessions.retain(|_, ended| ended.owner != *owner);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_list_survives_being_stored_and_drops_what_has_expired() {
        let (session, owner) = (SessionId::mint(), UserId::mint());
        let revoked = Revoked::new(Some(HOUR));
        revoked.insert(session.clone(), owner, NOW);

        let text = revoked.to_text();

        assert!(Revoked::parse(&text, NOW).unwrap().contains(&session));
        assert!(Revoked::parse(&text, NOW.plus(HOUR)).unwrap().contains(&session));
        assert!(!Revoked::parse(&text, NOW.plus(HOUR * 2)).unwrap().contains(&session));
        assert!(Revoked::parse("[]", NOW).is_none());
    }

    #[test]
    fn a_session_is_remembered_as_long_as_the_longest_lived_token() {
        let revoked = Revoked::new(Some(HOUR * 10));
        let early = SessionId::mint();

        assert!(!revoked.allow(Some(HOUR)));
        revoked.insert(early.clone(), UserId::mint(), NOW);
        revoked.insert(SessionId::mint(), UserId::mint(), NOW.plus(HOUR * 9));

        assert!(revoked.contains(&early));
        assert!(revoked.allow(None));
        assert!(!revoked.allow(Some(HOUR)));
    }

    #[test]
    fn a_full_list_makes_room_at_the_expense_of_whoever_filled_it() {
        let (greedy, modest) = (UserId::mint(), UserId::mint());
        let revoked = Revoked::new(None);
        revoked.insert(SessionId::mint(), modest.clone(), NOW);
        for _ in 1..MOST {
            assert!(revoked.insert(SessionId::mint(), greedy.clone(), NOW).is_empty());
        }

        let crowded = revoked.insert(SessionId::mint(), modest, NOW);

        assert_eq!(crowded, HashSet::from([greedy.clone()]));
        revoked.forget(&greedy);
        assert_eq!(revoked.read().sessions.len(), 2);
    }
}
