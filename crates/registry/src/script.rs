//! An upstream without a network, for tests and for programs that try things out.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use breezeway_wire::{ChatRequest, Frame};
use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Map, Value, json};

use crate::{CatalogEntry, ChatReply, Upstream, UpstreamError, UpstreamReply};

/// How many requests are remembered; older ones are forgotten.
const MAX_REQUESTS: usize = 1000;

/// An [`Upstream`] that says what it was told to say and remembers what it was asked. Clones share one
/// script.
///
/// With nothing left in the script, it lists its models and answers `ok`.
#[derive(Clone, Default)]
pub struct ScriptedUpstream(Arc<Script>);

#[derive(Default)]
struct Script {
    parts: Mutex<Parts>,
    open: AtomicUsize,
}

#[derive(Default)]
struct Parts {
    models: Vec<CatalogEntry>,
    catalogs: VecDeque<Answer<Vec<CatalogEntry>>>,
    replies: VecDeque<Answer<Reply>>,
    catalog_calls: usize,
    requests: VecDeque<ChatRequest>,
}

enum Answer<T> {
    Say(Result<T, UpstreamError>),
    Hang,
}

enum Reply {
    Whole(Bytes),
    Frames(Vec<Result<Frame, UpstreamError>>),
    /// The frames, and then silence on an open connection.
    FramesThenHang(Vec<Result<Frame, UpstreamError>>),
}

impl ScriptedUpstream {
    /// One that serves these models.
    pub fn serving<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let upstream = Self::default();
        upstream.serve(ids);
        upstream
    }

    /// Serve these models from now on.
    pub fn serve<'a>(&self, ids: impl IntoIterator<Item = &'a str>) {
        self.parts().models = ids.into_iter().map(entry).collect();
    }

    /// Answer the next unscripted question for the models with a failure.
    pub fn fail_catalog(&self, error: UpstreamError) {
        self.parts().catalogs.push_back(Answer::Say(Err(error)));
    }

    /// Leave the next unscripted question for the models without an answer.
    pub fn hang_catalog(&self) {
        self.parts().catalogs.push_back(Answer::Hang);
    }

    /// Answer the next unscripted chat with this JSON.
    pub fn reply_whole(&self, body: &Value) {
        self.reply(Answer::Say(Ok(Reply::Whole(body.to_string().into()))));
    }

    /// Answer the next unscripted chat with these frames.
    pub fn reply_frames(&self, frames: Vec<Result<Frame, UpstreamError>>) {
        self.reply(Answer::Say(Ok(Reply::Frames(frames))));
    }

    /// Answer the next unscripted chat with these frames, and never end.
    pub fn reply_frames_then_hang(&self, frames: Vec<Result<Frame, UpstreamError>>) {
        self.reply(Answer::Say(Ok(Reply::FramesThenHang(frames))));
    }

    /// Answer the next unscripted chat with a failure.
    pub fn fail_chat(&self, error: UpstreamError) {
        self.reply(Answer::Say(Err(error)));
    }

    /// Leave the next unscripted chat without an answer.
    pub fn hang_chat(&self) {
        self.reply(Answer::Hang);
    }

    /// The chat requests so far, oldest first.
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.parts().requests.iter().cloned().collect()
    }

    /// How often it was asked for its models.
    pub fn catalog_calls(&self) -> usize {
        self.parts().catalog_calls
    }

    /// How many calls and streams are open: neither answered to the end nor dropped.
    pub fn open_calls(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    fn reply(&self, answer: Answer<Reply>) {
        self.parts().replies.push_back(answer);
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        OpenCall(self.0.clone())
    }
}

#[async_trait]
impl Upstream for ScriptedUpstream {
    async fn catalog(&self) -> Result<Vec<CatalogEntry>, UpstreamError> {
        let _open = self.open();
        let answer = {
            let mut parts = self.parts();
            parts.catalog_calls += 1;
            let models = parts.models.clone();
            parts.catalogs.pop_front().unwrap_or(Answer::Say(Ok(models)))
        };
        said(answer).await
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, UpstreamError> {
        let open = self.open();
        let answer = {
            let mut parts = self.parts();
            let unscripted = Answer::Say(Ok(unscripted(&request)));
            if parts.requests.len() == MAX_REQUESTS {
                parts.requests.pop_front();
            }
            parts.requests.push_back(request);
            parts.replies.pop_front().unwrap_or(unscripted)
        };
        let stream = |frames: Vec<_>, ends| {
            ChatReply::Stream(Box::pin(ScriptedStream { frames: frames.into(), ends, open: Some(open) }))
        };
        Ok(match said(answer).await? {
            Reply::Whole(body) => ChatReply::Whole(body),
            Reply::Frames(frames) => stream(frames, true),
            Reply::FramesThenHang(frames) => stream(frames, false),
        })
    }

    async fn embeddings(&self, _request: Map<String, Value>) -> Result<Bytes, UpstreamError> {
        Err(UpstreamError::Unsupported("embeddings"))
    }

    async fn relay(&self, _path: &str, _request: Map<String, Value>) -> Result<UpstreamReply, UpstreamError> {
        Err(UpstreamError::Unsupported("relay"))
    }
}

async fn said<T>(answer: Answer<T>) -> Result<T, UpstreamError> {
    match answer {
        Answer::Say(said) => said,
        Answer::Hang => std::future::pending().await,
    }
}

fn unscripted(request: &ChatRequest) -> Reply {
    if request.is_stream() {
        let delta = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "ok"}}]});
        Reply::Frames(vec![Ok(Frame::json(&delta)), Ok(Frame::done())])
    } else {
        let message = json!({"role": "assistant", "content": "ok"});
        Reply::Whole(json!({"choices": [{"index": 0, "message": message}]}).to_string().into())
    }
}

fn entry(id: &str) -> CatalogEntry {
    let details = json!({"id": id, "object": "model"}).as_object().cloned().unwrap_or_default();
    CatalogEntry { id: id.to_owned(), name: id.to_owned(), created: 0, details, loaded_until: None }
}

/// Counts as open until dropped.
struct OpenCall(Arc<Script>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

struct ScriptedStream {
    frames: VecDeque<Result<Frame, UpstreamError>>,
    ends: bool,
    open: Option<OpenCall>,
}

impl Stream for ScriptedStream {
    type Item = Result<Frame, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if self.ends => {
                self.open = None;
                Poll::Ready(None)
            }
            None => Poll::Pending,
        }
    }
}
