//! A whole answer told as a stream.

use serde_json::{Map, Value, json};

use super::error_message;
use crate::frame::Frame;

/// Tell a whole answer as the frames of a stream, for upstreams that do not stream although asked to.
///
/// Each choice becomes one chunk with all it says and one with the reason it ended. `usage` has a
/// chunk of its own at the end; whatever else stands beside `choices` stands in every chunk. An error
/// object is one event.
pub fn frames_of(completion: Map<String, Value>) -> Vec<Frame> {
    if error_message(&completion).is_some() {
        return vec![Frame::json(&completion.into()), Frame::done()];
    }
    let mut head = completion;
    let choices = match head.shift_remove("choices") {
        Some(Value::Array(choices)) => choices,
        _ => Vec::new(),
    };
    let usage = head.shift_remove("usage").filter(|usage| !usage.is_null());
    head.insert("object".into(), "chat.completion.chunk".into());

    let mut frames = Vec::with_capacity(2 * choices.len() + 2);
    for choice in choices {
        let Value::Object(mut choice) = choice else { continue };
        let mut delta = choice.shift_remove("message").unwrap_or_else(|| json!({}));
        number_tool_calls(&mut delta);
        let reason = choice.shift_remove("finish_reason").unwrap_or(Value::Null);
        let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());

        choice.insert("index".into(), index.clone());
        choice.insert("delta".into(), delta);
        choice.insert("finish_reason".into(), Value::Null);
        frames.push(chunk(&head, json!([choice])));
        frames.push(chunk(&head, json!([{"index": index, "delta": {}, "finish_reason": reason}])));
    }
    if let Some(usage) = usage {
        head.insert("usage".into(), usage);
        frames.push(chunk(&head, json!([])));
    }
    frames.push(Frame::done());
    frames
}

fn chunk(head: &Map<String, Value>, choices: Value) -> Frame {
    let mut chunk = head.clone();
    chunk.insert("choices".into(), choices);
    Frame::json(&Value::Object(chunk))
}

/// In a stream tool calls are told apart by number.
fn number_tool_calls(delta: &mut Value) {
    let calls = delta.get_mut("tool_calls").and_then(Value::as_array_mut);
    for (index, call) in calls.into_iter().flatten().enumerate() {
        if let Some(call) = call.as_object_mut() {
            call.entry("index").or_insert_with(|| index.into());
        }
    }
}
