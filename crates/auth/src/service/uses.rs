//! Who and what was used lately: gathered in memory, written in batches.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use breezeway_core::{ApiKeyId, UnixTime, UserId};

use super::Auth;
use crate::Result;

/// How many uses one transaction of the store takes, so that a flush does not hold up its writer.
const BATCH: usize = 1000;

/// Uses not written yet. Bounded by the number of accounts and keys, and entered at most once a
/// minute for each of them.
#[derive(Default)]
pub(super) struct Uses(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    accounts: HashMap<UserId, UnixTime>,
    keys: HashMap<ApiKeyId, UnixTime>,
}

impl Uses {
    pub(super) fn note_account(&self, id: &UserId, at: Option<UnixTime>) {
        if let Some(at) = at {
            self.gathered(|uses| uses.accounts.insert(id.clone(), at));
        }
    }

    pub(super) fn note_key(&self, key: Option<ApiKeyId>, at: UnixTime) {
        if let Some(key) = key {
            self.gathered(|uses| uses.keys.insert(key, at));
        }
    }

    fn gathered<T>(&self, change: impl FnOnce(&mut Gathered) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self) -> Gathered {
        self.gathered(std::mem::take)
    }

    /// Put back what could not be written, unless something newer has come since.
    fn put_back(&self, old: Gathered) {
        self.gathered(|uses| {
            for (id, at) in old.accounts {
                uses.accounts.entry(id).or_insert(at);
            }
            for (id, at) in old.keys {
                uses.keys.entry(id).or_insert(at);
            }
        });
    }
}

impl Auth {
    /// Write what is only kept roughly (last used, last active); run every few seconds and at the end.
    ///
    /// # Errors
    /// The store's; what was not written is kept for the next time.
    pub async fn flush(&self) -> Result<()> {
        self.write(async |auth| auth.write_uses().await).await
    }

    async fn write_uses(&self) -> Result<()> {
        let uses = self.0.uses.take();
        let accounts: Vec<_> = uses.accounts.iter().map(|(id, at)| (id.clone(), *at)).collect();
        let keys: Vec<_> = uses.keys.iter().map(|(id, at)| (id.clone(), *at)).collect();
        for batch in accounts.chunks(BATCH) {
            if let Err(failure) = self.0.store.touch(batch, &[]).await {
                self.0.uses.put_back(uses);
                return Err(failure.into());
            }
        }
        for batch in keys.chunks(BATCH) {
            if let Err(failure) = self.0.store.touch(&[], batch).await {
                self.0.uses.put_back(uses);
                return Err(failure.into());
            }
        }
        self.0.directory.touch(&accounts);
        Ok(())
    }
}
