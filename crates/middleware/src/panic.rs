//! The panic guard: a bug in one request is one 500.
//!
//! The text of a panic is not logged here: it may quote what the request carried. The panic hook of
//! the process has printed it, with its place, before we learn of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::CatchUnwind};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use pin_project_lite::pin_project;
use tower::{BoxError, Layer, Service};

/// Makes [`PanicGuard`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PanicGuardLayer;

impl<S> Layer<S> for PanicGuardLayer {
    type Service = PanicGuard<S>;

    fn layer(&self, inner: S) -> PanicGuard<S> {
        PanicGuard { inner }
    }
}

/// Turns a panic into a bare 500, or, once an answer has begun, into its abrupt end.
#[derive(Clone, Debug)]
pub struct PanicGuard<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for PanicGuard<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<GuardedBody>;
    type Error = S::Error;
    type Future = Guarded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // State of a handler dies with its future, so nobody sees what a panic left half done; what
        // is shared sits behind locks that a panic leaves usable.
        let answer = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        Guarded { answer: answer.map(|answer| AssertUnwindSafe(answer).catch_unwind()) }
    }
}

pin_project! {
    /// An answer on its way, or nothing if there was a panic before it was.
    pub struct Guarded<F> {
        #[pin]
        answer: Option<CatchUnwind<AssertUnwindSafe<F>>>,
    }
}

impl<F, R, E> Future for Guarded<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<GuardedBody>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = self.project().answer.as_pin_mut() else { return Poll::Ready(Ok(apology())) };
        Poll::Ready(match ready!(answer.poll(cx)) {
            Ok(answer) => answer.map(|answer| answer.map(GuardedBody::new)),
            Err(_) => Ok(apology()),
        })
    }
}

fn apology() -> Response<GuardedBody> {
    tracing::error!("A handler panicked; the request is answered with 500");
    let mut response = Response::new(GuardedBody::new(Full::from("Internal Server Error")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // The handler may have left the request's body half read.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A body whose panics are errors.
#[derive(Default)]
pub struct GuardedBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    broken: bool,
}

impl GuardedBody {
    fn new<R>(body: R) -> Self
    where
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        Self { inner: body.map_err(Into::into).boxed_unsync(), broken: false }
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.broken {
            return Poll::Ready(None);
        }
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.inner).poll_frame(cx)));
        polled.unwrap_or_else(|_| {
            tracing::error!("A stream panicked; its answer ends here");
            self.broken = true;
            Poll::Ready(Some(Err("the answer broke off".into())))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.broken || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::StreamExt;
    use http_body_util::StreamBody;
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn check(service: impl Service<Request<()>, Response = Response<GuardedBody>, Error = Infallible>) {
        let answer = service.oneshot(Request::new(())).await.unwrap();

        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "Internal Server Error");
    }

    #[tokio::test]
    async fn a_panic_before_or_within_the_answer_is_a_500() {
        check(
            PanicGuardLayer.layer(
                service_fn(
                    |_: Request<()>| -> futures_util::future::BoxFuture<
                        'static,
                        Result<Response<Full<Bytes>>, Infallible>,
                    > { panic!("expected by the test") },
                ),
            ),
        )
        .await;
        check(PanicGuardLayer.layer(service_fn(
            async |_: Request<()>| -> Result<Response<Full<Bytes>>, Infallible> {
                panic!("expected by the test")
            },
        )))
        .await;
    }

    #[tokio::test]
    async fn a_panic_within_a_stream_is_its_end() {
        let service = PanicGuardLayer.layer(service_fn(async |_: Request<()>| {
            let frames = futures_util::stream::iter(0..2).map(|number| match number {
                0 => Ok::<_, Infallible>(Frame::data(Bytes::from("one"))),
                _ => panic!("expected by the test"),
            });
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
        }));

        let mut body = service.oneshot(Request::new(())).await.unwrap().into_body();

        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "the answer broke off");
        assert!(body.frame().await.is_none());
    }
}
