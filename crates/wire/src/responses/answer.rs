//! A whole completion as a response.

use serde_json::{Map, Value, json};

use super::{Envelope, ending};
use crate::{
    chat::text_of,
    openai::reasoning_of,
    tool::{arguments_text, call_id},
};

/// Put a whole completion into a response. `None` if it is no completion.
pub fn response(completion: &Map<String, Value>, envelope: &Envelope) -> Option<Value> {
    let choice = completion.get("choices")?.get(0)?;
    let said = choice.get("message").filter(|said| said.is_object())?;
    let (status, why) = ending(choice["finish_reason"].as_str());

    let mut output = Vec::new();
    if let Some(thought) = reasoning_of(said) {
        output.push(reasoning(&envelope.item_id("rs_", 0), thought));
    }
    let text = text_of(&said["content"]);
    let refusal = said["refusal"].as_str().unwrap_or_default();
    let mut parts = Vec::new();
    if !text.is_empty() {
        let logprobs = choice["logprobs"]["content"].as_array().cloned().unwrap_or_default();
        parts.push(text_part(&text, logprobs));
    }
    if !refusal.is_empty() {
        parts.push(json!({"type": "refusal", "refusal": refusal}));
    }
    let calls = said["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    if !parts.is_empty() || (calls.is_empty() && output.is_empty()) {
        if parts.is_empty() {
            parts.push(text_part("", Vec::new()));
        }
        output.push(message(&envelope.item_id("msg_", output.len()), status, parts));
    }
    for (index, call) in calls.iter().enumerate() {
        let id = match call["id"].as_str().filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => call_id("call_", envelope.id(), index),
        };
        let name = call["function"]["name"].as_str().unwrap_or_default();
        let arguments = arguments_text(call["function"].get("arguments"));
        output.push(function_call(
            &envelope.item_id("fc_", output.len()),
            &id,
            name,
            &arguments,
            "completed",
        ));
    }
    let usage = usage(completion.get("usage").unwrap_or(&Value::Null));
    let mut response = envelope.seal(status, &output, usage);
    response["incomplete_details"] = why;
    if let Some(sources) = completion.get("sources") {
        response["sources"] = sources.clone();
    }
    Some(response)
}

pub(super) fn reasoning(id: &str, thought: &str) -> Value {
    json!({
        "id": id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": thought}],
    })
}

pub(super) fn message(id: &str, status: &str, parts: Vec<Value>) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": parts})
}

pub(super) fn text_part(text: &str, logprobs: Vec<Value>) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs})
}

pub(super) fn function_call(id: &str, call: &str, name: &str, arguments: &str, status: &str) -> Value {
    json!({
        "id": id,
        "type": "function_call",
        "status": status,
        "call_id": call,
        "name": name,
        "arguments": arguments,
    })
}

/// Tokens under this API's names; `null` where the upstream said nothing.
pub(super) fn usage(usage: &Value) -> Value {
    let Some(read) = crate::openai::Usage::read(usage) else { return Value::Null };
    let reasoning = usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or(0);
    json!({
        "input_tokens": read.prompt_tokens,
        "input_tokens_details": {"cached_tokens": read.cached_tokens.unwrap_or(0)},
        "output_tokens": read.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": read.prompt_tokens.saturating_add(read.completion_tokens),
    })
}
