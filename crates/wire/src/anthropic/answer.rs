//! A whole completion as a message.

use serde_json::{Map, Value, json};

use super::NotACompletion;
use crate::{
    chat::text_of,
    openai::{Usage, reasoning_of},
    tool::{arguments_object, call_id},
};

/// Put a whole completion into Anthropic's dialect.
///
/// `model` is the model as the client knows it, and `id` what the message is called where the
/// upstream gave its answer no id.
pub fn message(completion: &Map<String, Value>, model: &str, id: &str) -> Result<Value, NotACompletion> {
    let choice = completion.get("choices").and_then(|choices| choices.get(0)).ok_or(NotACompletion)?;
    let said = choice.get("message").filter(|said| said.is_object()).ok_or(NotACompletion)?;
    let id = completion.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).unwrap_or(id);

    let mut content = Vec::new();
    if let Some(thinking) = reasoning_of(said) {
        content.push(json!({"type": "thinking", "thinking": thinking, "signature": ""}));
    }
    let refusal = said["refusal"].as_str().unwrap_or_default();
    for text in [text_of(&said["content"]).as_str(), refusal] {
        if !text.is_empty() {
            content.push(json!({"type": "text", "text": text}));
        }
    }
    let calls = said["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    content.extend(calls.iter().enumerate().map(|(index, call)| tool_use(call, id, index)));

    let (stop_reason, stop_sequence) = stop_of(choice, !calls.is_empty());
    let usage = completion.get("usage").and_then(Usage::read).unwrap_or_default();
    Ok(json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "content": content,
        "model": model,
        "stop_reason": if refusal.is_empty() { stop_reason } else { "refusal" },
        "stop_sequence": stop_sequence,
        "usage": usage_view(usage),
    }))
}

fn tool_use(call: &Value, answer: &str, index: usize) -> Value {
    let id = match call["id"].as_str() {
        Some(id) if !id.is_empty() => id.into(),
        _ => call_id("toolu_", answer, index),
    };
    json!({
        "type": "tool_use",
        "id": id,
        "name": call["function"]["name"].as_str().unwrap_or_default(),
        "input": arguments_object(call["function"].get("arguments")),
    })
}

/// Why a choice ended, and at which stop sequence if the upstream says so (vLLM does, in a field of
/// its own).
///
/// Some upstreams say `stop` although tools were called; a client would then not run them.
pub(super) fn stop_of(choice: &Value, called: bool) -> (&'static str, Option<&str>) {
    match (choice["finish_reason"].as_str(), choice["stop_reason"].as_str()) {
        (Some("length"), _) => ("max_tokens", None),
        (Some("content_filter"), _) => ("refusal", None),
        _ if called => ("tool_use", None),
        (Some("tool_calls" | "function_call"), _) => ("tool_use", None),
        (Some("stop"), Some(sequence)) => ("stop_sequence", Some(sequence)),
        _ => ("end_turn", None),
    }
}

/// Tokens as Anthropic counts them: those from a cache are no input tokens.
pub(super) fn usage_view(usage: Usage) -> Value {
    let mut view = json!({"input_tokens": usage.uncached_tokens(), "output_tokens": usage.completion_tokens});
    if let Some(cached) = usage.cached_tokens {
        view["cache_read_input_tokens"] = cached.into();
    }
    view
}
