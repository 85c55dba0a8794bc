//! Limits per minute: each request of a key that has limits is counted, and told what is left.
//!
//! Like the credentials layer it refuses nothing itself: it leaves a [`RateRefusal`] in the request's
//! extensions, and the routes answer in their own shape. What is left is written in two dialects: that
//! of draft-ietf-httpapi-ratelimit-headers-10, and the `x-ratelimit-*` headers that clients of OpenAI
//! read.

use std::{
    fmt::Write,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use breezeway_core::Principal;
use breezeway_usage::{Meter, Rate, RateState, Refusal};
use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};

use crate::amend::{Amend, Amending};

/// Why a request is one too many.
#[derive(Clone, Debug)]
pub struct RateRefusal(pub Arc<Refusal>);

/// Makes [`Rates`].
#[derive(Clone)]
pub struct RatesLayer(Meter);

impl RatesLayer {
    /// Have `meter` count.
    pub fn new(meter: Meter) -> Self {
        Self(meter)
    }
}

impl<S> Layer<S> for RatesLayer {
    type Service = Rates<S>;

    fn layer(&self, inner: S) -> Rates<S> {
        Rates { inner, meter: self.0.clone() }
    }
}

/// Counts the requests of keys. It stands behind the credentials layer.
#[derive(Clone)]
pub struct Rates<S> {
    inner: S,
    meter: Meter,
}

impl<S, B, R> Service<Request<B>> for Rates<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Amending<S::Future, Left>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let admitted = request.extensions().get::<Principal>().map(|principal| self.meter.admit(principal));
        let state = match admitted {
            None | Some(Ok(None)) => None,
            Some(Ok(state)) => state,
            Some(Err(refusal)) => {
                let state = refusal.state().copied();
                request.extensions_mut().insert(RateRefusal(Arc::new(refusal)));
                state
            }
        };
        let answer = self.inner.call(request);
        let Some(state) = state else { return Either::Left(answer) };
        Either::Right(Amending::new(answer, Left(state)))
    }
}

/// What is left of a key's limits.
#[derive(Debug)]
pub struct Left(RateState);

impl Amend for Left {
    fn amend(&self, headers: &mut HeaderMap) {
        tell(&self.0, headers);
    }
}

/// Write what is left.
fn tell(state: &RateState, headers: &mut HeaderMap) {
    // Long enough for three policies, so that neither grows.
    let (mut left, mut policies) = (String::with_capacity(96), String::with_capacity(96));
    for (name, rate) in state.policies() {
        let comma = if left.is_empty() { "" } else { ", " };
        let Rate { limit, remaining, reset, window } = rate;
        // Writing to a string cannot fail.
        let _ = write!(left, "{comma}\"{name}\";r={remaining};t={}", seconds(reset));
        let _ = write!(policies, "{comma}\"{name}\";q={limit};w={}", seconds(window));
    }
    if !left.is_empty() {
        put(headers, LEFT, left);
        put(headers, POLICY, policies);
    }
    for (rate, [limit, remaining, reset]) in [(state.requests, REQUESTS), (state.tokens, TOKENS)] {
        let Some(rate) = rate else { continue };
        headers.insert(limit, rate.limit.into());
        headers.insert(remaining, rate.remaining.into());
        put(headers, reset, as_go_writes(rate.reset));
    }
}

const LEFT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        headers.insert(name, value);
    }
}

/// Whole seconds, rounded up: who waits that long has waited long enough.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// A duration as OpenAI writes it: `12ms`, `3s`, `6m0s`.
fn as_go_writes(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_millis()),
        short @ 1..60 => format!("{short}s"),
        long => format!("{}m{}s", long / 60, long % 60),
    }
}

#[cfg(test)]
mod tests {
    use breezeway_core::{ApiKeyId, Clock, Credential, KeyRules, Limits, Role, UnixTime, UserId};
    use breezeway_usage::{MemoryLedger, PriceTable, UsageConfig};
    use http::StatusCode;
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn key(requests_per_minute: Option<u32>) -> Principal {
        let limits = Limits { requests_per_minute, ..Limits::default() };
        Principal {
            user: UserId::mint(),
            role: Role::User,
            name: "Ada".into(),
            email: "ada@test.example".into(),
            groups: Arc::new([]),
            credential: Credential::ApiKey(ApiKeyId::mint()),
            rules: Some(Arc::new(KeyRules { limits, ..KeyRules::default() })),
        }
    }

    async fn ask(meter: &Meter, principal: &Principal) -> Response<()> {
        let inner = service_fn(async |request: Request<()>| {
            let refused = request.extensions().get::<RateRefusal>().is_some();
            let status = if refused { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
            Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(()).unwrap())
        });
        let mut request = Request::new(());
        request.extensions_mut().insert(principal.clone());
        RatesLayer::new(meter.clone()).layer(inner).oneshot(request).await.unwrap()
    }

    async fn meter() -> Meter {
        let clock = Clock::fixed(UnixTime::from_seconds(1_800_000_000));
        let ledger = Arc::new(MemoryLedger::default());
        Meter::open(UsageConfig::default(), ledger, PriceTable::empty(), clock).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_told_what_is_left_until_nothing_is() {
        let (meter, key) = (meter().await, key(Some(2)));

        let answers = [ask(&meter, &key).await, ask(&meter, &key).await, ask(&meter, &key).await];

        assert_eq!(answers.each_ref().map(|answer| answer.status().as_u16()), [200, 200, 429]);
        let left =
            answers.each_ref().map(|answer| answer.headers()["x-ratelimit-remaining-requests"].clone());
        assert_eq!(left, ["1", "0", "0"]);
        let headers = answers[0].headers();
        assert_eq!(headers["ratelimit-policy"], "\"requests\";q=2;w=60");
        assert!(headers["ratelimit"].to_str().unwrap().starts_with("\"requests\";r=1;t="), "{headers:?}");
    }

    #[tokio::test]
    async fn nobody_else_is_told_anything() {
        let meter = meter().await;

        let answer = ask(&meter, &key(None)).await;

        assert!(answer.headers().is_empty(), "{:?}", answer.headers());
    }

    #[test]
    fn durations_are_written_for_each_dialect() {
        assert_eq!([0, 12, 999].map(Duration::from_millis).map(as_go_writes), ["0ms", "12ms", "999ms"]);
        assert_eq!([1, 60, 361].map(Duration::from_secs).map(as_go_writes), ["1s", "1m0s", "6m1s"]);
        assert_eq!([0, 1, 1000, 1001].map(Duration::from_millis).map(seconds), [0, 1, 1, 2]);
    }
}
