//! How the parts below the API are.

use std::sync::Arc;

use async_trait::async_trait;
use breezeway_api::Health;
use breezeway_core::Live;
use breezeway_registry::Registry;
use breezeway_store::Store;

/// Asks the parts.
pub(crate) struct Pulse {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    /// Why there are no vectors, if there are none.
    pub(crate) embedding: Live<Option<String>>,
}

#[async_trait]
impl Health for Pulse {
    async fn database(&self) -> bool {
        self.store.ping().await.is_ok()
    }

    fn shortcomings(&self) -> Vec<String> {
        let embedding: Arc<Option<String>> = self.embedding.load();
        let mut notes: Vec<String> = embedding.iter().cloned().collect();
        if !self.registry.is_warm() {
            notes.push("Not every upstream has been asked for its models yet.".into());
        }
        notes
    }
}
