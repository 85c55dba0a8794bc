//! The events of a streamed message as frames of OpenAI's dialect.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{call, finish_reason, usage};
use crate::{
    frame::Frame,
    openai::{self, error_message},
};

/// Most bytes of thoughts that are kept to be told again with their signature. A model that thinks longer
/// is still understood, but has to think anew after its tools.
const MOST_THOUGHT: usize = 1 << 20;

/// Most calls of one answer that are told apart, far above what models make.
const MOST_CALLS: usize = 1024;

/// Turns the events of a streamed message into frames of OpenAI's dialect.
///
/// The first delta carries the role. What a block of thoughts holds is told as it comes, and again as a
/// whole once its signature is there. The reason has a chunk of its own, with the usage in it, or behind
/// it if it is asked for.
#[derive(Debug)]
pub struct EventTranslator {
    created: i64,
    wants_usage: bool,
    id: Value,
    model: Value,
    begun: bool,
    done: bool,
    calls: usize,
    open: Open,
    reason: Option<String>,
    usage: Map<String, Value>,
}

/// The block that is being written.
#[derive(Debug)]
enum Open {
    /// Nothing that is told, or nothing at all.
    None,
    Text,
    Call {
        index: usize,
        /// Whether there were arguments.
        told: bool,
    },
    Thought(Thought),
}

/// What the model thinks, until its signature is whole.
#[derive(Debug)]
struct Thought {
    block: Value,
    thinking: String,
    signature: String,
    /// Whether it is too long to be told again.
    lost: bool,
}

impl Thought {
    fn begin(block: &Value) -> Self {
        let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
        Self { block: block.clone(), thinking: text("thinking"), signature: text("signature"), lost: false }
    }

    fn go_on(&mut self, delta: &Value) {
        for (name, known) in [("thinking", &mut self.thinking), ("signature", &mut self.signature)] {
            let more = delta[name].as_str().unwrap_or_default();
            match known.len() + more.len() <= MOST_THOUGHT {
                true => known.push_str(more),
                false => self.lost = true,
            }
        }
    }

    /// The block as it has to come back.
    fn whole(mut self) -> Option<Value> {
        if self.block["type"] == "thinking" {
            self.block["thinking"] = self.thinking.into();
            self.block["signature"] = self.signature.into();
        }
        (!self.lost).then_some(self.block)
    }
}

impl EventTranslator {
    /// A translator for one answer, made at `created` (seconds since 1970). `wants_usage` asks for a chunk
    /// with the usage before the end mark.
    pub fn new(created: i64, wants_usage: bool) -> Self {
        Self {
            created,
            wants_usage,
            id: Value::Null,
            model: Value::Null,
            begun: false,
            done: false,
            calls: 0,
            open: Open::None,
            reason: None,
            usage: Map::new(),
        }
    }

