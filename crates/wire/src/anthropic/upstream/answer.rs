//! A whole message as a completion.

use serde_json::{Map, Value, json};

use super::NotAMessage;
use crate::openai::Usage;

/// Put a whole message into OpenAI's dialect. `created` is when it was made, in seconds since 1970.
///
/// # Errors
/// If it is no message.
pub fn completion(answer: &Map<String, Value>, created: i64) -> Result<Value, NotAMessage> {
    let blocks = answer.get("content").and_then(Value::as_array).ok_or(NotAMessage)?;
    let of = |kind: &'static str, field: &'static str| {
        let texts = blocks.iter().filter(move |block| block["type"] == kind);
        texts.filter_map(move |block| block[field].as_str()).collect::<String>()
    };
    let (text, thinking) = (of("text", "text"), of("thinking", "thinking"));
    let calls: Vec<Value> = blocks
        .iter()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| call(block, &block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string)))
        .collect();
    let thoughts: Vec<&Value> = blocks.iter().filter(|block| is_thought(block)).collect();

    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    message.insert("content".into(), content);
    if !thinking.is_empty() {
        message.insert("reasoning_content".into(), thinking.into());
    }
    if !thoughts.is_empty() {
        message.insert("thinking_blocks".into(), json!(thoughts));
    }
    let reason = finish_reason(answer.get("stop_reason").and_then(Value::as_str), !calls.is_empty());
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Ok(json!({
        "id": answer.get("id"),
        "object": "chat.completion",
        "created": created,
        "model": answer.get("model"),
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
        "usage": usage(answer.get("usage").unwrap_or(&Value::Null)),
    }))
}

/// Whether a block is something the model thought.
pub(super) fn is_thought(block: &Value) -> bool {
    block["type"] == "thinking" || block["type"] == "redacted_thinking"
}

/// A call of a tool, with its arguments as a text.
pub(super) fn call(block: &Value, arguments: &str) -> Value {
    json!({
        "id": block["id"],
        "type": "function",
        "function": {"name": block["name"], "arguments": arguments},
    })
}

/// Why the model stopped.
pub(super) fn finish_reason(reason: Option<&str>, called: bool) -> &'static str {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => "length",
        Some("refusal") => "content_filter",
        Some("tool_use") => "tool_calls",
        _ if called => "tool_calls",
        _ => "stop",
    }
}

/// Tokens as OpenAI counts them: those of a cache are part of the prompt. What was read from it and what
/// was kept there stand beside, under Anthropic's names.
pub(super) fn usage(said: &Value) -> Value {
    let usage = Usage::read(said).unwrap_or_default();
    let mut told = json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
    });
    if let Some(cached) = usage.cached_tokens {
        told["prompt_tokens_details"] = json!({"cached_tokens": cached});
    }
    for name in ["cache_read_input_tokens", "cache_creation_input_tokens"] {
        if let Some(count) = said[name].as_u64() {
            told[name] = count.into();
        }
    }
    told
}
