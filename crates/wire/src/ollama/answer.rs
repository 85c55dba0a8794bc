//! A whole answer of `/api/chat` as an OpenAI completion.

use serde_json::{Map, Value, json};

use super::{Malformed, Stamp};
use crate::tool::{arguments_text, call_id};

const NANOSECONDS: f64 = 1_000_000_000.0;

/// Put a whole answer into OpenAI's dialect.
pub fn completion(answer: &Map<String, Value>, stamp: &Stamp) -> Result<Value, Malformed> {
    let said = answer.get("message").and_then(Value::as_object).ok_or(Malformed("message"))?;
    let mut calls = tool_calls(said, &stamp.id, 0);
    // Only the pieces of a stream are numbered.
    for call in calls.iter_mut().filter_map(Value::as_object_mut) {
        call.shift_remove("index");
    }
    let text = said.get("content").and_then(Value::as_str).unwrap_or_default();

    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    // A message that only calls tools has no content in OpenAI's dialect, not an empty one.
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    message.insert("content".into(), content);
    if let Some(thinking) = thinking(said) {
        message.insert("reasoning_content".into(), thinking.into());
    }
    let reason = finish_reason(answer, !calls.is_empty());
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Ok(json!({
        "id": stamp.id,
        "created": stamp.created,
        "model": stamp.model,
        "choices": [{
            "index": 0,
            "logprobs": logprobs(answer),
            "finish_reason": reason,
            "message": message,
        }],
        "object": "chat.completion",
        "usage": usage(answer),
    }))
}

/// What a message or a piece of one thinks, if anything.
pub(super) fn thinking(message: &Map<String, Value>) -> Option<&str> {
    message.get("thinking").and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The tool calls of a message, numbered from `first`.
pub(super) fn tool_calls(message: &Map<String, Value>, answer: &str, first: usize) -> Vec<Value> {
    let calls = message.get("tool_calls").and_then(Value::as_array);
    calls
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(at, call)| {
            let id = match call["id"].as_str() {
                Some(id) if !id.is_empty() => id.into(),
                _ => call_id("call_", answer, first + at),
            };
            let function = &call["function"];
            json!({
                "index": first + at,
                "id": id,
                "type": "function",
                "function": {
                    "name": function["name"].as_str().unwrap_or_default(),
                    "arguments": arguments_text(function.get("arguments")),
                },
            })
        })
        .collect()
}

/// Why the model stopped. Ollama says `stop` after tool calls too.
pub(super) fn finish_reason(answer: &Map<String, Value>, called: bool) -> &'static str {
    match answer.get("done_reason").and_then(Value::as_str) {
        Some("length") => "length",
        _ if called => "tool_calls",
        _ => "stop",
    }
}

/// Log probabilities in OpenAI's shape. The entries are the same in both dialects.
pub(super) fn logprobs(answer: &Map<String, Value>) -> Value {
    match answer.get("logprobs") {
        Some(Value::Array(entries)) if !entries.is_empty() => json!({"content": entries}),
        _ => Value::Null,
    }
}

/// Tokens under the names of both OpenAI APIs, Ollama's own counts and times, and what people like to
/// see of them.
pub(super) fn usage(answer: &Map<String, Value>) -> Value {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (prompt, output) = (number("prompt_eval_count"), number("eval_count"));
    let total_duration = number("total_duration");
    let seconds = total_duration / NANOSECONDS as u64;
    json!({
        "response_token/s": per_second(output, number("eval_duration")),
        "prompt_token/s": per_second(prompt, number("prompt_eval_duration")),
        "total_duration": total_duration,
        "load_duration": number("load_duration"),
        "prompt_eval_count": prompt,
        "prompt_tokens": prompt,
        "input_tokens": prompt,
        "prompt_eval_duration": number("prompt_eval_duration"),
        "eval_count": output,
        "completion_tokens": output,
        "output_tokens": output,
        "eval_duration": number("eval_duration"),
        "approximate_total": format!("{}h{}m{}s", seconds / 3600, seconds % 3600 / 60, seconds % 60),
        "total_tokens": prompt.saturating_add(output),
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// Tokens a second to two decimals; `N/A` where no time was measured, as Open WebUI writes it.
fn per_second(tokens: u64, nanoseconds: u64) -> Value {
    if nanoseconds == 0 {
        return "N/A".into();
    }
    let rate = tokens as f64 / (nanoseconds as f64 / NANOSECONDS);
    json!((rate * 100.0).round() / 100.0)
}
