//! What the gateway itself adds to answers of OpenAI's dialect.
//!
//! Answers pass through as bytes. Sources are spliced into those bytes and errors are appended to
//! them, so what the upstream wrote stays exactly as it wrote it.

mod completions;
mod object;
mod usage;
mod whole;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use self::object::Fields;
use crate::frame::Frame;

pub use self::{
    completions::{CompletionTranslator, InvalidCompletion, chat_of_completion, text_completion},
    usage::Usage,
    whole::frames_of,
};

/// Put `sources` in front of all other fields of an answer, leaving their bytes alone.
///
/// A body that is no JSON object is returned as it is. Should the upstream have sent `sources` of its
/// own they give way: two keys of one name would leave the choice to each client.
pub fn with_sources(body: Bytes, sources: &Value) -> Bytes {
    with_first(body, "sources", sources)
}

/// Put a field of our own in front of all others, as [`with_sources`] does.
pub fn with_first(body: Bytes, name: &'static str, value: &Value) -> Bytes {
    let Some(fields) = Fields::read(&body) else { return body };
    let ours = value.to_string();
    let mut spliced = Vec::with_capacity(body.len() + ours.len() + name.len() + 8);
    spliced.extend_from_slice(format!("{{\"{name}\":").as_bytes());
    spliced.extend_from_slice(ours.as_bytes());
    if fields.has(name) {
        for (name, value) in fields.except(name) {
            spliced.push(b',');
            spliced.extend_from_slice(Value::from(name).to_string().as_bytes());
            spliced.push(b':');
            spliced.extend_from_slice(value.as_bytes());
        }
        spliced.push(b'}');
    } else {
        if !fields.is_empty() {
            spliced.push(b',');
        }
        // It was read as an object, so the first sign that is no white space is its brace.
        spliced.extend_from_slice(&body.trim_ascii_start()[1..]);
    }
    spliced.into()
}

/// The event that carries `sources` before a streamed answer.
///
/// Strict clients read every event as a chunk and look into `choices` at once, so it is a chunk with
/// no choice in it.
pub fn sources_frame(id: &str, created: i64, model: &str, sources: &Value) -> Frame {
    Frame::json(&json!({
        "sources": sources,
        "id": id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [],
    }))
}

/// The event that tells a client in the middle of a stream what went wrong.
pub fn error_frame(message: &str) -> Frame {
    Frame::json(&json!({"error": {"message": message}}))
}

/// The same as [`error_event`], as one frame.
pub(crate) fn broken_frame(message: &str) -> Frame {
    Frame { raw: error_event(message), event: None, data: error_frame(message).data }
}

/// All that is left to send when a stream broke: an error event, then the end mark.
///
/// It begins with empty lines, because the bytes before it may be half an event that would swallow it.
pub fn error_event(message: &str) -> Bytes {
    [b"\n\n", error_frame(message).raw.as_ref(), Frame::done().raw.as_ref()].concat().into()
}

/// The message of an error an upstream put into its answer or stream, whichever of the usual
/// shapes it has.
pub fn error_message(chunk: &Map<String, Value>) -> Option<&str> {
    match chunk.get("error")? {
        Value::Null => None,
        Value::String(message) => Some(message),
        error => Some(error["message"].as_str().unwrap_or("the upstream reported an error")),
    }
}

/// The reasoning in a message or delta, under either of the names upstreams use.
pub(crate) fn reasoning_of(message: &Value) -> Option<&str> {
    ["reasoning_content", "reasoning"]
        .into_iter()
        .filter_map(|name| message[name].as_str())
        .find(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
