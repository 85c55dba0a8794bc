//! A streamed chat as the lines of `/api/chat` or `/api/generate`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Form, Told,
    answer::{finish, piece, reason, tool_call},
};
use crate::{
    frame::Frame,
    openai::{self, Usage, reasoning_of},
    translate::Translate,
};

/// Most tool calls one answer is followed through, and most bytes of their arguments: calls are told
/// whole, so they are held until the answer ends.
const MAX_CALLS: usize = 1024;
const MAX_ARGUMENTS: usize = 16 << 20;

/// Turns the frames of a streamed chat into Ollama's lines, one JSON object each.
///
/// Tool calls come in pieces and are told whole, in a line of their own before the last. The last line
/// says why it ended and what was used.
pub struct LineTranslator {
    form: Form,
    told: Told,
    elapsed: Box<dyn Fn() -> u64 + Send>,
    calls: Vec<Call>,
    arguments: usize,
    reason: &'static str,
    usage: Option<Usage>,
    ended: bool,
}

/// A tool call as far as it has come.
struct Call {
    number: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl std::fmt::Debug for LineTranslator {
    /// Nothing of what was answered.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineTranslator").field("form", &self.form).finish_non_exhaustive()
    }
}

impl LineTranslator {
    /// A translator for one answer. `elapsed` tells the nanoseconds since the request came.
    pub fn new(form: Form, told: Told, elapsed: impl Fn() -> u64 + Send + 'static) -> Self {
        Self {
            form,
            told,
            elapsed: Box::new(elapsed),
            calls: Vec::new(),
            arguments: 0,
            reason: "stop",
            usage: None,
            ended: false,
        }
    }

    fn say(&mut self, choice: &Value) -> Option<Frame> {
        let delta = &choice["delta"];
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(piece);
        }
        if choice["finish_reason"].is_string() {
            self.reason = reason(choice["finish_reason"].as_str());
        }
        let thinking = reasoning_of(delta);
        let text: String =
            ["content", "refusal"].into_iter().filter_map(|name| delta[name].as_str()).collect();
        let logprobs = choice["logprobs"]["content"].as_array().filter(|entries| !entries.is_empty());
        if text.is_empty() && thinking.is_none() && logprobs.is_none() {
            return None;
        }
        let mut line = piece(self.form, &self.told, &text, thinking, Vec::new());
        if let Some(entries) = logprobs {
            line.insert("logprobs".into(), entries.clone().into());
        }
        Some(frame(&line))
    }

    /// Add a piece of a tool call to what is known of it.
    fn call(&mut self, piece: &Value) {
        let number = piece["index"].as_u64();
        let id = piece["id"].as_str().filter(|id| !id.is_empty());
        let name = piece["function"]["name"].as_str().filter(|name| !name.is_empty());
        let known = match (number, id) {
            (Some(_), _) => self.calls.iter().rposition(|call| call.number == number),
            (None, Some(id)) => self.calls.iter().rposition(|call| call.id == id),
            (None, None) if name.is_some() => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        let at = match (known, name) {
            (Some(at), _) => at,
            (None, Some(name)) if self.calls.len() < MAX_CALLS => {
                let (id, name) = (id.unwrap_or_default().to_owned(), name.to_owned());
                self.calls.push(Call { number, id, name, arguments: String::new() });
                self.calls.len() - 1
            }
            (None, _) => return,
        };
        let arguments = match &piece["function"]["arguments"] {
            Value::Null => return,
            Value::String(text) => text.clone(),
            whole => whole.to_string(),
        };
        self.arguments += arguments.len();
        if self.arguments <= MAX_ARGUMENTS {
            self.calls[at].arguments.push_str(&arguments);
        }
    }
}

impl Translate for LineTranslator {
    fn push(&mut self, frame: &Frame) -> Vec<Frame> {
        if self.ended {
            return Vec::new();
        }
        if frame.is_done() {
            return self.finish();
        }
        let Some(chunk) = frame.chunk() else { return Vec::new() };
        if let Some(message) = openai::error_message(&chunk) {
            return self.fail(message);
        }
        if let Some(usage) = chunk.get("usage").and_then(Usage::read) {
            self.usage = Some(usage);
        }
        let mut lines = Vec::new();
        if let Some(sources) = chunk.get("sources") {
            let mut line = piece(self.form, &self.told, "", None, Vec::new());
            line.insert("sources".into(), sources.clone());
            lines.push(self::frame(&line));
        }
        // Ollama has one answer, so the first of several is it.
        let choices = chunk.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for choice in choices.iter().filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
            lines.extend(self.say(choice));
        }
        lines
    }

    fn finish(&mut self) -> Vec<Frame> {
        if std::mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let calls: Vec<Value> = std::mem::take(&mut self.calls)
            .into_iter()
            .map(|call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                tool_call(&json!({"id": call.id, "function": function}))
            })
            .collect();
        if !calls.is_empty() && self.form == Form::Chat {
            lines.push(frame(&piece(self.form, &self.told, "", None, calls)));
        }
        let mut last = piece(self.form, &self.told, "", None, Vec::new());
        finish(&mut last, self.reason, self.usage, (self.elapsed)());
        lines.push(frame(&last));
        lines
    }

    fn fail(&mut self, message: &str) -> Vec<Frame> {
        if std::mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        vec![frame(&Map::from_iter([("error".into(), message.into())]))]
    }
}

/// A line.
fn frame(line: &Map<String, Value>) -> Frame {
    let data = serde_json::to_vec(line).unwrap_or_default();
    let mut raw = data.clone();
    raw.push(b'\n');
    Frame { raw: raw.into(), event: None, data: Bytes::from(data) }
}
