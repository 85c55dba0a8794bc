//! One span and one closing line for each request.
//!
//! The line is written when the last byte has left or the client has gone, not when the head was
//! sent: a stream that breaks off after a minute is what somebody will look for. Paths are logged;
//! query strings and headers are not, they carry secrets.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty, instrument::Instrumented};

use crate::RequestId;

/// Paths of the API are short; longer ones are somebody's experiment.
const MAX_PATH_BYTES: usize = 256;

/// Makes [`Trace`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// Puts a span around each request, from its head to the end of its answer.
#[derive(Clone, Debug)]
pub struct Trace<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Trace<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body + Unpin,
{
    type Response = Response<TracedBody<R>>;
    type Error = S::Error;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let closing = Closing::new(&request);
        let span = closing.span.clone();
        let answer = span.in_scope(|| self.inner.call(request)).instrument(span);
        Traced { answer, closing: Some(closing) }
    }
}

pin_project! {
    /// An answer on its way, inside of its request's span.
    pub struct Traced<F> {
        // Dropped before the closing line is written.
        #[pin]
        answer: Instrumented<F>,
        // Gone when the head has come.
        closing: Option<Closing>,
    }
}

impl<F, R, E> Future for Traced<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body + Unpin,
{
    type Output = Result<Response<TracedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(cx));
        let Some(mut closing) = this.closing.take() else { return Poll::Pending };
        Poll::Ready(answer.map(|response| {
            closing.status = Some(response.status());
            // Nobody asks for the frames of such an answer, so it is complete as it is.
            closing.complete = response.body().is_end_stream() || closing.method == Method::HEAD;
            response.map(|body| TracedBody { inner: body, closing })
        }))
    }
}

/// What the closing line says; dropping it writes the line.
struct Closing {
    span: Span,
    method: Method,
    path: Box<str>,
    begun: Instant,
    status: Option<StatusCode>,
    complete: bool,
}

impl Closing {
    fn new<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        let path: Box<str> = path[..path.floor_char_boundary(MAX_PATH_BYTES)].into();
        let span = tracing::info_span!(
            "request",
            http.method = %request.method(),
            http.path = %path,
            request.id = request.extensions().get::<RequestId>().map(RequestId::as_str),
            principal.id = Empty,
        );
        Self {
            span,
            path,
            method: request.method().clone(),
            begun: Instant::now(),
            status: None,
            complete: false,
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let (method, path) = (&self.method, &self.path);
        let duration_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _entered = self.span.enter();
        match self.status {
            Some(status) if self.complete => tracing::info!(
                http.status = status.as_u16(),
                duration_ms,
                "Answered {method} {path} with {} in {duration_ms} ms",
                status.as_u16()
            ),
            Some(status) => tracing::info!(
                http.status = status.as_u16(),
                duration_ms,
                "Broke off {method} {path} after {} and {duration_ms} ms",
                status.as_u16()
            ),
            None => tracing::info!(duration_ms, "Abandoned {method} {path} after {duration_ms} ms"),
        }
    }
}

/// A body that keeps its request's span open.
pub struct TracedBody<R> {
    inner: R,
    closing: Closing,
}

impl<R: Body + Unpin> Body for TracedBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = &mut *self;
        let _entered = this.closing.span.enter();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        // A server that knows the length may never ask for the end.
        if matches!(polled, Poll::Ready(None)) || this.inner.is_end_stream() {
            this.closing.complete = !matches!(polled, Poll::Ready(Some(Err(_))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<R> std::fmt::Debug for TracedBody<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TracedBody")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, Empty as NoBody, Full, StreamBody};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::{SetRequestIdLayer, testing::Log};

    fn request(uri: &str) -> Request<()> {
        Request::builder()
            .uri(uri)
            .header("x-request-id", "the-id")
            .header("authorization", "Bearer the-token")
            .body(())
            .unwrap()
    }

    #[tokio::test]
    async fn the_closing_line_names_the_request_and_no_secret() {
        let log = Log::start();
        let service = SetRequestIdLayer.layer(TraceLayer.layer(service_fn(async |_: Request<()>| {
            tracing::info!("Within");
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
        })));

        let answer = service.oneshot(request("/api/models?key=the-query")).await.unwrap();
        answer.into_body().collect().await.unwrap();

        let lines = log.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("request.id=\"the-id\"") && lines[0].contains("Within"), "{lines:?}");
        for part in
            ["http.method=GET", "http.path=/api/models", "Answered GET /api/models with 200", "duration_ms="]
        {
            assert!(lines[1].contains(part), "{part} in {lines:?}");
        }
        assert!(!lines.concat().contains("the-query") && !lines.concat().contains("the-token"), "{lines:?}");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_waits_for_is_told_apart() {
        let log = Log::start();
        let service = TraceLayer.layer(service_fn(async |request: Request<()>| {
            if request.uri().path() == "/slow" {
                std::future::pending::<()>().await;
            }
            let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
            Ok::<_, Infallible>(Response::new(body))
        }));

        drop(service.clone().oneshot(request("/stream")).await.unwrap());
        assert!(service.oneshot(request("/slow")).now_or_never().is_none());

        let lines = log.lines();
        assert!(lines[0].contains("Broke off GET /stream after 200"), "{lines:?}");
        assert!(lines[1].contains("Abandoned GET /slow"), "{lines:?}");
    }

    #[tokio::test]
    async fn an_answer_without_a_body_is_complete() {
        let log = Log::start();
        let service = TraceLayer.layer(service_fn(async |_: Request<()>| {
            let answer = Response::builder().status(StatusCode::NO_CONTENT);
            Ok::<_, Infallible>(answer.body(NoBody::<Bytes>::new()).unwrap())
        }));

        drop(service.oneshot(request(&format!("/{}", "x".repeat(5000)))).await.unwrap());

        let lines = log.lines();
        assert!(lines[0].contains("Answered GET /xxx") && lines[0].contains("with 204"), "{lines:?}");
        assert!(lines[0].len() < 1000, "{lines:?}");
    }
}
