//! Responses in memory, for tests and for programs that keep nothing.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use breezeway_core::{ResponseId, StoreError, UserId};

use super::{Keep, ResponseStore, StoredResponse};

/// Responses in memory.
#[derive(Debug, Default)]
pub struct MemoryResponses(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In the order they were kept.
    kept: Vec<StoredResponse>,
    departed: HashSet<UserId>,
}

impl MemoryResponses {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ResponseStore for MemoryResponses {
    async fn keep_response(&self, response: &StoredResponse, keep: Keep) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.departed.contains(&response.owner) {
            return Err(StoreError::Departed(response.owner.clone()));
        }
        if state.kept.iter().any(|known| known.id == response.id) {
            return Err(StoreError::Taken("response"));
        }
        state.kept.push(response.clone());
        state.kept.retain(|known| known.created_at >= keep.since);
        let mut left = keep.most;
        let stays: Vec<bool> = state
            .kept
            .iter()
            .rev()
            .map(|known| {
                let is_theirs = known.owner == response.owner;
                let stays = !is_theirs || left > 0;
                left -= usize::from(is_theirs && left > 0);
                stays
            })
            .collect();
        let mut stays = stays.into_iter().rev();
        state.kept.retain(|_| stays.next().unwrap_or(true));
        Ok(())
    }

    async fn response(&self, owner: &UserId, id: &ResponseId) -> Result<Option<StoredResponse>, StoreError> {
        let state = self.state();
        Ok(state.kept.iter().find(|known| known.id == *id && known.owner == *owner).cloned())
    }

    async fn delete_response(&self, owner: &UserId, id: &ResponseId) -> Result<bool, StoreError> {
        let mut state = self.state();
        let before = state.kept.len();
        state.kept.retain(|known| known.id != *id || known.owner != *owner);
        Ok(state.kept.len() < before)
    }

    async fn depart_from_responses(&self, account: &UserId) -> Result<(), StoreError> {
        let mut state = self.state();
        state.departed.insert(account.clone());
        state.kept.retain(|known| known.owner != *account);
        Ok(())
    }
}
