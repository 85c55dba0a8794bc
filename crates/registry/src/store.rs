//! The port to whatever keeps overlays.

use async_trait::async_trait;
use breezeway_core::{ModelId, StoreError};

use crate::Overlay;

/// Overlays. Read as a whole at start, written through afterwards.
///
/// # Contract
/// - every call is one transaction;
/// - `insert_overlay` of a known id is `StoreError::Taken("model id")` and changes nothing;
/// - `replace_overlays` leaves exactly the given ones.
#[async_trait]
pub trait ModelStore: Send + Sync + 'static {
    /// All overlays, in the order they were made.
    async fn overlays(&self) -> Result<Vec<Overlay>, StoreError>;

    /// Insert one.
    async fn insert_overlay(&self, overlay: &Overlay) -> Result<(), StoreError>;

    /// Insert or replace some.
    async fn save_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError>;

    /// Delete one; answers whether it existed.
    async fn delete_overlay(&self, id: &ModelId) -> Result<bool, StoreError>;

    /// Have exactly these.
    async fn replace_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError>;
}
