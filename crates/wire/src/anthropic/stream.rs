//! A streamed completion as Anthropic's events.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{stop_of, usage_view};
use crate::{
    frame::Frame,
    openai::{self, Usage, reasoning_of},
    tool::call_id,
    translate::Translate,
};

/// Most tool calls one answer is followed through. Far above what models make of it, it bounds what
/// an upstream can have us remember.
const MAX_CALLS: usize = 1024;

/// Turns the frames of a streamed completion into Anthropic's events.
///
/// A message starts with the first chunk that comes, its blocks follow each other with one open at a
/// time, and how it ended is told last, when `[DONE]` or the end of the stream says that no usage can
/// follow any more. Deltas are never empty. A comment, which keeps the connection awake, becomes a
/// `ping` once the message has begun.
#[derive(Debug)]
pub struct StreamTranslator {
    id: String,
    model: String,
    state: State,
    open: Option<Open>,
    /// How many blocks were started.
    blocks: usize,
    calls: Vec<Call>,
    stop_reason: &'static str,
    stop_sequence: Option<String>,
    usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Begun,
    Ended,
}

/// The block that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// Which of the calls.
    Call(usize),
}

/// A tool call, under the number and the id the upstream gave it.
#[derive(Debug)]
struct Call {
    number: Option<u64>,
    id: String,
    block: usize,
}

impl StreamTranslator {
    /// A translator for one answer, which `model` is said to give. Anthropic's ids begin with `msg_`.
    pub fn new(id: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            model: model.into(),
            state: State::Fresh,
            open: None,
            blocks: 0,
            calls: Vec::new(),
            stop_reason: "end_turn",
            stop_sequence: None,
            usage: Usage::default(),
        }
    }

    fn begin(&mut self, events: &mut Vec<Frame>) {
        if self.state != State::Fresh {
            return;
        }
        self.state = State::Begun;
        events.push(event(
            "message_start",
            json!({"message": {
                "id": self.id,
                "type": "message",
                "role": "assistant",
                "content": [],
                "model": self.model,
                "stop_reason": null,
                "stop_sequence": null,
                "usage": usage_view(self.usage),
            }}),
        ));
    }

    fn say(&mut self, delta: &Value, events: &mut Vec<Frame>) {
        if let Some(thinking) = reasoning_of(delta) {
            self.open(Open::Thinking, json!({"type": "thinking", "thinking": "", "signature": ""}), events);
            events.push(self.delta(json!({"type": "thinking_delta", "thinking": thinking})));
        }
        for name in ["content", "refusal"] {
            let Some(text) = delta[name].as_str().filter(|text| !text.is_empty()) else { continue };
            if name == "refusal" {
                self.stop_reason = "refusal";
            }
            self.open(Open::Text, json!({"type": "text", "text": ""}), events);
            events.push(self.delta(json!({"type": "text_delta", "text": text})));
        }
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(piece, events);
        }
    }

    /// Go on with a tool call or start one.
    fn call(&mut self, piece: &Value, events: &mut Vec<Frame>) {
        let function = &piece["function"];
        let number = piece["index"].as_u64();
        let id = piece["id"].as_str().filter(|id| !id.is_empty());
        let known = match (number, id) {
            (Some(_), _) => self.calls.iter().rposition(|call| call.number == number),
            // Upstreams that do not number their calls tell them apart by id, and send most in one piece.
            (None, Some(id)) => self.calls.iter().rposition(|call| call.id == id),
            (None, None) if function["name"].is_string() => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        let at = match (known, function["name"].as_str()) {
            (Some(at), _) => at,
            (None, Some(name)) if self.calls.len() < MAX_CALLS => {
                let at = self.calls.len();
                let id = id.map_or_else(|| call_id("toolu_", &self.id, at), String::from);
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                self.open(Open::Call(at), block, events);
                self.calls.push(Call { number, id, block: self.blocks - 1 });
                at
            }
            // A call begins with the piece that names it; a piece of a call without a name is of no use.
            (None, _) => return,
        };
        let json = match &function["arguments"] {
            Value::Null => return,
            Value::String(json) if json.is_empty() => return,
            Value::String(json) => json.clone(),
            whole => whole.to_string(),
        };
        // Pieces of calls may come interleaved. Clients put them together by the block's number, so a
        // late one goes to its block although that has been closed.
        let delta = json!({"type": "input_json_delta", "partial_json": json});
        events.push(event("content_block_delta", json!({"index": self.calls[at].block, "delta": delta})));
    }

    /// Make `kind` the open block, starting one with `block` unless it is.
    fn open(&mut self, kind: Open, block: Value, events: &mut Vec<Frame>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(events);
        events.push(event("content_block_start", json!({"index": self.blocks, "content_block": block})));
        self.blocks += 1;
        self.open = Some(kind);
    }

    fn close(&mut self, events: &mut Vec<Frame>) {
        if self.open.take().is_some() {
            events.push(event("content_block_stop", json!({"index": self.blocks - 1})));
        }
    }

    /// A delta of the open block.
    fn delta(&self, delta: Value) -> Frame {
        event("content_block_delta", json!({"index": self.blocks - 1, "delta": delta}))
    }
}

