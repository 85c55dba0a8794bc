//! How long the answer took to begin: `x-process-time`, in seconds with six decimals.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};

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
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let begun = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            // An upstream of this kind sends the header too; the client asked us.
            if let Ok(seconds) = HeaderValue::from_str(&format!("{:.6}", begun.elapsed().as_secs_f64())) {
                response.headers_mut().insert(HEADER, seconds);
            }
            Ok(response)
        })
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
