//! A streamed answer of `/api/chat` as OpenAI's events.

use serde_json::{Map, Value, json};

use super::{
    Stamp,
    answer::{finish_reason, logprobs, thinking, tool_calls, usage},
};
use crate::{frame::Frame, openai};

/// Turns the lines of a streamed answer into frames of OpenAI's dialect.
///
/// The first delta carries the role, the last chunk has an empty delta, the reason and the usage, and
/// `[DONE]` follows it. Lines that say nothing make no frame.
#[derive(Debug)]
pub struct StreamTranslator {
    stamp: Stamp,
    calls: usize,
    begun: bool,
    done: bool,
}

impl StreamTranslator {
    /// A translator for one answer.
    pub fn new(stamp: Stamp) -> Self {
        Self { stamp, calls: 0, begun: false, done: false }
    }

    /// Whether the answer is complete, or failed: nothing more will come of further lines.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Translate one line. A line that reports an error ends the stream with an error event.
    pub fn push(&mut self, line: &Value) -> Vec<Frame> {
        let Some(line) = line.as_object().filter(|_| !self.done) else { return Vec::new() };
        if let Some(message) = openai::error_message(line) {
            self.done = true;
            return vec![openai::error_frame(message), Frame::done()];
        }
        let mut frames = Vec::new();
        let delta = self.delta(line);
        let probabilities = logprobs(line);
        if !delta.is_empty() || !probabilities.is_null() {
            frames.push(self.chunk(delta, probabilities));
        }
        if line.get("done").and_then(Value::as_bool).unwrap_or(false) {
            if !self.begun {
                let silence = Map::from_iter([("content".into(), "".into())]);
                frames.push(self.chunk(silence, Value::Null));
            }
            frames.push(self.last_chunk(line));
            frames.push(Frame::done());
            self.done = true;
        }
        frames
    }

    /// The lines have ended. If the answer has not, an error event says so.
    pub fn finish(&mut self) -> Vec<Frame> {
        if std::mem::replace(&mut self.done, true) {
            return Vec::new();
        }
        vec![openai::error_frame("the model's answer ended before it was complete"), Frame::done()]
    }

    fn delta(&mut self, line: &Map<String, Value>) -> Map<String, Value> {
        let mut delta = Map::new();
        let Some(message) = line.get("message").and_then(Value::as_object) else { return delta };
        if let Some(thinking) = thinking(message) {
            delta.insert("reasoning_content".into(), thinking.into());
        }
        if let Some(text) = message.get("content").and_then(Value::as_str).filter(|text| !text.is_empty()) {
            delta.insert("content".into(), text.into());
        }
        let calls = tool_calls(message, &self.stamp.id, self.calls);
        if !calls.is_empty() {
            self.calls += calls.len();
            delta.insert("tool_calls".into(), calls.into());
        }
        delta
    }

    fn chunk(&mut self, mut delta: Map<String, Value>, logprobs: Value) -> Frame {
        if !std::mem::replace(&mut self.begun, true) {
            delta.shift_insert(0, "role".into(), "assistant".into());
        }
        let choice = json!({"index": 0, "logprobs": logprobs, "finish_reason": null, "delta": delta});
        Frame::json(&self.envelope(choice))
    }

    fn last_chunk(&self, line: &Map<String, Value>) -> Frame {
        let reason = finish_reason(line, self.calls > 0);
        let mut chunk =
            self.envelope(json!({"index": 0, "logprobs": null, "finish_reason": reason, "delta": {}}));
        chunk["usage"] = usage(line);
        Frame::json(&chunk)
    }

    fn envelope(&self, choice: Value) -> Value {
        json!({
            "id": self.stamp.id,
            "object": "chat.completion.chunk",
            "created": self.stamp.created,
            "model": self.stamp.model,
            "choices": [choice],
        })
    }
}
