//! The pooled HTTP client that all upstreams share.
//!
//! It speaks HTTP/1.1 only. There, one exchange has one connection, so dropping an answer is seen by
//! the upstream as a closed connection, and a slow stream cannot hold up another behind shared flow
//! control.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use breezeway_registry::UpstreamError;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, Limited, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

/// Any error, as bodies report them.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request to an upstream: whole or streamed.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// A body without bytes.
pub fn empty_body() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of known bytes.
pub fn full_body(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// What the client needs to know.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Longest wait for a connection, over all addresses of a host.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// Unused connections kept per host.
    pub pool_idle_per_host: usize,
    /// Most bytes of an answer that is held whole.
    pub max_answer_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            // Below the 75 s after which common servers and proxies close an idle connection.
            pool_idle_timeout: Duration::from_secs(60),
            // As many as run at once under load: fewer would open connections anew all the time.
            pool_idle_per_host: 512,
            max_answer_bytes: 64 << 20,
        }
    }
}

/// Sends requests over pooled connections. Clones share the pool.
///
/// It follows no redirect, reads no proxy from the environment and asks for no compression. A pooled
/// connection that turns out dead before a byte of the request was written is replaced once; a
/// request that may have arrived is never sent again.
#[derive(Clone)]
pub struct HttpClient {
    pooled: Client<HttpsConnector<HttpConnector>, RequestBody>,
    max_answer_bytes: usize,
}

impl HttpClient {
    /// A client with an empty pool.
    pub fn new(config: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .expect("ring implements the default protocol versions")
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pooled = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.pool_idle_timeout)
            .pool_max_idle_per_host(config.pool_idle_per_host)
            .build(tls);
        Self { pooled, max_answer_bytes: config.max_answer_bytes }
    }

    /// Send a request and wait for the head of its answer, whatever its status. Dropping the future
    /// or the answer's body closes the connection.
    pub async fn send(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, UpstreamError> {
        self.pooled.request(request).await.map_err(|error| {
            let why = reasons(&error);
            match error.is_connect() || was_never_sent(&error) {
                true => UpstreamError::Unreachable(why),
                false => UpstreamError::Broken(why),
            }
        })
    }

    /// Read an answer's body whole, up to the configured size.
    pub async fn whole(&self, body: Incoming) -> Result<Bytes, UpstreamError> {
        match Limited::new(body, self.max_answer_bytes).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(UpstreamError::Malformed(format!("more than {} bytes", self.max_answer_bytes)))
            }
            Err(error) => Err(UpstreamError::Broken(reasons(error.as_ref()))),
        }
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new(ClientConfig::default())
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("max_answer_bytes", &self.max_answer_bytes).finish_non_exhaustive()
    }
}

/// Whether the connection was gone before anything of the request was written, which hyper calls canceled.
fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .any(|error| error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled))
}

/// An error and its causes in one line: hyper's outermost one says only `client error (Connect)`.
pub(crate) fn reasons(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
