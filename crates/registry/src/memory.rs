//! Overlays in memory, for tests and for embedders.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use breezeway_core::{Grantee, ModelId, StoreError};

use crate::{ModelStore, Overlay};

/// The port in memory. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct MemoryModels(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    list: Vec<Overlay>,
    departed: HashSet<Grantee>,
}

impl MemoryModels {
    fn state(&self) -> MutexGuard<'_, State> {
        // No call leaves the state half changed, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ModelStore for MemoryModels {
    async fn overlays(&self) -> Result<Vec<Overlay>, StoreError> {
        let mut overlays = self.state().list.clone();
        overlays.sort_by_key(|overlay| overlay.created_at);
        Ok(overlays)
    }

    async fn insert_overlay(&self, overlay: &Overlay) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.list.iter().any(|stored| stored.id == overlay.id) {
            return Err(StoreError::Taken("model id"));
        }
        state.save(std::slice::from_ref(overlay))
    }

    async fn save_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        self.state().save(overlays)
    }

    async fn delete_overlay(&self, id: &ModelId) -> Result<bool, StoreError> {
        let mut state = self.state();
        let before = state.list.len();
        state.list.retain(|stored| stored.id != *id);
        Ok(state.list.len() < before)
    }

    async fn replace_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.refuse_departed(overlays)?;
        state.list.clear();
        state.save(overlays)
    }

    async fn depart(&self, who: &Grantee) -> Result<(), StoreError> {
        let mut state = self.state();
        state.departed.insert(who.clone());
        for overlay in &mut state.list {
            overlay.grants = overlay.grants.without(who);
        }
        Ok(())
    }
}

impl State {
    fn refuse_departed(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        let gone = |owner: &&Overlay| self.departed.contains(&Grantee::User(owner.owner.clone()));
        match overlays.iter().find(gone) {
            Some(overlay) => Err(StoreError::Departed(overlay.owner.clone())),
            None => Ok(()),
        }
    }

    fn save(&mut self, overlays: &[Overlay]) -> Result<(), StoreError> {
        self.refuse_departed(overlays)?;
        for overlay in overlays {
            let lines = overlay.grants.iter().filter(|grant| !self.departed.contains(&grant.grantee));
            let overlay = Overlay { grants: lines.cloned().collect(), ..overlay.clone() };
            match self.list.iter_mut().find(|stored| stored.id == overlay.id) {
                Some(stored) => *stored = overlay,
                None => self.list.push(overlay),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn overlays_in_memory_keep_the_contract_of_the_port() {
        conformance::model_store(async || MemoryModels::default()).await;
    }
}
