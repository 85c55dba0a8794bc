//! Answers that hold their connection's place, and those whose first piece is waited for.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use breezeway_registry::{Lease, UpstreamError};
use breezeway_upstream::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::body::PassBody;

impl PassBody {
    /// The same body; its lease hears how it goes, and ends with it.
    pub(super) fn held(self, lease: Lease) -> Self {
        Self::new(Held { inner: self, lease: Some(lease) })
    }

    /// The same body once its first piece is here.
    pub(super) async fn begun(mut self) -> Result<Self, UpstreamError> {
        match self.frame().await {
            Some(Ok(first)) => Ok(Self::new(Begun { first: Some(first), rest: self })),
            Some(Err(error)) => Err(failure(&error)),
            None => Ok(self),
        }
    }
}

/// What a body's error says about its upstream.
fn failure(error: &BoxError) -> UpstreamError {
    match error.downcast_ref::<UpstreamError>() {
        Some(error) => error.clone(),
        None => UpstreamError::Broken(error.to_string()),
    }
}

struct Held {
    inner: PassBody,
    /// Gone after the last piece.
    lease: Option<Lease>,
}

impl Body for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let item = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(lease) = &mut self.lease {
            match &item {
                Some(Err(error)) => lease.failed(&failure(error)),
                _ => lease.answered(),
            }
        }
        if !matches!(item, Some(Ok(_))) {
            self.lease = None;
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

impl Drop for Held {
    fn drop(&mut self) {
        // The server drops a body whose announced length has gone out, or is none, without asking for more.
        if let Some(lease) = self.lease.as_mut().filter(|_| self.inner.is_end_stream()) {
            lease.answered();
        }
    }
}

struct Begun {
    first: Option<Frame<Bytes>>,
    rest: PassBody,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + held);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
