//! Bodies: requests read whole under a limit, answers handed on.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use breezeway_registry::Registry;
use breezeway_upstream::{BoxError, Patience, RequestBody, byte_stream};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, BodyStream, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use super::{PassthroughConfig, failure::Failure, metered::MeteredBody};

/// The body of an answer: an upstream's, as it arrives, or one of our own. Dropping it closes the
/// upstream's connection.
pub struct PassBody(UnsyncBoxBody<Bytes, BoxError>);

impl PassBody {
    /// The body of an answer that somebody else has made.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(body.map_err(Into::into).boxed_unsync())
    }

    /// Pieces as they come.
    pub(super) fn pieces(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        let frames = pieces.map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
        Self(StreamBody::new(frames).boxed_unsync())
    }

    pub(super) fn empty() -> Self {
        Self(Empty::new().map_err(|never| match never {}).boxed_unsync())
    }

    /// An answer that is counted as it passes.
    pub(super) fn metered(body: MeteredBody) -> Self {
        Self(body.boxed_unsync())
    }

    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync())
    }

    /// An upstream's body.
    pub(super) fn arriving(body: Incoming, patience: Patience) -> Self {
        if patience == Patience::default() {
            // Without a limit to watch it goes through as it is, its announced length included.
            return Self(body.map_err(Into::into).boxed_unsync());
        }
        let frames = byte_stream(body, patience).map_ok(Frame::data).map_err(BoxError::from);
        Self(StreamBody::new(frames).boxed_unsync())
    }

    /// The same body; behind its last byte, but before its end, the lists of models are read anew, so
    /// that a client that waits for the end finds what it has made.
    pub(super) fn then_refresh(self, registry: Registry) -> Self {
        let refresh = stream::once(async move {
            registry.refresh(false).await;
            Ok(Frame::data(Bytes::new()))
        });
        Self(StreamBody::new(BodyStream::new(self.0).chain(refresh)).boxed_unsync())
    }
}

impl fmt::Debug for PassBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PassBody").field(&self.0.size_hint()).finish()
    }
}

impl Body for PassBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Read a request's body whole.
pub(super) async fn whole(mut body: RequestBody, config: &PassthroughConfig) -> Result<Bytes, Failure> {
    let limit = config.max_request_bytes;
    // What is announced is refused before it is sent, and allocated only once it has come.
    if body.size_hint().lower() > limit as u64 {
        return Err(Failure::TooLarge(limit));
    }
    let mut whole = BytesMut::new();
    loop {
        let piece = timeout(config.request_idle_timeout, body.frame()).await;
        let Some(frame) = piece.map_err(|_| Failure::Unfinished)? else { return Ok(whole.freeze()) };
        let Ok(data) = frame.map_err(|_| Failure::Unreadable)?.into_data() else { continue };
        if data.len() > limit - whole.len() {
            return Err(Failure::TooLarge(limit));
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
}

/// An answer of our own.
pub(super) fn json(status: u16, value: &Value) -> Response<PassBody> {
    let mut response = Response::new(PassBody::whole(value.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
