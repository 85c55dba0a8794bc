//! What a request asks for, in tokens, as well as that can be told beforehand.

use breezeway_usage::estimate_tokens;
use breezeway_wire::field;
use serde_json::{Map, Value};

/// Fields that hold what a model reads, in all dialects.
const READ: [&str; 7] = ["messages", "input", "prompt", "tools", "instructions", "system", "response_format"];

/// Fields that bound what a model writes, in all dialects.
const BOUNDS: [&str; 4] = ["max_completion_tokens", "max_tokens", "max_output_tokens", "num_predict"];

/// Tokens of a picture: one of 1024 × 1024 pixels in OpenAI's accounting, 85 and four tiles of 170.
const PICTURE: u64 = 765;

/// Each message takes a few tokens for its role and its bounds.
const MESSAGE: u64 = 4;

/// Tokens that a request puts in.
pub(crate) fn estimated_input(request: &Map<String, Value>) -> u64 {
    request.iter().filter(|(name, _)| READ.contains(&name.as_str())).map(|(_, value)| tokens(value)).sum()
}

/// The most that a request lets a model write; `None` if it does not say.
pub(super) fn max_output(request: &Map<String, Value>) -> Option<u64> {
    let bound = |fields: &Map<String, Value>| BOUNDS.iter().find_map(|name| field(fields, name)?.as_u64());
    let choices = field(request, "n").and_then(Value::as_u64).unwrap_or(1).max(1);
    let each = bound(request).or_else(|| bound(field(request, "options")?.as_object()?))?;
    Some(each.saturating_mul(choices))
}

fn tokens(value: &Value) -> u64 {
    match value {
        Value::String(text) if text.starts_with("data:") => PICTURE,
        Value::String(text) => estimate_tokens(text),
        Value::Array(items) => items.iter().map(tokens).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| if name == "role" { MESSAGE } else { tokens(value) }).sum()
        }
        // A token that a client made itself, or a number in a schema.
        Value::Number(_) => 1,
        Value::Bool(_) | Value::Null => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn text_counts_wherever_a_model_reads_it() {
        let cases = [
            (json!({"messages": [{"role": "user", "content": "twelve signs"}]}), MESSAGE + 3),
            (json!({"input": ["four", "eight ch"]}), 3),
            (json!({"input": [1, 2, 3]}), 3),
            (json!({"model": "m", "user": "somebody"}), 0),
            (
                json!({"messages": [{"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
                ]}]}),
                // The type is read as text, which is near enough.
                MESSAGE + PICTURE + 3,
            ),
        ];

        for (request, expected) in cases {
            assert_eq!(estimated_input(&map(request.clone())), expected, "{request}");
        }
    }

    #[test]
    fn the_bound_of_an_answer_is_read_under_all_its_names() {
        let cases = [
            (json!({"max_tokens": 5}), Some(5)),
            (json!({"max_tokens": 5, "max_completion_tokens": 7}), Some(7)),
            (json!({"max_tokens": 5, "n": 3}), Some(15)),
            (json!({"options": {"num_predict": 9}}), Some(9)),
            (json!({"max_tokens": -1}), None),
            (json!({}), None),
        ];

        for (request, expected) in cases {
            assert_eq!(max_output(&map(request.clone())), expected, "{request}");
        }
    }
}
