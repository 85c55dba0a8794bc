//! A deadline between the pieces of a request's body.

use std::{
    error::Error,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// A body that fails when its sender pauses for too long: a client that has announced a body and
/// never sends it would hold its place for ever.
#[derive(Debug)]
pub(crate) struct Patient<B> {
    inner: B,
    pause: Duration,
    /// Made at the first wait: most bodies are there at once.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl<B> Patient<B> {
    pub(crate) fn new(inner: B, pause: Duration) -> Self {
        Self { inner, pause, timer: None, waiting: false }
    }
}

impl<B> Body for Patient<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(this.pause)));
        if !this.waiting {
            this.waiting = true;
            timer.as_mut().reset(Instant::now() + this.pause);
        }
        ready!(timer.as_mut().poll(cx));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the client sends no more of its request's body");
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
