//! OpenAI's Responses API over models that only chat.
//!
//! A request has a list of items where a chat has messages: a message, a tool call and its result are
//! an item each, and so is what the model thought. An answer is such a list again, and a client that
//! goes on sends it back, or the id it was kept under.

mod answer;
mod request;
mod stream;

use serde_json::{Map, Value, json};

pub use self::{
    answer::response,
    request::{chat_request, input_items},
    stream::{ResponseTranslator, error_event},
};

/// Fields of a request that its answer repeats, with what stands there if the request says nothing.
const REPEATED: [(&str, &str); 15] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("service_tier", "null"),
    ("store", "true"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// What an answer is called by, and what it repeats of its request.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    id: String,
    created_at: i64,
    model: String,
    repeated: Map<String, Value>,
}

impl Envelope {
    /// The envelope of the answer to `request`. `created_at` is in seconds since 1970, `model` what the
    /// client calls the model.
    pub fn new(id: impl Into<String>, created_at: i64, request: &Map<String, Value>) -> Self {
        let said = |name: &str| request.get(name).filter(|value| !value.is_null()).cloned();
        let usual = |text: &str| serde_json::from_str(text).unwrap_or_default();
        let repeated = REPEATED
            .iter()
            .map(|(name, text)| ((*name).to_owned(), said(name).unwrap_or_else(|| usual(text))));
        Self {
            id: id.into(),
            created_at,
            model: request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
            repeated: repeated.collect(),
        }
    }

    /// The answer's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The response object.
    fn seal(&self, status: &str, output: &[Value], usage: Value) -> Value {
        let mut object = Map::new();
        object.insert("id".into(), self.id.as_str().into());
        object.insert("object".into(), "response".into());
        object.insert("created_at".into(), self.created_at.into());
        object.insert("status".into(), status.into());
        object.insert("background".into(), false.into());
        object.insert("error".into(), Value::Null);
        object.insert("incomplete_details".into(), Value::Null);
        object.insert("model".into(), self.model.as_str().into());
        object.insert("output".into(), output.to_vec().into());
        object.extend(self.repeated.clone());
        object.insert("usage".into(), usage);
        object.into()
    }

    /// The id of the item at a place of the output.
    fn item_id(&self, prefix: &str, place: usize) -> String {
        crate::tool::call_id(prefix, &self.id, place)
    }
}

/// How an answer ended: its status, and why it is not whole if it is not.
fn ending(finish_reason: Option<&str>) -> (&'static str, Value) {
    match finish_reason {
        Some("length") => ("incomplete", json!({"reason": "max_output_tokens"})),
        Some("content_filter") => ("incomplete", json!({"reason": "content_filter"})),
        _ => ("completed", Value::Null),
    }
}

#[cfg(test)]
mod tests;
