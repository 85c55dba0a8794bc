//! The port to whatever keeps overlays.

use async_trait::async_trait;
use breezeway_core::{Grantee, ModelId, StoreError};

use crate::Overlay;

/// Overlays. Read as a whole at start, written through afterwards.
///
/// # Contract
/// - every call is one transaction;
/// - `insert_overlay` of a known id is `StoreError::Taken("model id")` and changes nothing;
/// - `replace_overlays` leaves exactly the given ones;
/// - once an account has departed, inserting or saving one of its overlays is `StoreError::Departed`
///   and changes nothing, and lines of access lists that name departed accounts and groups are left out.
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

    /// Have an account or group depart for good: from now on nothing is inserted for it or granted to
    /// it, and what was granted to it is not any more. Its overlays stay until they are deleted or saved
    /// with another owner. Doing so again is no error.
    async fn depart(&self, who: &Grantee) -> Result<(), StoreError>;
}
