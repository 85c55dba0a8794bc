//! The loop: ask, run what the model calls of ours, ask again.
//!
//! An answer that calls functions of the caller ends the loop, whatever else it calls: the caller has
//! to run those before the model can go on, and cannot bring back what we would have run meanwhile. Our
//! calls in it are neither run nor shown, and the model makes them again if it still wants to.

use std::collections::VecDeque;

use breezeway_core::{ChatId, Principal};
use breezeway_registry::{ChatReply, FrameStream, Route, UpstreamError};
use breezeway_wire::{ChatRequest, Frame, openai};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    Toolbox,
    calls::Call,
    toolbox::Done,
    turn::{Turn, Voice},
    usage,
};
use crate::{Result, Source, citation::sources_json, metered::Metered};

/// A request with tools on its way.
pub(crate) struct Loop {
    metered: Metered,
    principal: Principal,
    route: Route,
    /// What the caller calls the conversation.
    conversation: Option<String>,
    request: ChatRequest,
    toolbox: Toolbox,
    /// How often the model has been asked.
    asked: usize,
    until: Instant,
    /// What the answers before this one took.
    usage: Map<String, Value>,
}

impl Loop {
    /// A finished request, to which the tools are added.
    pub(crate) fn new(
        metered: Metered,
        principal: &Principal,
        route: &Route,
        conversation: Option<String>,
        mut request: ChatRequest,
        toolbox: Toolbox,
    ) -> Self {
        toolbox.offer(&mut request);
        // Of several answers, each would call tools of its own.
        request.as_map_mut().shift_remove("n");
        let until = Instant::now() + toolbox.limits.total;
        let (principal, route) = (principal.clone(), route.clone());
        Self { metered, principal, route, conversation, request, toolbox, asked: 0, until, usage: Map::new() }
    }

    /// The whole answer, and what was found for it.
    pub(crate) async fn whole(mut self) -> Result<(Bytes, Vec<Source>)> {
        loop {
            let ChatReply::Whole(body) = self.ask().await? else { return Err(not_as_asked().into()) };
            let turn = match self.read(&body) {
                Read::Answer(body) => return Ok((body, self.toolbox.sources())),
                Read::Calls(turn) => turn,
            };
            usage::add(&mut self.usage, turn.usage());
            let calls = self.remember(turn);
            let done = self.toolbox.run(calls, self.until).await;
            self.answered(done);
        }
    }

    /// The answer as a stream, from the first byte of the first answer on.
    pub(crate) async fn stream(mut self, created: i64) -> Result<FrameStream> {
        let ChatReply::Stream(frames) = self.ask().await? else { return Err(not_as_asked().into()) };
        let sent = self.toolbox.sources().len();
        let streaming = Streaming {
            looped: self,
            phase: Phase::Reading(frames, Box::default()),
            ready: VecDeque::new(),
            voice: None,
            created,
            sent,
        };
        Ok(Box::pin(stream::unfold(streaming, Streaming::next)))
    }

    /// Whether the model may call tools once more after the question that is asked now.
    fn may_go_on(&self) -> bool {
        self.asked <= self.toolbox.limits.rounds && Instant::now() < self.until
    }

    async fn ask(&mut self) -> Result<ChatReply> {
        let fields = self.request.as_map_mut();
        if self.asked > 0 && fields.get("tool_choice").is_some_and(|choice| choice != "none") {
            // A choice that forces a call would force one for ever.
            fields.insert("tool_choice".into(), "auto".into());
        }
        if self.asked >= self.toolbox.limits.rounds || Instant::now() >= self.until {
            self.request.as_map_mut().insert("tool_choice".into(), "none".into());
        }
        self.asked += 1;
        self.metered
            .chat(&self.principal, &self.route, self.conversation.as_deref(), self.request.clone())
            .await
    }

    /// Put the model's turn into the conversation and hand out its calls.
    fn remember(&mut self, turn: Turn) -> Vec<Call> {
        let (message, calls) = turn.into_calls();
        self.push(message);
        calls
    }

    fn answered(&mut self, done: Vec<Done>) {
        for done in done {
            self.push(done.message);
        }
    }

    fn push(&mut self, message: Value) {
        if let Some(messages) = self.request.messages_mut() {
            messages.push(message);
        }
    }

    /// Read a whole answer. One that is for the caller stays as it is, but for calls of ours in it.
    fn read(&self, body: &Bytes) -> Read {
        let Ok(mut answer) = serde_json::from_slice::<Map<String, Value>>(body) else {
            return Read::Answer(body.clone());
        };
        let message = answer.get("choices").map_or(&Value::Null, |choices| &choices[0]["message"]);
        let mut turn = Turn::of(message, &self.toolbox);
        let calls_ours = turn.calls_ours();
        if calls_ours && !turn.is_for_caller() && self.may_go_on() {
            if let Some(Value::Object(usage)) = answer.get("usage") {
                turn.set_usage(usage);
            }
            return Read::Calls(turn);
        }
        if calls_ours && let Some(choices) = answer.get_mut("choices") {
            turn.leave_theirs(&mut choices[0]);
        }
        if let Some(Value::Object(usage)) = answer.get_mut("usage") {
            usage::add(usage, &self.usage);
        }
        match calls_ours || !self.usage.is_empty() {
            true => Read::Answer(Value::Object(answer).to_string().into()),
            false => Read::Answer(body.clone()),
        }
    }
}

