//! Scripted replies.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::time::{Sleep, sleep};

use crate::received::Guard;

/// What a scripted upstream does with one request.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    before: Duration,
    pieces: VecDeque<Bytes>,
    chunked: bool,
    first_after: Duration,
    every: Duration,
    end: End,
    answers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Cut,
    Stall,
}

impl Reply {
    fn new(status: u16, content_type: &str, pieces: VecDeque<Bytes>, chunked: bool) -> Self {
        Self {
            status,
            headers: vec![(CONTENT_TYPE.as_str().to_owned(), content_type.to_owned())],
            before: Duration::ZERO,
            pieces,
            chunked,
            first_after: Duration::ZERO,
            every: Duration::ZERO,
            end: End::Complete,
            answers: true,
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string())
    }

    /// An answer of known length.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status, content_type, [body.into()].into(), false)
    }

    /// A chunked answer of status 200, one write per piece.
    pub fn pieces<P: Into<Bytes>>(content_type: &str, pieces: impl IntoIterator<Item = P>) -> Self {
        Self::new(200, content_type, pieces.into_iter().map(Into::into).collect(), true)
    }

    /// Server-sent events, one piece each; `[DONE]` is not added.
    pub fn sse<P: Into<Bytes>>(events: impl IntoIterator<Item = P>) -> Self {
        Self::pieces("text/event-stream", events)
    }

    /// JSON lines, one piece each.
    pub fn ndjson(lines: impl IntoIterator<Item = Value>) -> Self {
        Self::pieces("application/x-ndjson", lines.into_iter().map(|line| format!("{line}\n")))
    }

    /// Close the connection instead of answering.
    pub fn cut() -> Self {
        Self { answers: false, end: End::Cut, ..Self::new(200, "", VecDeque::new(), true) }
    }

    /// Neither answer nor close.
    pub fn stall() -> Self {
        Self { answers: false, end: End::Stall, ..Self::new(200, "", VecDeque::new(), true) }
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Wait this long before the head of the answer.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.before = wait;
        self
    }

    /// Wait this long between the head and the first piece.
    #[must_use]
    pub fn first_after(mut self, wait: Duration) -> Self {
        self.first_after = wait;
        self
    }

    /// Wait this long between two pieces.
    #[must_use]
    pub fn every(mut self, wait: Duration) -> Self {
        self.every = wait;
        self
    }

    /// Close the connection after `count` pieces, without ending the body.
    #[must_use]
    pub fn cut_after(mut self, count: usize) -> Self {
        self.pieces.truncate(count);
        self.end = End::Cut;
        self
    }

    /// Say nothing more after the last piece and keep the connection open.
    #[must_use]
    pub fn then_stall(mut self) -> Self {
        self.end = End::Stall;
        self
    }

    pub(crate) async fn answer(self, guard: Guard, head_only: bool) -> Result<Response<ScriptBody>, Cut> {
        if !self.before.is_zero() {
            sleep(self.before).await;
        }
        if !self.answers {
            if self.end == End::Stall {
                std::future::pending::<()>().await;
            }
            guard.finish();
            return Err(Cut);
        }
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::from_u16(self.status).expect("a script names a valid status");
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).expect("a script names a valid header");
            answer.headers_mut().append(name, HeaderValue::try_from(value).expect("and a valid value"));
        }
        if head_only || (self.pieces.iter().all(Bytes::is_empty) && self.end == End::Complete) {
            guard.finish();
        }
        let body = ScriptBody {
            pieces: self.pieces,
            chunked: self.chunked,
            every: self.every,
            end: self.end,
            wait: (!self.first_after.is_zero()).then(|| Box::pin(sleep(self.first_after))),
            guard,
        };
        Ok(answer.map(|()| body))
    }
}

/// The connection is to be closed here.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the script cuts here")
    }
}

impl std::error::Error for Cut {}

/// The body of a scripted answer.
#[derive(Debug)]
pub(crate) struct ScriptBody {
    pieces: VecDeque<Bytes>,
    chunked: bool,
    every: Duration,
    end: End,
    wait: Option<Pin<Box<Sleep>>>,
    guard: Guard,
}

impl ScriptBody {
    /// The server drops what it has buffered when a body fails in the same poll, so a cut waits a moment.
    const BEFORE_A_CUT: Duration = Duration::from_millis(10);

    fn wait_after_piece(&self) -> Duration {
        match (self.pieces.is_empty(), self.end) {
            (false, _) => self.every,
            (true, End::Cut) => self.every.max(Self::BEFORE_A_CUT),
            (true, _) => Duration::ZERO,
        }
    }
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        if let Some(piece) = self.pieces.pop_front() {
            let wait = self.wait_after_piece();
            self.wait = (!wait.is_zero()).then(|| Box::pin(sleep(wait)));
            if self.is_end_stream() {
                self.guard.finish();
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Stall => Poll::Pending,
            End::Complete => {
                self.guard.finish();
                Poll::Ready(None)
            }
            End::Cut => {
                self.guard.finish();
                Poll::Ready(Some(Err(Cut)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.end == End::Complete
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked {
            return SizeHint::new();
        }
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
