//! Streamed answers under the eyes of the meter.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_registry::UpstreamError;
use breezeway_usage::{Outcome, Watch};
use breezeway_wire::Frame;
use bytes::Bytes;
use futures_util::Stream;

use super::drain::Drains;

/// Most bytes of an answer that are read after its client has left.
const MOST_DRAINED: usize = 8 << 20;

/// What a stream is made of.
pub(super) trait Piece: Send + Unpin + 'static {
    /// Show it to the watch. `true` if it is the end mark of the answer.
    fn seen_by(&self, watch: &mut Watch) -> bool;
    fn size(&self) -> usize;
}

impl Piece for Frame {
    fn seen_by(&self, watch: &mut Watch) -> bool {
        watch.see(&self.data);
        self.is_done()
    }

    fn size(&self) -> usize {
        self.raw.len()
    }
}

impl Piece for Bytes {
    fn seen_by(&self, watch: &mut Watch) -> bool {
        watch.push(self);
        false
    }

    fn size(&self) -> usize {
        self.len()
    }
}

type Pieces<P> = Pin<Box<dyn Stream<Item = Result<P, UpstreamError>> + Send>>;

/// Let `watch` see what passes. If the result is dropped before its end, so is the stream, or `drains`
/// read what is left of it.
pub(super) fn watched<P: Piece>(stream: Pieces<P>, watch: Watch, drains: Option<Drains>) -> Pieces<P> {
    Box::pin(Watched { inner: Some(Inner { stream, watch }), drains })
}

struct Watched<P: Piece> {
    /// Gone after the last piece.
    inner: Option<Inner<P>>,
    drains: Option<Drains>,
}

struct Inner<P> {
    stream: Pieces<P>,
    watch: Watch,
}

impl<P: Piece> Inner<P> {
    /// Count a piece; behind the end mark, nothing more is expected.
    fn see(&mut self, piece: &P, at_end: Outcome) {
        if piece.seen_by(&mut self.watch) {
            self.watch.end(at_end);
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<P, UpstreamError>>> {
        let item = ready!(self.stream.as_mut().poll_next(cx));
        match &item {
            // Clients hang up after the end mark, and that is no abort.
            Some(Ok(piece)) => self.see(piece, Outcome::Completed),
            Some(Err(_)) => self.watch.end(Outcome::Failed),
            None => self.watch.end(Outcome::Completed),
        }
        Poll::Ready(item)
    }

    /// Read on until the call is settled. The client has left all the same, so it stays aborted.
    async fn drain(mut self) {
        let mut read = 0;
        while !self.watch.is_settled() && read < MOST_DRAINED {
            let Some(Ok(piece)) = poll_fn(|cx| self.stream.as_mut().poll_next(cx)).await else { return };
            self.see(&piece, Outcome::Aborted);
            read += piece.size();
        }
    }
}

impl<P: Piece> Stream for Watched<P> {
    type Item = Result<P, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let item = ready!(inner.poll_next(cx));
        if !matches!(item, Some(Ok(_))) {
            self.inner = None;
        }
        Poll::Ready(item)
    }
}

impl<P: Piece> Drop for Watched<P> {
    fn drop(&mut self) {
        let open = self.inner.take().filter(|inner| !inner.watch.is_settled());
        if let (Some(inner), Some(drains)) = (open, &self.drains) {
            drains.take(inner.drain());
        }
    }
}
