//! Calls through the passthrough, counted by what passes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_core::Principal;
use breezeway_registry::UpstreamError;
use breezeway_upstream::BoxError;
use breezeway_usage::{Call, Operation, Outcome, Reservation, Tokens, Watch, estimate_bytes};
use breezeway_wire::{Asked, Tally};
use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};

use super::{Passthrough, Target, body::PassBody, failure::Failure};

impl Passthrough {
    /// Reserve what a request may use; `None` for one that asks no model.
    pub(super) async fn reserve(
        &self,
        principal: &Principal,
        path: &str,
        target: &Target,
        body: &[u8],
    ) -> Result<Option<Reservation>, Failure> {
        let Some(operation) = operation(path) else { return Ok(None) };
        let asked = Asked::of(body);
        let call = Call {
            operation,
            model: target.id.as_str().into(),
            upstream: Some(target.connection.label().into()),
            estimated_input: estimate_bytes(asked.text_bytes),
            max_output: if operation == Operation::Embedding { Some(0) } else { asked.max_tokens },
        };
        Ok(Some(self.meter.reserve(principal, call).await?))
    }
}

fn operation(path: &str) -> Option<Operation> {
    Some(match path {
        "/api/chat" | "/v1/chat/completions" | "/v1/responses" | "/v1/messages" => Operation::Chat,
        "/api/generate" | "/v1/completions" => Operation::Completion,
        "/api/embed" | "/api/embeddings" | "/v1/embeddings" => Operation::Embedding,
        _ => return None,
    })
}

/// Settle a call that had no answer.
pub(super) fn settle_failure(reservation: Reservation, error: &UpstreamError) {
    match error.may_have_worked() {
        true => reservation.settle_estimated(Outcome::Failed),
        false => reservation.settle(Tokens::default(), Outcome::Failed),
    }
}

/// An answer under the eyes of the meter. Dropping it before its end settles an aborted call.
pub(super) struct MeteredBody {
    inner: PassBody,
    watch: Watch,
}

impl MeteredBody {
    pub(super) fn new(inner: PassBody, headers: &HeaderMap, reservation: Reservation) -> Self {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self { inner, watch: Watch::new(reservation, Tally::of(content_type.unwrap_or_default())) }
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        // The server drops a body whose announced length has gone out without asking for more.
        if self.inner.is_end_stream() {
            self.watch.end(Outcome::Completed);
        }
    }
}

impl Body for MeteredBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let item = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &item {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.watch.push(data);
                }
            }
            Some(Err(_)) => self.watch.end(Outcome::Failed),
            None => self.watch.end(Outcome::Completed),
        }
        Poll::Ready(item)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
