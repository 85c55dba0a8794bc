//! Arguments of tool calls: a text in OpenAI's dialect, an object in the others.

use serde_json::{Map, Value};

/// The arguments as an object.
///
/// Models write this text, so it may be no JSON. What cannot be read is kept under a name of its own:
/// refusing it would make the whole conversation unusable, dropping it would hide from the model what
/// it said.
pub(crate) fn arguments_object(arguments: Option<&Value>) -> Map<String, Value> {
    let text = match arguments {
        None | Some(Value::Null) => return Map::new(),
        Some(Value::Object(object)) => return object.clone(),
        Some(Value::String(text)) => text.trim(),
        Some(other) => return Map::from_iter([("arguments".into(), other.clone())]),
    };
    if text.is_empty() {
        return Map::new();
    }
    serde_json::from_str(text).unwrap_or_else(|_| Map::from_iter([("arguments".into(), text.into())]))
}

/// The arguments as a text.
pub(crate) fn arguments_text(arguments: Option<&Value>) -> String {
    match arguments {
        None | Some(Value::Null) => "{}".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// An id for the call of number `index` in the answer `answer`, for models that give none.
///
/// Some services accept nothing but letters, digits, `-` and `_` in it, and answers' ids may hold a
/// model's name.
pub(crate) fn call_id(prefix: &str, answer: &str, index: usize) -> String {
    let mut tail: Vec<char> = answer
        .chars()
        .rev()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .take(36)
        .collect();
    tail.reverse();
    let tail: String = tail.into_iter().collect();
    format!("{prefix}{tail}_{index}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_become_an_object_whatever_they_are() {
        let check = |given: Value, expected: Value| {
            assert_eq!(Value::Object(arguments_object(Some(&given))), expected, "{given}");
        };

        check(json!("{\"city\": \"Oslo\"}"), json!({"city": "Oslo"}));
        check(json!({"city": "Oslo"}), json!({"city": "Oslo"}));
        check(json!("  "), json!({}));
        check(json!(null), json!({}));
        check(json!("{\"city\": \"Os"), json!({"arguments": "{\"city\": \"Os"}));
        check(json!("[1]"), json!({"arguments": "[1]"}));
        check(json!([1]), json!({"arguments": [1]}));
        assert_eq!(arguments_object(None), Map::new());
    }

    #[test]
    fn call_ids_are_plain_and_differ() {
        let id = call_id("call_", "llama3.2:latest-0f8fad5b-d9cb-469f-a165-70867728950e", 2);

        assert_eq!(id, "call_0f8fad5b-d9cb-469f-a165-70867728950e_2");
    }
}
