//! Responses that are kept, so that a conversation can go on from an id.
//!
//! What is kept is the whole conversation up to the answer, not a link to the one before: it goes on
//! although an older one was deleted or has become too old, and going on takes one read.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod memory;
mod store;

use std::sync::Arc;

use breezeway_core::{Clock, Principal, ResponseId, StoreError, UnixTime, UserId};
use serde_json::{Map, Value};

pub use self::{memory::MemoryResponses, store::ResponseStore};

/// How long a response is kept, in seconds: thirty days, as OpenAI keeps them.
const KEPT_FOR: i64 = 30 * 24 * 3600;

/// Most responses kept for one account; the oldest give way.
const MOST: usize = 256;

/// Most bytes of one, as JSON. Pictures of a conversation are among them.
const LARGEST: usize = 4 << 20;

/// A response that is kept.
#[derive(Clone, PartialEq)]
pub struct StoredResponse {
    /// Its id.
    pub id: ResponseId,
    /// Whose it is.
    pub owner: UserId,
    /// When it was answered.
    pub created_at: UnixTime,
    /// What the client was answered.
    pub response: Map<String, Value>,
    /// The items of the conversation, those of the answer at the end.
    pub items: Vec<Value>,
}

impl std::fmt::Debug for StoredResponse {
    /// Nothing of what was said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredResponse")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

/// What stays when another response is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Most of the same owner, the newest first.
    pub most: usize,
    /// Nothing older than this, whosever it is.
    pub since: UnixTime,
}

/// Keeps responses of accounts. Clones share one state.
#[derive(Clone)]
pub struct StoredResponses {
    store: Arc<dyn ResponseStore>,
    clock: Clock,
}

impl StoredResponses {
    /// Responses in a store.
    pub fn new(store: Arc<dyn ResponseStore>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// A response of the caller's. One that is somebody else's, too old, or of a model that the caller's
    /// key does not allow, is none.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn find(&self, principal: &Principal, id: &str) -> Result<Option<StoredResponse>, StoreError> {
        let Ok(id) = id.parse::<ResponseId>() else { return Ok(None) };
        let found = self.store.response(&principal.user, &id).await?;
        let since = self.since();
        Ok(found.filter(|found| {
            let model = found.response.get("model").and_then(Value::as_str).unwrap_or_default();
            found.created_at >= since && principal.key_allows_model(model)
        }))
    }

    /// Keep a response; `items` are those of the conversation before it. `false` if it is too large to be
    /// kept, or if the caller's key may not change anything.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn keep(
        &self,
        principal: &Principal,
        id: ResponseId,
        response: Map<String, Value>,
        items: Vec<Value>,
    ) -> Result<bool, StoreError> {
        if !Self::may_keep(principal) {
            return Ok(false);
        }
        let mut items = items;
        items.extend(response.get("output").and_then(Value::as_array).into_iter().flatten().cloned());
        if length(&response, &items).is_none_or(|size| size > LARGEST) {
            return Ok(false);
        }
        let created_at = self.clock.now();
        let stored = StoredResponse { id, owner: principal.user.clone(), created_at, response, items };
        self.store.keep_response(&stored, Keep { most: MOST, since: self.since() }).await?;
        Ok(true)
    }

    /// Whether anything is kept for the caller: a key that only reads changes nothing here.
    pub fn may_keep(principal: &Principal) -> bool {
        !principal.rules.as_ref().is_some_and(|rules| rules.read_only)
    }

    /// Delete a response of the caller's; answers whether it was there.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget(&self, principal: &Principal, id: &str) -> Result<bool, StoreError> {
        match self.find(principal, id).await? {
            Some(found) => self.store.delete_response(&principal.user, &found.id).await,
            None => Ok(false),
        }
    }

    /// Have an account depart for good, with all that is kept for it. Nobody inherits what somebody asked.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn depart(&self, account: &UserId) -> Result<(), StoreError> {
        self.store.depart_from_responses(account).await
    }

    fn since(&self) -> UnixTime {
        UnixTime::from_seconds(self.clock.now().seconds() - KEPT_FOR)
    }
}

/// Counts bytes instead of writing them.
struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How long a response and its items are as JSON; `None` if they are none.
fn length(response: &Map<String, Value>, items: &[Value]) -> Option<usize> {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, response).ok()?;
    serde_json::to_writer(&mut count, items).ok()?;
    Some(count.0)
}

#[cfg(test)]
mod tests;
