//! One answer of the model within a loop, as it streams: what passes, what is held back.

use std::collections::HashMap;

use breezeway_wire::{Frame, openai, text_of};
use serde_json::{Map, Value, json};

use super::{
    calls::{Call, MOST_CALLS},
    toolbox::Toolbox,
};

/// Most text of one answer that is repeated to the model, in bytes.
const MOST_TEXT: usize = 1 << 20;

/// Most frames that are held back behind the one that says the answer is finished.
const MOST_HELD: usize = 64;

/// Who a streamed answer is from, the same for all its rounds: clients take another id for another
/// answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Voice {
    pub(super) id: Value,
    pub(super) created: Value,
}

/// An answer so far.
#[derive(Default)]
pub(super) struct Turn {
    text: String,
    calls: Vec<Called>,
    /// Which call the upstream means by a number.
    open: HashMap<u64, usize>,
    /// Frames that end the answer, as long as it is not known whether it is the last.
    held: Vec<Frame>,
    /// How many calls the caller has been shown.
    shown: u64,
    usage: Map<String, Value>,
    has_failed: bool,
}

struct Called {
    call: Call,
    whose: Whose,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It has not been said which function is meant.
    Unknown,
    Ours,
    /// The caller's, under this number.
    Theirs(u64),
}

impl Turn {
    /// A whole answer's message.
    pub(super) fn of(message: &Value, toolbox: &Toolbox) -> Self {
        let mut turn = Self { text: text_of(&message["content"]), ..Self::default() };
        turn.text.truncate(turn.text.floor_char_boundary(MOST_TEXT));
        for value in message["tool_calls"].as_array().into_iter().flatten().take(MOST_CALLS) {
            let call = Call::of(value);
            let whose = turn.whose(&call, toolbox);
            turn.calls.push(Called { call, whose });
        }
        turn
    }

    fn whose(&mut self, call: &Call, toolbox: &Toolbox) -> Whose {
        if call.name().is_empty() {
            Whose::Unknown
        } else if toolbox.owns(call.name()) {
            Whose::Ours
        } else {
            self.shown += 1;
            Whose::Theirs(self.shown - 1)
        }
    }

    /// Whether the caller has calls to run: then it is the caller's turn.
    pub(super) fn is_for_caller(&self) -> bool {
        self.has_failed || self.shown > 0
    }

    /// Whether there is something for us to run.
    pub(super) fn calls_ours(&self) -> bool {
        self.calls.iter().any(|called| !matches!(called.whose, Whose::Theirs(_)))
    }

    pub(super) fn set_usage(&mut self, usage: &Map<String, Value>) {
        self.usage = usage.clone();
    }

    /// Leave in a whole answer's choice only the calls that are the caller's.
    pub(super) fn leave_theirs(&self, choice: &mut Value) {
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else { return };
        let Some(Value::Array(calls)) = message.get_mut("tool_calls") else { return };
        let mut whose = self.calls.iter().map(|called| called.whose);
        calls.retain(|_| whose.next().is_some_and(|whose| matches!(whose, Whose::Theirs(_))));
        if calls.is_empty() {
            message.shift_remove("tool_calls");
            if choice["finish_reason"] == "tool_calls" {
                choice["finish_reason"] = "stop".into();
            }
        }
    }

    /// What the model said it took.
    pub(super) fn usage(&self) -> &Map<String, Value> {
        &self.usage
    }

    /// The calls to run, and the message that repeats the answer to the model.
    pub(super) fn into_calls(self) -> (Value, Vec<Call>) {
        let mut calls: Vec<Call> = self.calls.into_iter().map(|called| called.call).collect();
        for call in &mut calls {
            call.id();
        }
        let repeated: Vec<Value> = calls.iter().map(Call::repeated).collect();
        let text = if self.text.is_empty() { Value::Null } else { self.text.into() };
        (json!({"role": "assistant", "content": text, "tool_calls": repeated}), calls)
    }

