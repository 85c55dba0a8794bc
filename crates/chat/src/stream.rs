//! Streams: sources first, then the answer as it comes, and an error is the last thing in it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_registry::{FrameStream, UpstreamError};
use breezeway_wire::Frame;
use futures_util::Stream;

/// A streamed answer. It owns the upstream's stream, so dropping it closes that connection.
pub(crate) struct AnswerStream {
    first: Option<Frame>,
    rest: Option<FrameStream>,
}

impl AnswerStream {
    /// `first`, if there is one, and then `rest` up to its first error.
    pub(crate) fn new(first: Option<Frame>, rest: FrameStream) -> Self {
        Self { first, rest: Some(rest) }
    }
}

impl Stream for AnswerStream {
    type Item = Result<Frame, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(rest) = self.rest.as_mut() else { return Poll::Ready(None) };
        let item = ready!(rest.as_mut().poll_next(context));
        if !matches!(item, Some(Ok(_))) {
            // The connection is of no more use; it need not wait for a slow client to be closed.
            self.rest = None;
        }
        Poll::Ready(item)
    }
}
