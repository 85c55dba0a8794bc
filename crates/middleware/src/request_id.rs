//! Request ids: one name for a request, in the logs of client, proxy and server.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};
use uuid::Uuid;

use crate::amend::{Amend, Amending};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids would only serve to fill logs. UUIDs have 36 bytes, trace ids of known systems up to 64.
const MAX_BYTES: usize = 128;

/// The id of a request; in its extensions, and in the answer's `x-request-id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text: letters, digits, `.`, `-` and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id a client or proxy has given, if it is fit to be logged and sent back.
    fn given(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let sane = (1..=MAX_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        sane.then(|| Self(text.into()))
    }

    fn mint() -> Self {
        Self(Uuid::new_v4().to_string().into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes [`SetRequestId`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SetRequestIdLayer;

impl<S> Layer<S> for SetRequestIdLayer {
    type Service = SetRequestId<S>;

    fn layer(&self, inner: S) -> SetRequestId<S> {
        SetRequestId { inner }
    }
}

/// Gives each request a [`RequestId`]: the one it came with if that is sane, else a new one.
#[derive(Clone, Debug)]
pub struct SetRequestId<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for SetRequestId<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Amending<S::Future, Named>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = request.headers().get(HEADER).and_then(RequestId::given).unwrap_or_else(RequestId::mint);
        request.extensions_mut().insert(id.clone());
        Amending::new(self.inner.call(request), Named(id))
    }
}

/// The id an answer is to carry.
#[derive(Clone, Debug)]
pub struct Named(RequestId);

impl Amend for Named {
    fn amend(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(self.0.as_str()) {
            headers.insert(HEADER, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    /// The id that the inner service sees, after checking that the answer carries the same.
    async fn id_of(given: Option<&[u8]>) -> String {
        let service = SetRequestIdLayer.layer(service_fn(async |request: Request<()>| {
            let id = request.extensions().get::<RequestId>().expect("every request has an id").to_string();
            Ok::<_, Infallible>(Response::new(id))
        }));
        let mut request = Request::new(());
        if let Some(given) = given {
            request.headers_mut().insert(HEADER, HeaderValue::from_bytes(given).unwrap());
        }
        let answer = service.oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[HEADER], answer.body().as_str());
        answer.into_body()
    }

    #[tokio::test]
    async fn a_sane_id_is_taken_over() {
        let long = "x".repeat(128);
        for id in ["abc", "4bf92f3577b34da6a3ce929d0e0e4736", "a.b-c_D9", &long] {
            assert_eq!(id_of(Some(id.as_bytes())).await, id);
        }
    }

    #[tokio::test]
    async fn anything_else_is_replaced_by_a_new_id() {
        let long = "x".repeat(129);
        let odd: [Option<&[u8]>; 6] =
            [None, Some(b""), Some(b"a b"), Some(b"a\tb"), Some(b"\xff"), Some(long.as_bytes())];
        let mut seen = std::collections::HashSet::new();
        for given in odd {
            let id = id_of(given).await;

            assert_eq!(id.len(), 36);
            assert!(seen.insert(id));
        }
    }
}