    /// Take a frame in. What comes back is for the client now.
    pub(super) fn take(&mut self, frame: Frame, voice: Option<&Voice>, toolbox: &Toolbox) -> Option<Frame> {
        let Some(mut chunk) = frame.chunk() else { return self.pass(frame, false) };
        if openai::error_message(&chunk).is_some() {
            self.has_failed = true;
            return self.pass(frame, false);
        }
        let mut changed = voice.is_some_and(|voice| speak_as(voice, &mut chunk));
        if let Some(Value::Object(usage)) = chunk.get("usage") {
            self.usage = usage.clone();
        }
        let mut ends = false;
        let mut says = chunk.get("usage").is_some_and(Value::is_object);
        ends |= says && chunk.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty);
        for choice in chunk.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
            changed |= self.take_choice(choice, voice.is_some(), toolbox);
            ends |= choice["finish_reason"].is_string();
            says |= choice["finish_reason"].is_string() || !is_empty(&choice["delta"]);
        }
        match changed {
            false => self.pass(frame, ends),
            true if says => self.pass(Frame::json(&chunk.into()), ends),
            true => None,
        }
    }

    /// Say whether it was changed.
    fn take_choice(&mut self, choice: &mut Value, is_later: bool, toolbox: &Toolbox) -> bool {
        let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) else { return false };
        if let Some(text) = delta.get("content").and_then(Value::as_str)
            && self.text.len() + text.len() <= MOST_TEXT
        {
            self.text.push_str(text);
        }
        // The role was said at the beginning of the whole answer.
        let mut changed = is_later && delta.shift_remove("role").is_some();
        let Some(Value::Array(deltas)) = delta.get("tool_calls") else { return changed };
        let theirs: Vec<Value> = deltas.iter().filter_map(|delta| self.take_call(delta, toolbox)).collect();
        if theirs != *deltas {
            changed = true;
            if theirs.is_empty() {
                delta.shift_remove("tool_calls");
            } else {
                delta.insert("tool_calls".into(), theirs.into());
            }
        }
        changed
    }

    /// Take a piece of a call in. What comes back is for the caller, who has that call to run.
    fn take_call(&mut self, delta: &Value, toolbox: &Toolbox) -> Option<Value> {
        let slot = self.slot(delta)?;
        let before = self.calls[slot].whose;
        self.calls[slot].call.push(delta);
        if before == Whose::Unknown {
            let call = self.calls[slot].call.clone();
            self.calls[slot].whose = self.whose(&call, toolbox);
        }
        let Whose::Theirs(number) = self.calls[slot].whose else { return None };
        let is_first = before == Whose::Unknown && delta["function"]["name"].is_null();
        let mut piece = if is_first { self.calls[slot].call.repeated() } else { delta.clone() };
        piece["index"] = number.into();
        Some(piece)
    }

    /// The call that a piece belongs to. Some services number all calls alike and tell them apart by id,
    /// and some do not number them.
    fn slot(&mut self, delta: &Value) -> Option<usize> {
        let said = delta.as_object()?.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let names = delta["function"]["name"].as_str().is_some_and(|name| !name.is_empty());
        let index = delta["index"].as_u64();
        let known = match index {
            Some(index) => self.open.get(&index).copied(),
            None => self.calls.len().checked_sub(1).filter(|_| !names),
        };
        let is_other = |slot: usize| names && said.is_some_and(|said| !self.calls[slot].call.has_id(said));
        if let Some(slot) = known.filter(|slot| !is_other(*slot)) {
            return Some(slot);
        }
        let slot = self.calls.len();
        if slot == MOST_CALLS {
            return None;
        }
        self.calls.push(Called { call: Call::default(), whose: Whose::Unknown });
        if let Some(index) = index {
            self.open.insert(index, slot);
        }
        Some(slot)
    }

    fn pass(&mut self, frame: Frame, ends: bool) -> Option<Frame> {
        if !ends && (self.held.is_empty() || self.has_failed) || self.held.len() == MOST_HELD {
            return Some(frame);
        }
        self.held.push(frame);
        None
    }

    /// What was held back of an answer that is the last, with the usage of all before it.
    pub(super) fn last_frames(&mut self, before: &Map<String, Value>) -> Vec<Frame> {
        let held = std::mem::take(&mut self.held);
        // Calls of ours that are not run any more are no reason for the caller to run something.
        let reason = (self.shown == 0 && self.calls_ours()).then_some("stop");
        held.into_iter().map(|frame| finished(frame, reason, before)).collect()
    }

    /// Text that was held back of an answer that is not the last.
    pub(super) fn middle_frames(&mut self) -> Vec<Frame> {
        let held = std::mem::take(&mut self.held);
        held.into_iter().filter_map(|frame| unfinished(&frame)).collect()
    }
}

fn speak_as(voice: &Voice, chunk: &mut Map<String, Value>) -> bool {
    chunk.insert("id".into(), voice.id.clone());
    chunk.insert("created".into(), voice.created.clone());
    true
}

/// Whether nothing is said: all that is there is null or an empty text.
fn is_empty(delta: &Value) -> bool {
    let says = |value: &Value| !value.is_null() && value != "";
    !delta.as_object().is_some_and(|delta| delta.values().any(says))
}

fn finished(frame: Frame, reason: Option<&str>, before: &Map<String, Value>) -> Frame {
    let Some(mut chunk) = frame.chunk() else { return frame };
    let mut changed = false;
    if let Some(Value::Object(usage)) = chunk.get_mut("usage")
        && !before.is_empty()
    {
        super::usage::add(usage, before);
        changed = true;
    }
    for choice in chunk.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(reason) = reason.filter(|_| choice["finish_reason"] == "tool_calls") {
            choice["finish_reason"] = reason.into();
            changed = true;
        }
    }
    if changed { Frame::json(&chunk.into()) } else { frame }
}

fn unfinished(frame: &Frame) -> Option<Frame> {
    let mut chunk = frame.chunk()?;
    chunk.shift_remove("usage");
    let choices = chunk.get_mut("choices").and_then(Value::as_array_mut)?;
    let mut says = false;
    for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
        choice.insert("finish_reason".into(), Value::Null);
        says |= choice.get("delta").is_some_and(|delta| !is_empty(delta));
    }
    says.then(|| Frame::json(&chunk.into()))
}
