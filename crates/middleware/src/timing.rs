//! How long the answer took to begin: `x-process-time`, in seconds with six decimals.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};

use crate::amend::{Amend, Amending};

const HEADER: HeaderName = HeaderName::from_static("x-process-time");

/// Makes [`Timing`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TimingLayer;

impl<S> Layer<S> for TimingLayer {
    type Service = Timing<S>;

    fn layer(&self, inner: S) -> Timing<S> {
        Timing { inner }
    }
}

/// Tells clients how long the server took until the head of its answer.
#[derive(Clone, Debug)]
pub struct Timing<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Timing<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Amending<S::Future, Since>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let begun = Instant::now();
        Amending::new(self.inner.call(request), Since(begun))
    }
}

/// When a request began.
#[derive(Clone, Copy, Debug)]
pub struct Since(Instant);

impl Amend for Since {
    fn amend(&self, headers: &mut HeaderMap) {
        let elapsed = self.0.elapsed();
        let seconds = format!("{}.{:06}", elapsed.as_secs(), elapsed.subsec_micros());
        // An upstream of this kind sends the header too; the client asked us.
        if let Ok(seconds) = HeaderValue::from_maybe_shared(Bytes::from(seconds)) {
            headers.insert(HEADER, seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn the_answer_says_how_many_seconds_it_took() {
        let service =
            TimingLayer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(()))));

        let answer = service.oneshot(Request::new(())).await.unwrap();

        let value = answer.headers()[HEADER].to_str().unwrap();
        let (seconds, decimals) = value.split_once('.').unwrap();
        assert_eq!((seconds, decimals.len()), ("0", 6));
        assert!(value.parse::<f64>().unwrap() >= 0.0);
    }
}
