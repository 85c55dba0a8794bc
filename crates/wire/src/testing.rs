//! JSON for property tests: arbitrary, but fond of the words the dialects know.

use proptest::prelude::*;
use serde_json::{Map, Value};

const WORDS: &[&str] = &[
    "arguments",
    "assistant",
    "any",
    "auto",
    "base64",
    "choices",
    "content",
    "data",
    "delta",
    "disabled",
    "done",
    "done_reason",
    "effort",
    "embeddings",
    "error",
    "eval_count",
    "eval_duration",
    "event",
    "finish_reason",
    "format",
    "function",
    "high",
    "id",
    "image",
    "image_url",
    "images",
    "index",
    "input",
    "input_schema",
    "is_error",
    "json_schema",
    "length",
    "max_tokens",
    "media_type",
    "message",
    "messages",
    "model",
    "name",
    "none",
    "options",
    "output_config",
    "prompt_eval_count",
    "prompt_tokens",
    "reasoning",
    "reasoning_content",
    "reasoning_effort",
    "response_format",
    "role",
    "schema",
    "source",
    "stop",
    "stop_sequences",
    "stream",
    "system",
    "text",
    "thinking",
    "tool",
    "tool_call_id",
    "tool_calls",
    "tool_choice",
    "tool_result",
    "tool_use",
    "tool_use_id",
    "tools",
    "total_duration",
    "type",
    "url",
    "usage",
    "user",
    "{\"a\": 1}",
    "data:image/png;base64,AAAA",
    "data:text/plain,x",
    "{",
    "",
];

fn words() -> impl Strategy<Value = String> {
    prop_oneof![8 => prop::sample::select(WORDS).prop_map(String::from), 1 => ".{0,6}"]
}

/// Any JSON value.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        // Halves: serde_json reads numbers of seventeen digits only nearly as they were.
        1 => any::<i32>().prop_map(|number| Value::from(f64::from(number) / 2.0)),
        6 => words().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((words(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Any JSON object.
pub(crate) fn objects() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((words(), values()), 0..8).prop_map(|fields| fields.into_iter().collect())
}

/// Objects with at least one list of objects under `name`, so that conversions get past their door.
pub(crate) fn objects_with_list(name: &'static str) -> impl Strategy<Value = Map<String, Value>> {
    (objects(), prop::collection::vec(objects().prop_map(Value::Object), 0..4)).prop_map(
        move |(mut object, list)| {
            object.insert(name.into(), list.into());
            object
        },
    )
}
