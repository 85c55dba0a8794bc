//! Streams: sources first, then the answer as it comes, and an error is the last thing in it.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_registry::{FrameStream, UpstreamError};
use breezeway_wire::Frame;
use futures_util::Stream;

mod links;

pub use self::links::LinkPolicy;
pub(crate) use self::links::Links;
use crate::review::Review;

/// A streamed answer. It owns the upstream's stream, so dropping it closes that connection.
pub(crate) struct AnswerStream {
    /// What goes out next.
    ready: VecDeque<Frame>,
    rest: Option<FrameStream>,
    review: Option<Review>,
}

impl AnswerStream {
    /// `first`, if there is one, and then `rest` up to its first error, as `review` lets it pass.
    pub(crate) fn new(first: Option<Frame>, rest: FrameStream, review: Option<Review>) -> Self {
        Self { ready: first.into_iter().collect(), rest: Some(rest), review }
    }
}

impl Stream for AnswerStream {
    type Item = Result<Frame, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            let Some(rest) = self.rest.as_mut() else { return Poll::Ready(None) };
            let item = ready!(rest.as_mut().poll_next(context));
            if !matches!(item, Some(Ok(_))) {
                // The connection is of no more use; it need not wait for a slow client to be closed.
                self.rest = None;
            }
            let Some(review) = self.review.as_mut() else { return Poll::Ready(item) };
            let frames = match item {
                Some(Ok(frame)) => review.frame(frame),
                None => review.end(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            };
            self.ready.extend(frames);
        }
    }
}
