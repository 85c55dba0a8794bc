//! Compression of answers, where nobody waits for their next bytes.

use std::{
    convert::Infallible,
    future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;
use tower::{BoxError, Layer, Service, service_fn};
use tower_http::{
    CompressionLevel,
    compression::{Compression, predicate::Predicate},
};

/// Below this a compressed answer fits no fewer packets, and costs both sides their time.
const MIN_BYTES: u64 = 1024;

/// Media types that a second compression only makes slower, and streams whose frames must leave at
/// once.
const LEFT_ALONE: &[&str] = &[
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/gzip",
    "application/zip",
    "application/zstd",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument",
    "application/epub",
    "audio/",
    "font/woff",
    "image/",
    "video/",
];

/// Makes [`Compressing`].
#[derive(Clone, Copy, Debug)]
pub struct CompressionLayer(Compressible);

/// A layer that compresses with zstd, brotli or gzip, as the client prefers.
pub fn compression(enabled: bool) -> CompressionLayer {
    CompressionLayer(Compressible { enabled })
}

impl<S> Layer<S> for CompressionLayer {
    type Service = Compressing<S>;

    fn layer(&self, inner: S) -> Compressing<S> {
        Compressing { inner, when: self.0 }
    }
}

/// Compresses what is worth it.
///
/// The library's own service gives every answer a body with room for a compressor, a kilobyte that all
/// layers above would move. Here only those that are compressed go through it.
#[derive(Clone, Debug)]
pub struct Compressing<S> {
    inner: S,
    when: Compressible,
}

impl<S, B, R> Service<Request<B>> for Compressing<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Boxed>;
    type Error = S::Error;
    type Future = Compressed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let accepted = request.headers().get_all(header::ACCEPT_ENCODING).iter().cloned().collect();
        Compressed { answer: self.inner.call(request), accepted, when: self.when }
    }
}

pin_project! {
    /// An answer on its way to be compressed.
    pub struct Compressed<F> {
        #[pin]
        answer: F,
        accepted: Vec<HeaderValue>,
        when: Compressible,
    }
}

impl<F, R, E> Future for Compressed<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<Boxed>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        Poll::Ready(answer.map(|answer| match this.when.is_worth_it(&answer) {
            true => compressed(answer.map(boxed), this.accepted),
            false => answer.map(boxed),
        }))
    }
}

type Boxed = UnsyncBoxBody<Bytes, BoxError>;

fn boxed<R>(body: R) -> Boxed
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// An answer as a client that accepts these encodings gets it.
fn compressed(answer: Response<Boxed>, accepted: &[HeaderValue]) -> Response<Boxed> {
    let mut request = Request::new(());
    for encoding in accepted {
        request.headers_mut().append(header::ACCEPT_ENCODING, encoding.clone());
    }
    let mut answer = Some(answer);
    let here = service_fn(|_| {
        future::ready(Ok::<_, Infallible>(answer.take().expect("a service that is called once")))
    });
    // This runs on the threads that move bytes; the last percent of size is not worth their time.
    let mut service = Compression::new(here).quality(CompressionLevel::Fastest).compress_when(Always);
    let answer = service.call(request).now_or_never().expect("nothing here waits");
    match answer {
        Ok(answer) => answer.map(boxed),
        Err(never) => match never {},
    }
}

/// Whether an answer is worth it has been decided before.
#[derive(Clone, Copy)]
struct Always;

impl Predicate for Always {
    fn should_compress<B: Body>(&self, _: &Response<B>) -> bool {
        true
    }
}

/// Decides whether an answer is compressed: it is large enough, not compressed already, and of a
/// known length. An answer of unknown length is a stream, and a compressor would hold it back.
#[derive(Clone, Copy, Debug)]
pub struct Compressible {
    enabled: bool,
}

impl Compressible {
    fn is_worth_it<B: Body>(self, response: &Response<B>) -> bool {
        if !self.enabled {
            return false;
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let length = response
            .body()
            .size_hint()
            .exact()
            .or_else(|| header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()));
        if length.is_none_or(|length| length < MIN_BYTES) {
            return false;
        }
        let media_type = header(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        media_type.starts_with("image/svg+xml")
            || !LEFT_ALONE.iter().any(|prefix| media_type.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use tower::ServiceExt;

    use super::*;

    /// The encoding chosen for an answer of this type and length to a client that accepts these.
    async fn encoding(
        enabled: bool,
        media_type: &str,
        bytes: usize,
        known: bool,
        accept: &str,
    ) -> Option<String> {
        let service = compression(enabled).layer(service_fn(async |_: Request<()>| {
            let text = Bytes::from(vec![b'a'; bytes]);
            let body: UnsyncBoxBody<Bytes, Infallible> = if known {
                Full::new(text).boxed_unsync()
            } else {
                let frames = [Ok(Frame::data(text))];
                StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
            };
            Ok::<_, Infallible>(Response::builder().header("content-type", media_type).body(body).unwrap())
        }));
        let request = Request::builder().header("accept-encoding", accept).body(()).unwrap();
        let answer = service.oneshot(request).await.unwrap();
        let encoding =
            answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        let length = answer.into_body().collect().await.unwrap().to_bytes().len();
        assert_eq!(encoding.is_some(), length < bytes, "{media_type}");
        encoding
    }

    #[tokio::test]
    async fn a_large_answer_is_compressed_as_the_client_prefers() {
        for name in ["gzip", "br", "zstd"] {
            assert_eq!(encoding(true, "application/json", 4096, true, name).await.as_deref(), Some(name));
        }
        assert_eq!(encoding(true, "image/svg+xml", 4096, true, "gzip").await.as_deref(), Some("gzip"));
        assert_eq!(encoding(true, "application/json", 4096, true, "identity").await, None);
        assert_eq!(encoding(false, "application/json", 4096, true, "gzip").await, None);
    }

    #[tokio::test]
    async fn small_answers_and_streams_are_left_as_they_are() {
        assert_eq!(encoding(true, "application/json", 1023, true, "gzip").await, None);
        assert_eq!(encoding(true, "application/json", 4096, false, "gzip").await, None);
        for stream in
            ["text/event-stream; charset=utf-8", "application/x-ndjson", "Text/Event-Stream", "image/png"]
        {
            assert_eq!(encoding(true, stream, 4096, true, "gzip").await, None, "{stream}");
        }
    }
}
