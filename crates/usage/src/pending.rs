//! Rows of the ledger that are not written down yet.
//!
//! Settling a call adds to a row here, under the lock of one shard, and never waits for a store.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{LedgerKey, Totals};

pub(crate) const SHARDS: usize = 64;

/// The model under which calls of too many models are added up.
const OTHER: &str = "(other)";

/// Memory may hold this many times the rows that make it ask to be emptied; then models of new rows
/// are no longer kept apart.
const HARD: usize = 16;

pub(crate) struct Pending {
    shards: [Mutex<HashMap<LedgerKey, Totals>>; SHARDS],
    rows: AtomicUsize,
    wanted: usize,
}

impl Pending {
    /// Rows in memory, which should stay below `wanted`.
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            rows: AtomicUsize::new(0),
            wanted: wanted.max(1),
        }
    }

    /// Add a call to its row. True if it is time to write rows down.
    pub(crate) fn add(&self, mut key: LedgerKey, totals: &Totals) -> bool {
        let rows = self.rows.load(Ordering::Relaxed);
        if rows >= self.wanted.saturating_mul(HARD) {
            // The store has been failing for long. What is left of the key has as many values as
            // there are accounts and keys.
            (key.model, key.upstream) = (OTHER.into(), None);
        }
        let mut shard = lock(&self.shards[shard(key.account.as_str(), &key.model)]);
        let before = shard.len();
        shard.entry(key).or_default().add(totals);
        let new = shard.len() - before;
        if new > 0 {
            // Counted while the shard is held: a row that `take` can find is already in the count, which
            // therefore never falls below zero.
            self.rows.fetch_add(new, Ordering::Relaxed);
        }
        rows.saturating_add(new) >= self.wanted
    }

    /// Take about `limit` rows out.
    pub(crate) fn take(&self, limit: usize) -> Vec<(LedgerKey, Totals)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let room = limit.saturating_sub(taken.len());
            if room == 0 {
                break;
            }
            let mut shard = lock(shard);
            if shard.len() <= room {
                let rows = mem::take(&mut *shard);
                drop(shard);
                taken.extend(rows);
            } else {
                let keys: Vec<_> = shard.keys().take(room).cloned().collect();
                taken.extend(keys.into_iter().filter_map(|key| shard.remove_entry(&key)));
            }
        }
        self.rows.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    /// How many rows are here.
    pub(crate) fn len(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Look at every row.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&LedgerKey, &Totals)) {
        for shard in &self.shards {
            lock(shard).iter().for_each(|(key, totals)| look(key, totals));
        }
    }
}

/// Which shard a holder's rows or limits are in: FNV-1a over the end of its id, where ids minted here
/// are random, and another text.
pub(crate) fn shard(id: &str, other: &str) -> usize {
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = id.bytes().rev().take(12).chain(other.bytes().rev().take(8));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    // The remainder is below 64.
    ((hash >> 32) % SHARDS as u64) as usize
}

/// A panic under one of these locks has left whole numbers behind, so a poisoned one is sound.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
