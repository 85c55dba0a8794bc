//! Overlays in memory, for tests and for embedders.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use breezeway_core::{ModelId, StoreError};

use crate::{ModelStore, Overlay};

/// The port in memory. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct MemoryModels(Arc<Mutex<Vec<Overlay>>>);

impl MemoryModels {
    fn list(&self) -> MutexGuard<'_, Vec<Overlay>> {
        // No call leaves the list half changed, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ModelStore for MemoryModels {
    async fn overlays(&self) -> Result<Vec<Overlay>, StoreError> {
        let mut overlays = self.list().clone();
        overlays.sort_by_key(|overlay| overlay.created_at);
        Ok(overlays)
    }

    async fn insert_overlay(&self, overlay: &Overlay) -> Result<(), StoreError> {
        let mut list = self.list();
        if list.iter().any(|stored| stored.id == overlay.id) {
            return Err(StoreError::Taken("model id"));
        }
        list.push(overlay.clone());
        Ok(())
    }

    async fn save_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        save(&mut self.list(), overlays);
        Ok(())
    }

    async fn delete_overlay(&self, id: &ModelId) -> Result<bool, StoreError> {
        let mut list = self.list();
        let before = list.len();
        list.retain(|stored| stored.id != *id);
        Ok(list.len() < before)
    }

    async fn replace_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        let mut list = self.list();
        list.clear();
        save(&mut list, overlays);
        Ok(())
    }
}

fn save(list: &mut Vec<Overlay>, overlays: &[Overlay]) {
    for overlay in overlays {
        match list.iter_mut().find(|stored| stored.id == overlay.id) {
            Some(stored) => *stored = overlay.clone(),
            None => list.push(overlay.clone()),
        }
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
