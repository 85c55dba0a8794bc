//! What goes with a request to a fleet and never reaches an upstream.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use breezeway_wire::ChatRequest;
use serde_json::Value;

use crate::Connection;

/// So much of a message tells a conversation from others.
const TELLING_BYTES: usize = 2048;

/// One call of a fleet: whose it is, and afterwards who served it.
///
/// The fleet keeps a conversation where its beginning is cached. It knows it by what the caller says
/// ([`Errand::in_conversation`]), or by the account and how the conversation begins.
#[derive(Debug, Default)]
pub struct Errand {
    account: u64,
    conversation: Option<u64>,
    served: Mutex<Option<Served>>,
    attempts: AtomicU32,
}

/// Who answered, or failed last.
#[derive(Clone, Debug)]
pub struct Served {
    /// The connection.
    pub connection: Arc<Connection>,
    /// What it calls the model.
    pub upstream_model: Arc<str>,
}

impl Errand {
    /// An errand for an account, by whatever tells it from others.
    pub fn of(account: impl Hash) -> Self {
        Self { account: hashed(account), ..Self::default() }
    }

    /// The same in a conversation of the account that has a name, such as the id of a saved chat.
    #[must_use]
    pub fn in_conversation(self, id: impl Hash) -> Self {
        Self { conversation: Some(hashed((self.account, id))), ..self }
    }

    /// The same in the conversation that `request` goes on with, unless it has a name already.
    #[must_use]
    pub fn going_on_with(self, request: &ChatRequest) -> Self {
        let conversation = self.conversation_of(request);
        Self { conversation, ..self }
    }

    /// Who answered, or failed last; `None` before that, or if no connection was asked at all.
    pub fn served(&self) -> Option<Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    pub(crate) fn is_served_by(&self, connection: &Arc<Connection>, upstream_model: &Arc<str>) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let served = Served { connection: connection.clone(), upstream_model: upstream_model.clone() };
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = Some(served);
    }

    /// The conversation it was told to be in.
    pub(crate) fn conversation(&self) -> Option<u64> {
        self.conversation
    }

    /// The conversation a chat belongs to: told, or by how it begins, up to the first question.
    pub(crate) fn conversation_of(&self, request: &ChatRequest) -> Option<u64> {
        self.conversation.or_else(|| {
            let messages = request.messages();
            let question = messages.iter().position(|message| message["role"] == "user")?;
            let mut hasher = DefaultHasher::new();
            self.account.hash(&mut hasher);
            for message in &messages[..=question] {
                telling(&message["content"]).hash(&mut hasher);
            }
            Some(hasher.finish())
        })
    }
}

/// The beginning of a message's text.
fn telling(content: &Value) -> &[u8] {
    let text = match content {
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()),
        content => content.as_str(),
    };
    let bytes = text.unwrap_or_default().as_bytes();
    &bytes[..bytes.len().min(TELLING_BYTES)]
}

pub(crate) fn hashed(value: impl Hash) -> u64 {
    // Its keys are constant, so that a conversation finds its way after a restart.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conversation(account: &str, messages: Value) -> Option<u64> {
        let request = ChatRequest::try_from(json!({"model": "m", "messages": messages})).unwrap();
        Errand::of(account).conversation_of(&request)
    }

    #[test]
    fn a_conversation_is_known_by_its_beginning_and_its_account() {
        let begun = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "one"}]);
        let mut later = begun.clone();
        let more = json!([{"role": "assistant", "content": "1"}, {"role": "user", "content": "two"}]);
        later.as_array_mut().unwrap().extend(more.as_array().unwrap().clone());
        let parts = json!([{"role": "user", "content": [{"type": "text", "text": "other"}]}]);

        let known = conversation("ada", begun.clone());

        assert!(known.is_some());
        assert_eq!(conversation("ada", later), known);
        assert_ne!(conversation("eve", begun), known);
        assert_ne!(conversation("ada", parts), known);
        assert_eq!(conversation("ada", json!([])), None);
    }

    #[test]
    fn a_named_conversation_is_known_by_its_name() {
        let request = ChatRequest::try_from(json!({"model": "m", "messages": []})).unwrap();

        let named = |name| Errand::of("ada").in_conversation(name).conversation_of(&request);

        assert_eq!(named("c1"), named("c1"));
        assert_ne!(named("c1"), named("c2"));
    }
}
