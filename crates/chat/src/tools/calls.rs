//! Calls that a model makes, read out of answers.

use breezeway_core::ChatId;
use serde_json::{Map, Value};

/// The longest arguments of one call, in bytes. More than a model writes on purpose.
const MOST_ARGUMENTS: usize = 256 << 10;

/// Calls of one answer that are kept apart; a model that numbers them higher is broken.
pub(super) const MOST_CALLS: usize = 128;

/// A call as the model made it, all that upstreams put beside it included: some want it back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Call {
    fields: Map<String, Value>,
    arguments: String,
    is_too_long: bool,
}

impl Call {
    /// A call of a whole answer.
    pub(super) fn of(value: &Value) -> Self {
        let mut call = Self::default();
        call.push(value);
        call
    }

    /// The next piece of it in a stream.
    pub(super) fn push(&mut self, delta: &Value) {
        for (name, value) in delta.as_object().into_iter().flatten() {
            match name.as_str() {
                "index" => {}
                "function" => self.push_function(value),
                _ if value.is_null() => {}
                _ => {
                    self.fields.insert(name.clone(), value.clone());
                }
            }
        }
    }

    fn push_function(&mut self, delta: &Value) {
        let Some(delta) = delta.as_object() else { return };
        for (name, value) in delta {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("arguments", Value::String(text)) => self.push_arguments(text),
                // Some answer with the object itself.
                ("arguments", whole) => self.push_arguments(&whole.to_string()),
                // Most say the name once, and some with every piece.
                _ => {
                    let function = self.fields.entry("function").or_insert_with(|| Map::new().into());
                    function[name.as_str()] = value.clone();
                }
            }
        }
    }

    fn push_arguments(&mut self, text: &str) {
        self.is_too_long |= self.arguments.len() + text.len() > MOST_ARGUMENTS;
        if !self.is_too_long {
            self.arguments.push_str(text);
        }
    }

    /// Which function; nothing as long as that has not been said.
    pub(super) fn name(&self) -> &str {
        self.fields.get("function").and_then(|function| function["name"].as_str()).unwrap_or_default()
    }

    /// Whether it has this id, or none yet.
    pub(super) fn has_id(&self, id: &str) -> bool {
        self.fields.get("id").is_none_or(|known| known == id)
    }

    /// Its id; made up where the upstream gives none.
    pub(super) fn id(&mut self) -> String {
        let made_up = || format!("call_{}", ChatId::mint().as_str().replace('-', ""));
        let given = self.fields.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = given.map_or_else(made_up, str::to_owned);
        self.fields.insert("id".into(), id.as_str().into());
        id
    }

    /// The arguments, or what is wrong with them.
    pub(super) fn arguments(&self) -> Result<Map<String, Value>, String> {
        if self.is_too_long {
            return Err(format!("the arguments are longer than {MOST_ARGUMENTS} bytes"));
        }
        match self.arguments.trim() {
            "" | "null" => Ok(Map::new()),
            text => {
                serde_json::from_str(text).map_err(|why| format!("the arguments are no JSON object: {why}"))
            }
        }
    }

    /// The call as a message of the conversation repeats it.
    pub(super) fn repeated(&self) -> Value {
        let mut call = self.fields.clone();
        call.entry("type").or_insert_with(|| "function".into());
        let function = call.entry("function").or_insert_with(|| Map::new().into());
        // What cannot be read must not stand in the way of the next question: services refuse it.
        let is_json = self.arguments().is_ok() && !self.arguments.trim().is_empty();
        function["arguments"] = if is_json { self.arguments.as_str() } else { "{}" }.into();
        call.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_make_a_call_with_all_that_stood_beside_it() {
        let mut call = Call::default();
        for delta in [
            json!({"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}),
            json!({"index": 0, "function": {"arguments": "{\"at\":"}, "extra_content": {"signature": "s"}}),
            json!({"index": 0, "id": null, "function": {"name": null, "arguments": "1}"}}),
        ] {
            call.push(&delta);
        }

        assert_eq!(call.name(), "look");
        assert_eq!(call.id(), "c1");
        assert_eq!(Value::Object(call.arguments().unwrap()), json!({"at": 1}));
        let expected = json!({
            "id": "c1", "type": "function",
            "function": {"name": "look", "arguments": "{\"at\":1}"},
            "extra_content": {"signature": "s"},
        });
        assert_eq!(call.repeated(), expected);
    }

    #[test]
    fn arguments_are_an_object_or_a_reason() {
        let check = |arguments: Value, expected: Option<Value>| {
            let call = Call::of(&json!({"function": {"name": "f", "arguments": arguments}}));
            assert_eq!(call.arguments().ok().map(Value::Object), expected, "{arguments}");
            assert!(call.repeated()["function"]["arguments"].is_string());
        };

        check(json!("{\"a\":1}"), Some(json!({"a": 1})));
        check(json!({"a": 1}), Some(json!({"a": 1})));
        check(json!(""), Some(json!({})));
        check(json!(null), Some(json!({})));
        check(json!("{\"a\":"), None);
        check(json!("[1]"), None);
        check(json!("x".repeat(MOST_ARGUMENTS + 1)), None);
    }

    #[test]
    fn a_call_without_an_id_gets_one() {
        let mut call = Call::of(&json!({"function": {"name": "f"}}));

        let id = call.id();

        assert!(id.starts_with("call_") && id == call.id() && call.repeated()["id"] == id, "{id}");
    }
}
