//! The inner chat request.
//!
//! # Design
//! The inner model *is* an OpenAI chat request, kept as the JSON object it came as. It is the dialect
//! most clients and upstreams speak, so the common path changes nothing it does not understand:
//! unknown fields, their order and every number survive. A struct with a field for all we know
//! would have to be amended for every field upstreams invent, and would lose them until then.

use std::fmt;

use serde_json::{Map, Value};

/// Up to so many fields it is faster to look at each name than to hash the one looked for: requests and
/// usages have about ten, and SipHash takes as long as twenty comparisons, most of them of lengths.
const FEW: usize = 32;

/// A field of an object, by its name. The same as `object.get(name)`, and faster in small objects.
pub fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    match object.len() {
        ..=FEW => object.iter().find(|(known, _)| *known == name).map(|(_, value)| value),
        _ => object.get(name),
    }
}

/// Why a JSON value is no chat request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chat request is a JSON object")]
pub struct InvalidRequest;

/// A chat request in OpenAI's dialect.
#[derive(Clone, PartialEq)]
pub struct ChatRequest(Map<String, Value>);

impl fmt::Debug for ChatRequest {
    /// Nothing of what was asked: requests end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("model", &self.model())
            .field("messages", &self.messages().len())
            .finish_non_exhaustive()
    }
}

impl ChatRequest {
    /// Take a JSON object as a request.
    pub fn new(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// The whole object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The whole object, to change.
    pub fn as_map_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// The whole object.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// The model asked for, if it is a text.
    pub fn model(&self) -> Option<&str> {
        field(&self.0, "model").and_then(Value::as_str)
    }

    /// Ask another model.
    pub fn set_model(&mut self, model: &str) {
        if self.model() != Some(model) {
            self.0.insert("model".into(), model.into());
        }
    }

    /// Whether a stream is wanted.
    pub fn is_stream(&self) -> bool {
        field(&self.0, "stream").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The messages, if they are a list.
    pub fn messages(&self) -> &[Value] {
        field(&self.0, "messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The messages, to change; `None` if they are not a list.
    pub fn messages_mut(&mut self) -> Option<&mut Vec<Value>> {
        self.0.get_mut("messages").and_then(Value::as_array_mut)
    }

    /// The text of the last message of the user, text parts joined by newlines.
    pub fn last_user_text(&self) -> Option<String> {
        let last = self.messages().iter().rev().find(|message| message["role"] == "user")?;
        Some(text_of(&last["content"]))
    }

    /// Put `text` in front of the last user message: into its text, or its first text part.
    pub fn put_before_last_user_text(&mut self, text: &str) {
        let Some(messages) = self.messages_mut() else { return };
        let Some(last) = messages.iter_mut().rev().find(|message| message["role"] == "user") else { return };
        let before = |old: &str| Value::from(format!("{text}\n{old}"));
        match &mut last["content"] {
            Value::Array(parts) => match parts.iter_mut().find(|part| part["type"] == "text") {
                Some(part) => part["text"] = before(part["text"].as_str().unwrap_or_default()),
                None => parts.insert(0, serde_json::json!({"type": "text", "text": text})),
            },
            content => *content = before(content.as_str().unwrap_or_default()),
        }
    }

    /// Add `text` to the system message, before or after what it says, or make one.
    pub fn add_to_system(&mut self, text: &str, position: SystemPosition) {
        let Some(messages) = self.messages_mut() else { return };
        match messages.first_mut() {
            Some(first) if first["role"] == "system" => {
                let old = text_of(&first["content"]);
                first["content"] = match position {
                    SystemPosition::Before => format!("{text}\n{old}"),
                    SystemPosition::After => format!("{old}\n{text}"),
                }
                .into();
            }
            _ => messages.insert(0, serde_json::json!({"role": "system", "content": text})),
        }
    }
}

impl TryFrom<Value> for ChatRequest {
    type Error = InvalidRequest;

    fn try_from(value: Value) -> Result<Self, InvalidRequest> {
        match value {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(InvalidRequest),
        }
    }
}

/// Where to add to a system message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemPosition {
    /// In front of what it says.
    Before,
    /// Behind what it says.
    After,
}

/// The text of a message's content: a text, or the text parts of a list joined by newlines.
pub fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter(|part| part["type"] == "text")
                .filter_map(|part| part["text"].as_str())
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
