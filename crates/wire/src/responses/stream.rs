//! A streamed completion as the events of a response.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    Envelope,
    answer::{function_call, message, reasoning, text_part, usage},
    ending,
};
use crate::{
    frame::Frame,
    openai::{self, reasoning_of},
    tool::call_id,
    translate::Translate,
};

/// Most items one answer is followed through, and most bytes of all their texts: the last events repeat
/// everything, so it is held.
const MAX_ITEMS: usize = 1024;
const MAX_HELD: usize = 32 << 20;

/// Turns the frames of a streamed completion into the events of a response.
///
/// Items follow each other; a tool call stays open until the answer ends, because pieces of several may
/// come interleaved. Every event has its number, and the last one the whole response.
#[derive(Debug)]
pub struct ResponseTranslator {
    envelope: Envelope,
    items: Vec<Item>,
    number: u64,
    held: usize,
    status: &'static str,
    why: Value,
    usage: Value,
    sources: Option<Value>,
    begun: bool,
    ended: bool,
    finished: Option<Value>,
}

/// An item of the output.
struct Item {
    kind: Kind,
    id: String,
    text: String,
    logprobs: Vec<Value>,
    open: bool,
}

impl std::fmt::Debug for Item {
    /// Nothing of what was answered.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item").field("id", &self.id).field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Reasoning,
    Text,
    Refusal,
    Call { number: Option<u64>, call: String, name: String },
}

impl ResponseTranslator {
    /// A translator for one answer.
    pub fn new(envelope: Envelope) -> Self {
        Self {
            envelope,
            items: Vec::new(),
            number: 0,
            held: 0,
            status: "completed",
            why: Value::Null,
            usage: Value::Null,
            sources: None,
            begun: false,
            ended: false,
            finished: None,
        }
    }

    /// The whole response, once its last event has come; `None` if it failed.
    pub fn finished(&self) -> Option<&Value> {
        self.finished.as_ref()
    }

    fn begin(&mut self, events: &mut Vec<Frame>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let response = self.envelope.seal("in_progress", &[], Value::Null);
        events.push(self.event("response.created", json!({ "response": response })));
        events.push(self.event("response.in_progress", json!({ "response": response })));
    }

