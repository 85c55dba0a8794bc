//! Streamed answers under the eyes of the meter.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_registry::UpstreamError;
use breezeway_usage::{Outcome, Reservation};
use breezeway_wire::{Frame, Tally};
use bytes::Bytes;
use futures_util::Stream;

use super::{drain::Drains, settle};

/// Most bytes of an answer that are read after its client has left.
const MOST_DRAINED: usize = 8 << 20;

/// What is known of an answer under way. Dropping it settles that.
pub(super) struct Watch {
    /// Gone once the call is settled.
    reservation: Option<Reservation>,
    tally: Tally,
    /// Bytes of text that the reservation knows of.
    noted: u64,
}

impl Watch {
    pub(super) fn new(reservation: Reservation, tally: Tally) -> Self {
        Self { reservation: Some(reservation), tally, noted: 0 }
    }

    /// Count a piece of an answer; behind the end mark, nothing more is expected.
    fn see(&mut self, piece: &impl Piece, at_end: Outcome) {
        let is_last = piece.count(&mut self.tally);
        self.note();
        if is_last {
            self.end(at_end);
        }
    }

    fn note(&mut self) {
        let written = self.tally.written_bytes();
        let Some(reservation) = self.reservation.as_mut().filter(|_| written > self.noted) else { return };
        reservation.first_token();
        reservation.produced_bytes(usize::try_from(written - self.noted).unwrap_or(usize::MAX));
        self.noted = written;
    }

    fn end(&mut self, outcome: Outcome) {
        self.tally.end();
        self.note();
        if let Some(reservation) = self.reservation.take() {
            settle(reservation, &self.tally, outcome);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Outcome::Aborted);
    }
}

/// What a stream is made of.
pub(super) trait Piece: Send + Unpin + 'static {
    /// Count it. `true` if it is the end mark of the answer.
    fn count(&self, tally: &mut Tally) -> bool;
    fn size(&self) -> usize;
}

impl Piece for Frame {
    fn count(&self, tally: &mut Tally) -> bool {
        tally.see(&self.data);
        self.is_done()
    }

    fn size(&self) -> usize {
        self.raw.len()
    }
}

impl Piece for Bytes {
    fn count(&self, tally: &mut Tally) -> bool {
        tally.push(self);
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
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<P, UpstreamError>>> {
        let item = ready!(self.stream.as_mut().poll_next(cx));
        match &item {
            // Clients hang up after the end mark, and that is no abort.
            Some(Ok(piece)) => self.watch.see(piece, Outcome::Completed),
            Some(Err(_)) => self.watch.end(Outcome::Failed),
            None => self.watch.end(Outcome::Completed),
        }
        Poll::Ready(item)
    }

    /// Read on until the call is settled. The client has left all the same, so it stays aborted.
    async fn drain(mut self) {
        let mut read = 0;
        while self.watch.reservation.is_some() && read < MOST_DRAINED {
            let Some(Ok(piece)) = poll_fn(|cx| self.stream.as_mut().poll_next(cx)).await else { return };
            self.watch.see(&piece, Outcome::Aborted);
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
        let open = self.inner.take().filter(|inner| inner.watch.reservation.is_some());
        if let (Some(inner), Some(drains)) = (open, &self.drains) {
            drains.take(inner.drain());
        }
    }
}
