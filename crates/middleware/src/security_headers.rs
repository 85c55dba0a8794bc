//! Headers that tell browsers to be careful, set on every answer that does not have them.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::Entry};
use tower::{Layer, Service};

use crate::{
    InvalidConfig,
    amend::{Amend, Amending},
};

type Headers = Arc<[(HeaderName, HeaderValue)]>;

/// Makes [`SecurityHeaders`].
#[derive(Clone, Debug)]
pub struct SecurityHeadersLayer {
    headers: Headers,
}

impl SecurityHeadersLayer {
    /// Set these headers, by name and value.
    ///
    /// # Errors
    /// If a name or value cannot stand in a header.
    pub fn new(headers: &[(String, String)]) -> Result<Self, InvalidConfig> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                Ok((
                    name.parse().map_err(|_| InvalidConfig::HeaderName(name.clone()))?,
                    value.parse().map_err(|_| InvalidConfig::HeaderValue(name.clone()))?,
                ))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { headers })
    }
}

impl<S> Layer<S> for SecurityHeadersLayer {
    type Service = SecurityHeaders<S>;

    fn layer(&self, inner: S) -> SecurityHeaders<S> {
        SecurityHeaders { inner, headers: self.headers.clone() }
    }
}

/// Sets headers; a route that has set one itself knows better.
#[derive(Clone, Debug)]
pub struct SecurityHeaders<S> {
    inner: S,
    headers: Headers,
}

impl<S, B, R> Service<Request<B>> for SecurityHeaders<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Amending<S::Future, Added>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Amending::new(self.inner.call(request), Added(self.headers.clone()))
    }
}

/// What an answer has besides its own headers.
#[derive(Clone, Debug)]
pub struct Added(Headers);

impl Amend for Added {
    fn amend(&self, headers: &mut HeaderMap) {
        headers.reserve(self.0.len());
        for (name, value) in self.0.iter() {
            if let Entry::Vacant(place) = headers.entry(name) {
                place.insert(value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[tokio::test]
    async fn headers_are_added_and_what_a_route_has_set_stays() {
        let layer = SecurityHeadersLayer::new(&[
            pair("X-Content-Type-Options", "nosniff"),
            pair("referrer-policy", "same-origin"),
        ])
        .unwrap();
        let service = layer.layer(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(
                Response::builder().header("referrer-policy", "no-referrer").body(()).unwrap(),
            )
        }));

        let answer = service.oneshot(Request::new(())).await.unwrap();

        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers().get_all("referrer-policy").iter().collect::<Vec<_>>(), ["no-referrer"]);
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused() {
        let refusal = |name, value| SecurityHeadersLayer::new(&[pair(name, value)]).unwrap_err();

        assert_eq!(refusal("a b", "x"), InvalidConfig::HeaderName("a b".into()));
        assert_eq!(refusal("a", "x\ny"), InvalidConfig::HeaderValue("a".into()));
    }
}
