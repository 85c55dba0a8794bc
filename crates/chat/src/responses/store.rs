//! The port to whatever keeps responses.

use async_trait::async_trait;
use breezeway_core::{ResponseId, StoreError, UserId};

use super::{Keep, StoredResponse};

/// Kept responses.
///
/// # Contract
/// - every call is one transaction;
/// - a response of somebody else's is one that does not exist;
/// - what is kept reads back as it was, numbers and the order of fields included;
/// - once an account has departed, keeping something of its is `StoreError::Departed` and changes nothing.
#[async_trait]
pub trait ResponseStore: Send + Sync + 'static {
    /// Keep one, and delete what [`Keep`] does not let stay. `StoreError::Taken("response")` if the id is
    /// known.
    async fn keep_response(&self, response: &StoredResponse, keep: Keep) -> Result<(), StoreError>;

    /// One response.
    async fn response(&self, owner: &UserId, id: &ResponseId) -> Result<Option<StoredResponse>, StoreError>;

    /// Delete one; answers whether it was there.
    async fn delete_response(&self, owner: &UserId, id: &ResponseId) -> Result<bool, StoreError>;

    /// Have an account depart for good: its responses are deleted, and none is kept any more.
    async fn depart_from_responses(&self, account: &UserId) -> Result<(), StoreError>;
}