enum Read {
    Answer(Bytes),
    Calls(Turn),
}

fn not_as_asked() -> UpstreamError {
    UpstreamError::Malformed("it did not answer as it was asked, whole or streamed".into())
}

/// A streamed answer that is made of several.
struct Streaming {
    looped: Loop,
    phase: Phase,
    ready: VecDeque<Frame>,
    /// Who speaks, once somebody has.
    voice: Option<Voice>,
    created: i64,
    /// How many sources the client has been sent.
    sent: usize,
}

#[derive(Default)]
enum Phase {
    /// The model is speaking.
    Reading(FrameStream, Box<Turn>),
    /// It has called these.
    Running(Vec<Call>),
    #[default]
    Over,
}

impl Streaming {
    async fn next(mut self) -> Option<(Result<Frame, UpstreamError>, Self)> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some((Ok(frame), self));
            }
            match std::mem::take(&mut self.phase) {
                Phase::Over => return None,
                Phase::Running(calls) => self.run(calls).await,
                Phase::Reading(mut frames, turn) => match frames.next().await {
                    Some(Err(error)) => return Some((Err(error), self)),
                    Some(Ok(frame)) if !frame.is_done() => {
                        self.take(frame, frames, turn);
                    }
                    end => self.end(*turn, end.and_then(Result::ok)),
                },
            }
        }
    }

    fn take(&mut self, frame: Frame, frames: FrameStream, mut turn: Box<Turn>) {
        let is_later = self.looped.asked > 1;
        if self.voice.is_none() {
            self.voice = voice_of(&frame);
        }
        let voice = self.voice.as_ref().filter(|_| is_later);
        self.ready.extend(turn.take(frame, voice, &self.looped.toolbox));
        self.phase = Phase::Reading(frames, turn);
    }

    /// An answer is over: go on, or not.
    fn end(&mut self, mut turn: Turn, done: Option<Frame>) {
        if !turn.calls_ours() || turn.is_for_caller() || !self.looped.may_go_on() {
            self.ready.extend(turn.last_frames(&self.looped.usage));
            self.ready.extend(done);
            return;
        }
        self.ready.extend(turn.middle_frames());
        usage::add(&mut self.looped.usage, turn.usage());
        let calls = self.looped.remember(turn);
        self.ready.extend(calls.iter().map(|call| progress(call.name(), "started")));
        self.phase = Phase::Running(calls);
    }

    async fn run(&mut self, calls: Vec<Call>) {
        let done = self.looped.toolbox.run(calls, self.looped.until).await;
        let word = |done: &Done| if done.has_failed { "failed" } else { "finished" };
        self.ready.extend(done.iter().map(|done| progress(&done.name, word(done))));
        self.looped.answered(done);
        self.send_sources();
        match self.looped.ask().await {
            Ok(ChatReply::Stream(frames)) => self.phase = Phase::Reading(frames, Box::default()),
            Ok(ChatReply::Whole(_)) => self.fail(&not_as_asked().to_string()),
            // The status has been sent, so this is the only place left to say it.
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn fail(&mut self, why: &str) {
        self.ready.extend([openai::error_frame(why), Frame::done()]);
    }

    /// What has been found since the client was last sent something.
    fn send_sources(&mut self) {
        let sources = self.looped.toolbox.sources();
        if sources.len() > self.sent {
            let id = match &self.voice {
                Some(Voice { id: Value::String(id), .. }) => id.clone(),
                _ => format!("chatcmpl-{}", ChatId::mint()),
            };
            let shown = sources_json(&sources[self.sent..]);
            let frame = openai::sources_frame(&id, self.created, &self.looped.route.upstream_model, &shown);
            self.ready.push_back(frame);
            self.sent = sources.len();
        }
    }
}

fn voice_of(frame: &Frame) -> Option<Voice> {
    let chunk = frame.chunk()?;
    Some(Voice { id: chunk.get("id")?.clone(), created: chunk.get("created")?.clone() })
}

/// How far a tool has come, for people who look at the stream: a comment, because clients take every
/// event for a piece of the answer.
fn progress(name: &str, word: &str) -> Frame {
    let name = super::names::allowed(name, |_| false);
    Frame { raw: format!(": tool {name} {word}\n\n").into(), event: None, data: Bytes::new() }
}