impl Translate for StreamTranslator {
    fn push(&mut self, frame: &Frame) -> Vec<Frame> {
        if self.state == State::Ended {
            return Vec::new();
        }
        if frame.is_done() {
            return self.finish();
        }
        let Some(chunk) = frame.chunk() else {
            let is_comment = frame.data.is_empty() && frame.event.is_none() && frame.raw.starts_with(b":");
            return match (is_comment, self.state) {
                (true, State::Begun) => vec![ping()],
                // Clients expect the message's start before all else; a comment they do not see.
                (true, _) => vec![frame.clone()],
                (false, _) => Vec::new(),
            };
        };
        if let Some(message) = openai::error_message(&chunk) {
            return self.fail(message);
        }
        if let Some(usage) = chunk.get("usage").and_then(Usage::read) {
            self.usage = usage;
        }
        let mut events = Vec::new();
        self.begin(&mut events);
        // Anthropic has one answer, so the first of several is it.
        let choices = chunk.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for choice in choices.iter().filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
            self.say(&choice["delta"], &mut events);
            if choice["finish_reason"].is_string() {
                let (reason, sequence) = stop_of(choice, !self.calls.is_empty());
                // A refusal told in the text is one, whatever is said at the end.
                if self.stop_reason != "refusal" {
                    self.stop_reason = reason;
                }
                self.stop_sequence = sequence.map(String::from);
            }
        }
        events
    }

    fn finish(&mut self) -> Vec<Frame> {
        let mut events = Vec::new();
        if self.state == State::Ended {
            return events;
        }
        self.begin(&mut events);
        self.close(&mut events);
        events.push(event(
            "message_delta",
            json!({
                "delta": {"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence},
                "usage": usage_view(self.usage),
            }),
        ));
        events.push(event("message_stop", json!({})));
        self.state = State::Ended;
        events
    }

    fn fail(&mut self, message: &str) -> Vec<Frame> {
        if std::mem::replace(&mut self.state, State::Ended) == State::Ended {
            return Vec::new();
        }
        vec![error_frame(message)]
    }
}

/// The event that keeps a connection awake while there is nothing to say.
pub fn ping() -> Frame {
    event("ping", json!({}))
}

/// The event that tells a client in the middle of a stream what went wrong.
pub fn error_frame(message: &str) -> Frame {
    event("error", json!({"error": {"type": "api_error", "message": message}}))
}

/// The same behind bytes that may be half an event, which would swallow it.
pub fn error_event(message: &str) -> Bytes {
    [b"\n\n", error_frame(message).raw.as_ref()].concat().into()
}

/// An event, which says its name twice in this dialect.
fn event(name: &'static str, fields: Value) -> Frame {
    let mut data = Map::from_iter([("type".into(), name.into())]);
    if let Value::Object(fields) = fields {
        data.extend(fields);
    }
    Frame::named(name, &Value::Object(data))
}