    /// Whether the answer is complete, or failed: nothing more will come of further events.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Translate one event. One that reports an error ends the stream with an error event.
    pub fn push(&mut self, event: &Frame) -> Vec<Frame> {
        let Some(event) = event.chunk().map(Value::Object).filter(|_| !self.done) else { return Vec::new() };
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.start(&event["message"]),
            "content_block_start" => self.open(&event["content_block"]),
            "content_block_delta" => self.write(&event["delta"]),
            "content_block_stop" => self.close(),
            "message_delta" => {
                if let Some(reason) = event["delta"]["stop_reason"].as_str() {
                    self.reason = Some(reason.to_owned());
                }
                self.count(&event["usage"]);
                Vec::new()
            }
            "message_stop" => self.end(),
            "error" => {
                self.done = true;
                let message = event.as_object().and_then(error_message);
                let message = message.unwrap_or("the upstream reported an error");
                let kind = event["error"]["type"].as_str().unwrap_or("api_error");
                let error = json!({"error": {"message": message, "type": kind}});
                vec![Frame::json(&error), Frame::done()]
            }
            // It keeps the connection awake, and so does a comment.
            "ping" => vec![Frame { raw: Bytes::from_static(b": ping\n\n"), event: None, data: Bytes::new() }],
            _ => Vec::new(),
        }
    }

    /// The events have ended. If the answer has not, an error event says so.
    pub fn finish(&mut self) -> Vec<Frame> {
        if std::mem::replace(&mut self.done, true) {
            return Vec::new();
        }
        vec![openai::error_frame("the model's answer ended before it was complete"), Frame::done()]
    }

    fn start(&mut self, message: &Value) -> Vec<Frame> {
        (self.id, self.model) = (message["id"].clone(), message["model"].clone());
        self.count(&message["usage"]);
        vec![self.delta(json!({"content": ""}))]
    }

    /// Counts come in parts: what was read at the beginning, what was written at the end.
    fn count(&mut self, usage: &Value) {
        for (name, value) in usage.as_object().into_iter().flatten() {
            if value.is_u64() {
                self.usage.insert(name.clone(), value.clone());
            }
        }
    }

    fn open(&mut self, block: &Value) -> Vec<Frame> {
        match block["type"].as_str().unwrap_or_default() {
            "text" => {
                self.open = Open::Text;
                self.text(block)
            }
            "tool_use" if self.calls < MOST_CALLS => {
                let index = self.calls;
                self.calls += 1;
                self.open = Open::Call { index, told: false };
                let mut call = call(block, "");
                call["index"] = index.into();
                vec![self.delta(json!({"tool_calls": [call]}))]
            }
            "thinking" | "redacted_thinking" => {
                self.open = Open::Thought(Thought::begin(block));
                Vec::new()
            }
            _ => {
                self.open = Open::None;
                Vec::new()
            }
        }
    }

    fn text(&mut self, from: &Value) -> Vec<Frame> {
        match from["text"].as_str().filter(|text| !text.is_empty()) {
            Some(text) => vec![self.delta(json!({"content": text}))],
            None => Vec::new(),
        }
    }

    fn write(&mut self, delta: &Value) -> Vec<Frame> {
        match &mut self.open {
            Open::None => Vec::new(),
            Open::Text => self.text(delta),
            Open::Call { index, told } => {
                let Some(json) = delta["partial_json"].as_str().filter(|json| !json.is_empty()) else {
                    return Vec::new();
                };
                *told = true;
                let index = *index;
                vec![self.arguments(index, json)]
            }
            Open::Thought(thought) => {
                thought.go_on(delta);
                match delta["thinking"].as_str().filter(|text| !text.is_empty()) {
                    Some(text) => vec![self.delta(json!({"reasoning_content": text}))],
                    None => Vec::new(),
                }
            }
        }
    }

    fn close(&mut self) -> Vec<Frame> {
        match std::mem::replace(&mut self.open, Open::None) {
            // Clients read the arguments as JSON, and an empty text is none.
            Open::Call { index, told: false } => vec![self.arguments(index, "{}")],
            Open::Thought(thought) => {
                let told = thought.whole().map(|block| self.delta(json!({"thinking_blocks": [block]})));
                told.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn arguments(&mut self, index: usize, json: &str) -> Frame {
        self.delta(json!({"tool_calls": [{"index": index, "function": {"arguments": json}}]}))
    }

    fn end(&mut self) -> Vec<Frame> {
        self.done = true;
        let reason = finish_reason(self.reason.as_deref(), self.calls > 0);
        let choice = json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason});
        let mut reason = self.envelope(json!([choice]));
        let usage = usage(&Value::Object(std::mem::take(&mut self.usage)));
        if !self.wants_usage {
            // Who did not ask for it is not surprised by it here, and it is counted as it passes.
            reason["usage"] = usage;
            return vec![Frame::json(&reason), Frame::done()];
        }
        let mut last = self.envelope(json!([]));
        last["usage"] = usage;
        vec![Frame::json(&reason), Frame::json(&last), Frame::done()]
    }

    fn delta(&mut self, mut delta: Value) -> Frame {
        if !std::mem::replace(&mut self.begun, true)
            && let Some(delta) = delta.as_object_mut()
        {
            delta.shift_insert(0, "role".into(), "assistant".into());
        }
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
        Frame::json(&self.envelope(json!([choice])))
    }

    fn envelope(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}
