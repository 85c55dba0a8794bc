//! The fields of a request that are for this server and not for an upstream.

use breezeway_wire::{ChatRequest, field};
use serde_json::{Map, Value};

use crate::{ContextItem, context::items_of, error::Error, tools::tool_ids};

/// Open WebUI's own fields beside OpenAI's. Strict upstreams refuse what they do not know, and some of
/// these are nobody else's business.
pub(crate) const OWN_FIELDS: [&str; 19] = [
    "files",
    "chat_id",
    "id",
    "session_id",
    "parent_id",
    "message_ids",
    "user_message",
    "tool_ids",
    "tool_servers",
    "features",
    "variables",
    "chat_variables",
    "params",
    "metadata",
    "background_tasks",
    "model_item",
    "filter_ids",
    "folder_id",
    "automation_id",
];

/// What a request says to this server.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// What to search.
    pub(crate) items: Vec<ContextItem>,
    /// Options: `system`, and fields to fill in.
    pub(crate) params: Map<String, Value>,
    /// Values for the placeholders of system prompts.
    pub(crate) variables: Map<String, Value>,
    /// Ids of tools to run here.
    pub(crate) tool_ids: Vec<String>,
    /// Whether the model is to search the library itself (`"features": {"knowledge_tool": true}`).
    pub(crate) knowledge_tool: bool,
    /// What the caller calls the conversation.
    pub(crate) conversation: Option<String>,
}

impl Own {
    /// Take them out of a request. What is left keeps its order.
    pub(crate) fn take(request: &mut ChatRequest) -> Self {
        let fields = request.as_map_mut();
        let conversation = conversation_of(fields).map(str::to_owned);
        let mut own = Self { conversation, ..Self::default() };
        fields.retain(|name, value| {
            match name.as_str() {
                "files" => own.items = items_of(value),
                "params" => own.params = object(value.take()),
                "variables" => own.variables = object(value.take()),
                "tool_ids" => own.tool_ids = tool_ids(value),
                "features" => own.knowledge_tool = value.get("knowledge_tool") == Some(&Value::Bool(true)),
                _ => {}
            }
            !OWN_FIELDS.contains(&name.as_str())
        });
        own
    }
}

/// What a request calls the conversation it belongs to: the chat it is kept in, or the name that is to
/// find its beginning in OpenAI's cache. `user` says who asks, and nobody has one conversation only.
pub(crate) fn conversation_of(request: &Map<String, Value>) -> Option<&str> {
    let text = |name| field(request, name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("chat_id").or_else(|| text("prompt_cache_key"))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Refuse `messages` that are no list. Missing ones are the upstream's to judge.
pub(crate) fn check_messages(request: &ChatRequest) -> Result<(), Error> {
    Err(Error::BadMessages(match field(request.as_map(), "messages") {
        None | Some(Value::Array(_)) => return Ok(()),
        // Clients of Open WebUI know these types by Python's names.
        Some(Value::Null) => "NoneType",
        Some(Value::Bool(_)) => "bool",
        Some(Value::Number(number)) if number.is_f64() => "float",
        Some(Value::Number(_)) => "int",
        Some(Value::String(_)) => "str",
        Some(Value::Object(_)) => "dict",
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_ours_keeps_its_place() {
        let mut body = json!({"z": 1});
        for name in OWN_FIELDS {
            body[name] = json!({"some": "value"});
            body[format!("{name}_of_the_upstream")] = json!(1.50);
        }
        let mut request = ChatRequest::try_from(body).unwrap();

        Own::take(&mut request);

        let left: Vec<_> = request.as_map().keys().cloned().collect();
        let expected: Vec<_> = ["z".to_owned()]
            .into_iter()
            .chain(OWN_FIELDS.map(|name| format!("{name}_of_the_upstream")))
            .collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn messages_that_are_no_list_are_named_by_their_type() {
        let check = |messages: Value, expected: Option<&str>| {
            let request = ChatRequest::try_from(json!({"messages": messages})).unwrap();
            match check_messages(&request) {
                Ok(()) => assert_eq!(expected, None),
                Err(Error::BadMessages(found)) => assert_eq!(Some(found), expected),
                Err(other) => panic!("{other}"),
            }
        };

        check(json!([]), None);
        check(json!("hi"), Some("str"));
        check(json!(1), Some("int"));
        check(json!(1.5), Some("float"));
        check(json!(true), Some("bool"));
        check(json!({}), Some("dict"));
        check(json!(null), Some("NoneType"));
    }
}
