//! The library's collections as models of the registry.

use std::{sync::Arc, time::Duration};

use breezeway_core::{ModelId, StoreError};
use breezeway_knowledge::{CollectionQuery, LibraryStore};
use breezeway_registry::{AskedCollection, Registry};
use tokio::{sync::Notify, time::timeout};
use tracing::warn;

/// How often the list is made anew although nobody said that it has changed: a request that was cut off
/// may have changed it without saying so.
const EVERY: Duration = Duration::from_secs(30);

/// Keeps the registry's list of collections like the library's. What may be read is asked again at every
/// search, so that a list that is a moment old gives nothing away but a name.
pub(crate) struct Shelf {
    pub(crate) base: ModelId,
    pub(crate) store: Arc<dyn LibraryStore>,
    pub(crate) registry: Registry,
    pub(crate) changes: Arc<Notify>,
}

impl Shelf {
    /// Make the list anew, now.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn renew(&self) -> Result<(), StoreError> {
        let collections = self.store.collections(&CollectionQuery::default()).await?;
        let asked = collections.into_iter().filter(|(collection, _)| !collection.is_named()).map(
            |(collection, _)| AskedCollection {
                id: collection.id,
                name: collection.name,
                description: collection.description,
                owner: collection.owner,
                grants: collection.grants,
                created_at: collection.created_at,
                updated_at: collection.updated_at,
            },
        );
        self.registry.offer_collections(self.base.clone(), asked.collect());
        Ok(())
    }

    /// Make the list anew whenever it changes, for as long as this is polled.
    pub(crate) async fn run(&self) {
        loop {
            let _ = timeout(EVERY, self.changes.notified()).await;
            if let Err(error) = self.renew().await {
                warn!(%error, "The collections that can be asked like models are not up to date");
            }
        }
    }
}