    fn say(&mut self, choice: &Value, events: &mut Vec<Frame>) {
        let delta = &choice["delta"];
        if let Some(thought) = reasoning_of(delta) {
            self.write(Kind::Reasoning, thought, &Value::Null, events);
        }
        if let Some(text) = delta["content"].as_str().filter(|text| !text.is_empty()) {
            self.write(Kind::Text, text, &choice["logprobs"]["content"], events);
        }
        if let Some(text) = delta["refusal"].as_str().filter(|text| !text.is_empty()) {
            self.write(Kind::Refusal, text, &Value::Null, events);
        }
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(piece, events);
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            (self.status, self.why) = ending(Some(reason));
        }
    }

    /// Go on with the last item if it is of this kind, or start one.
    fn write(&mut self, kind: Kind, text: &str, logprobs: &Value, events: &mut Vec<Frame>) {
        let goes_on = self.items.last().is_some_and(|item| item.open && item.kind == kind);
        if !goes_on {
            self.close_texts(events);
            if !self.open(kind, events) {
                return;
            }
        }
        let at = self.items.len() - 1;
        let item = &mut self.items[at];
        item.text.push_str(text);
        let logprobs = logprobs.as_array().cloned().unwrap_or_default();
        item.logprobs.extend(logprobs.iter().cloned());
        self.held += text.len();
        self.tell_delta(at, text, logprobs, events);
    }

    /// Go on with a tool call or start one.
    fn call(&mut self, piece: &Value, events: &mut Vec<Frame>) {
        let number = piece["index"].as_u64();
        let id = piece["id"].as_str().filter(|id| !id.is_empty());
        let name = piece["function"]["name"].as_str().filter(|name| !name.is_empty());
        let is_it = |item: &Item| match (&item.kind, number, id) {
            (Kind::Call { number: known, .. }, Some(_), _) => *known == number,
            (Kind::Call { call, .. }, None, Some(id)) => call == id,
            (Kind::Call { .. }, None, None) => name.is_none(),
            _ => false,
        };
        let at = match (self.items.iter().rposition(is_it), name) {
            (Some(at), _) => at,
            (None, Some(name)) => {
                self.close_texts(events);
                let call =
                    id.map_or_else(|| call_id("call_", self.envelope.id(), self.items.len()), str::to_owned);
                if !self.open(Kind::Call { number, call, name: name.to_owned() }, events) {
                    return;
                }
                self.items.len() - 1
            }
            // A call begins with the piece that names it.
            (None, None) => return,
        };
        let arguments = match &piece["function"]["arguments"] {
            Value::Null => return,
            Value::String(text) if text.is_empty() => return,
            Value::String(text) => text.clone(),
            whole => whole.to_string(),
        };
        self.held += arguments.len();
        self.items[at].text.push_str(&arguments);
        self.tell_delta(at, &arguments, Vec::new(), events);
    }

    /// Start an item; `false` if there are too many.
    fn open(&mut self, kind: Kind, events: &mut Vec<Frame>) -> bool {
        let at = self.items.len();
        if at == MAX_ITEMS {
            return false;
        }
        let prefix = match kind {
            Kind::Reasoning => "rs_",
            Kind::Text | Kind::Refusal => "msg_",
            Kind::Call { .. } => "fc_",
        };
        let id = self.envelope.item_id(prefix, at);
        let empty = match &kind {
            Kind::Reasoning => json!({"id": id, "type": "reasoning", "summary": []}),
            Kind::Text | Kind::Refusal => message(&id, "in_progress", Vec::new()),
            Kind::Call { call, name, .. } => function_call(&id, call, name, "", "in_progress"),
        };
        self.items.push(Item { kind, id, text: String::new(), logprobs: Vec::new(), open: true });
        events.push(self.event("response.output_item.added", json!({"output_index": at, "item": empty})));
        let part = self.items[at].part("");
        let (name, place) = match self.items[at].kind {
            Kind::Reasoning => ("response.reasoning_summary_part.added", "summary_index"),
            Kind::Text | Kind::Refusal => ("response.content_part.added", "content_index"),
            Kind::Call { .. } => return true,
        };
        let event = self.at(at, json!({place: 0, "part": part}));
        events.push(self.event(name, event));
        true
    }

    fn tell_delta(&mut self, at: usize, text: &str, logprobs: Vec<Value>, events: &mut Vec<Frame>) {
        let (name, fields) = match self.items[at].kind {
            Kind::Reasoning => {
                ("response.reasoning_summary_text.delta", json!({"summary_index": 0, "delta": text}))
            }
            Kind::Text => {
                let fields = json!({"content_index": 0, "delta": text, "logprobs": logprobs});
                ("response.output_text.delta", fields)
            }
            Kind::Refusal => ("response.refusal.delta", json!({"content_index": 0, "delta": text})),
            Kind::Call { .. } => ("response.function_call_arguments.delta", json!({"delta": text})),
        };
        let event = self.at(at, fields);
        events.push(self.event(name, event));
    }

    /// Close the item that is being written, unless it is a call.
    fn close_texts(&mut self, events: &mut Vec<Frame>) {
        if let Some(item) = self.items.last()
            && !matches!(item.kind, Kind::Call { .. })
        {
            self.close(self.items.len() - 1, events);
        }
    }

    fn close(&mut self, at: usize, events: &mut Vec<Frame>) {
        if !std::mem::replace(&mut self.items[at].open, false) {
            return;
        }
        let item = &self.items[at];
        let text = item.text.as_str();
        let part = item.part(text);
        let told: Vec<(&'static str, Value)> = match &item.kind {
            Kind::Reasoning => vec![
                ("response.reasoning_summary_text.done", json!({"summary_index": 0, "text": text})),
                ("response.reasoning_summary_part.done", json!({"summary_index": 0, "part": part})),
            ],
            Kind::Text => vec![
                (
                    "response.output_text.done",
                    json!({"content_index": 0, "text": text, "logprobs": item.logprobs}),
                ),
                ("response.content_part.done", json!({"content_index": 0, "part": part})),
            ],
            Kind::Refusal => vec![
                ("response.refusal.done", json!({"content_index": 0, "refusal": text})),
                ("response.content_part.done", json!({"content_index": 0, "part": part})),
            ],
            Kind::Call { name, .. } => {
                vec![("response.function_call_arguments.done", json!({"name": name, "arguments": text}))]
            }
        };
        let whole = item.whole(self.status);
        for (name, fields) in told {
            let event = self.at(at, fields);
            events.push(self.event(name, event));
        }
        events.push(self.event("response.output_item.done", json!({"output_index": at, "item": whole})));
    }

    /// Fields of an event with the item they are about in front.
    fn at(&self, at: usize, fields: Value) -> Value {
        let mut event = Map::from_iter([("item_id".into(), self.items[at].id.as_str().into())]);
        event.insert("output_index".into(), at.into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        event.into()
    }

    /// An event, which says its name twice in this dialect.
    fn event(&mut self, name: &'static str, fields: Value) -> Frame {
        let mut data = Map::from_iter([("type".into(), name.into())]);
        data.insert("sequence_number".into(), self.number.into());
        self.number += 1;
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        Frame::named(name, &Value::Object(data))
    }
}

