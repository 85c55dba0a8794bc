//! The limits of keys, in memory.
//!
//! Only keys that have limits are here, and only those in use or with a budget that has been touched
//! in its running period; the others are forgotten, shard by shard.

mod key;

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex},
};

use breezeway_core::{Credential, Limits, Principal, UnixTime};

use crate::{
    BudgetRecord, Day, RateState, Refusal,
    budget::Budget,
    pending::{SHARDS, lock, shard},
};

pub(crate) use self::key::{Ask, Hold, Key, Verdict};

/// Now, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// By the calendar.
    pub(crate) time: UnixTime,
    /// Milliseconds of a clock that never goes back.
    pub(crate) ms: u64,
}

impl Now {
    pub(crate) fn day(self) -> Day {
        Day::of(self.time)
    }
}

type Shard = HashMap<Arc<str>, Arc<Key>>;

pub(crate) struct Keys {
    shards: [Mutex<Shard>; SHARDS],
    /// Keys whose lease the flush should look at.
    touched: Mutex<Vec<Arc<Key>>>,
}

/// The limits of whoever asks, if there are any.
pub(crate) fn limits(principal: &Principal) -> Option<&Limits> {
    principal.rules.as_ref().map(|rules| &rules.limits).filter(|limits| !limits.is_unlimited())
}

/// Under which name limits are kept: the key's id, or the account's for rules that came without a key.
fn holder(principal: &Principal) -> Cow<'_, str> {
    match &principal.credential {
        Credential::ApiKey(key) => key.as_str().into(),
        Credential::Session(_) | Credential::Local => format!("account {}", principal.user).into(),
    }
}

impl Keys {
    pub(crate) fn new(budgets: &[BudgetRecord], today: Day) -> Self {
        let keys = Self { shards: std::array::from_fn(|_| Mutex::default()), touched: Mutex::default() };
        for record in budgets {
            let budget = Budget::recovered(record);
            if !budget.is_over(today) {
                let key = Arc::new(Key::new(record.holder.clone(), Some(budget)));
                lock(&keys.shards[shard(&record.holder, "")]).insert(record.holder.clone(), key);
            }
        }
        keys
    }

    /// Count a request.
    pub(crate) fn admit(
        &self,
        principal: &Principal,
        limits: &Limits,
        now: Now,
    ) -> Result<RateState, Refusal> {
        self.key(principal).admit(limits, now)
    }

    /// Ask for something to hold. `register` makes the next flush raise a lease that is too small.
    pub(crate) fn hold(
        &self,
        principal: &Principal,
        limits: &Limits,
        ask: &Ask,
        now: Now,
        register: bool,
    ) -> Verdict {
        let key = self.key(principal);
        let verdict = key.hold(limits, ask, now, register);
        self.touch(&key);
        verdict
    }

    /// Have the flush look at a key, if it has a budget.
    pub(crate) fn touch(&self, key: &Arc<Key>) {
        if key.begin_touch() {
            lock(&self.touched).push(key.clone());
        }
    }

    /// The keys to look at.
    pub(crate) fn take_touched(&self) -> VecDeque<Arc<Key>> {
        mem::take(&mut *lock(&self.touched)).into()
    }

    /// Look at a key again next time.
    pub(crate) fn touch_again(&self, key: Arc<Key>) {
        lock(&self.touched).push(key);
    }

    /// Forget what is not needed, in one shard of [`SHARDS`].
    pub(crate) fn sweep(&self, shard: usize, now: Now) {
        let mut shard = lock(&self.shards[shard % SHARDS]);
        // One count is the map's: whoever else wants the key has to come through this lock.
        shard.retain(|_, key| !(key.tidy(now) && Arc::strong_count(key) == 1));
        if shard.capacity() > 4 * shard.len() + 64 {
            shard.shrink_to_fit();
        }
    }

    /// How many keys are here.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn key(&self, principal: &Principal) -> Arc<Key> {
        let holder = holder(principal);
        let mut shard = lock(&self.shards[shard(&holder, "")]);
        if let Some(key) = shard.get(holder.as_ref()) {
            return key.clone();
        }
        let holder: Arc<str> = holder.into();
        let key = Arc::new(Key::new(holder.clone(), None));
        shard.insert(holder, key.clone());
        key
    }
}