impl Item {
    /// The part of its content, with this text.
    fn part(&self, text: &str) -> Value {
        match self.kind {
            Kind::Reasoning => json!({"type": "summary_text", "text": text}),
            Kind::Text if text.is_empty() => text_part("", Vec::new()),
            Kind::Text => text_part(text, self.logprobs.clone()),
            Kind::Refusal => json!({"type": "refusal", "refusal": text}),
            Kind::Call { .. } => Value::Null,
        }
    }

    fn whole(&self, status: &str) -> Value {
        match &self.kind {
            Kind::Reasoning => reasoning(&self.id, &self.text),
            Kind::Text | Kind::Refusal => message(&self.id, status, vec![self.part(&self.text)]),
            Kind::Call { call, name, .. } => {
                // A call without arguments is one with none.
                let arguments = if self.text.is_empty() { "{}" } else { &self.text };
                function_call(&self.id, call, name, arguments, "completed")
            }
        }
    }
}

impl Translate for ResponseTranslator {
    fn push(&mut self, frame: &Frame) -> Vec<Frame> {
        if self.ended {
            return Vec::new();
        }
        if frame.is_done() {
            return self.finish();
        }
        let Some(chunk) = frame.chunk() else {
            let is_comment = frame.data.is_empty() && frame.event.is_none() && frame.raw.starts_with(b":");
            return if is_comment { vec![frame.clone()] } else { Vec::new() };
        };
        if let Some(message) = openai::error_message(&chunk) {
            return self.fail(message);
        }
        if let Some(told) = chunk.get("usage").filter(|told| told.is_object()) {
            self.usage = usage(told);
        }
        if let Some(sources) = chunk.get("sources") {
            self.sources = Some(sources.clone());
        }
        let mut events = Vec::new();
        self.begin(&mut events);
        // A response is one answer, so the first of several is it.
        let choices = chunk.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for choice in choices.iter().filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
            self.say(choice, &mut events);
        }
        if self.held > MAX_HELD {
            events.extend(self.fail("the answer is too long"));
        }
        events
    }

    fn finish(&mut self) -> Vec<Frame> {
        let mut events = Vec::new();
        if self.ended {
            return events;
        }
        self.begin(&mut events);
        for at in 0..self.items.len() {
            self.close(at, &mut events);
        }
        let output: Vec<Value> = self.items.iter().map(|item| item.whole(self.status)).collect();
        let mut response = self.envelope.seal(self.status, &output, self.usage.take());
        response["incomplete_details"] = self.why.take();
        if let Some(sources) = self.sources.take() {
            response["sources"] = sources;
        }
        let name = if self.status == "completed" { "response.completed" } else { "response.incomplete" };
        events.push(self.event(name, json!({ "response": response })));
        self.ended = true;
        self.finished = Some(response);
        events
    }

    fn fail(&mut self, message: &str) -> Vec<Frame> {
        let mut events = Vec::new();
        if std::mem::replace(&mut self.ended, true) {
            return events;
        }
        self.begin(&mut events);
        let mut response = self.envelope.seal("failed", &[], Value::Null);
        response["error"] = json!({"code": "server_error", "message": message});
        events.push(self.event("response.failed", json!({ "response": response })));
        events
    }
}

/// All that is left to send when events that passed through broke off. It begins with empty lines, because
/// the bytes before it may be half an event.
pub fn error_event(message: &str) -> Bytes {
    let event = json!({
        "type": "error",
        "code": "server_error",
        "message": message,
        "param": null,
        // How many came before is not counted where bytes pass.
        "sequence_number": 0,
    });
    [b"\n\n", Frame::named("error", &event).raw.as_ref()].concat().into()
}
