//! Fetching what is at an address of the web that a user named.
//!
//! The address is somebody else's word, so it is held back from what only this machine can reach. The
//! check sits in the resolver of the connections: what is connected to is exactly what was checked, and
//! a name that answers otherwise the second time gains nothing. It applies anew to every redirect, and
//! nothing of one host (no cookie, no credential) is carried to another.

use std::{
    collections::HashSet,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use bytes::Bytes;
use http::{Request, Response, Uri, header, uri::Scheme};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{
            HttpConnector,
            dns::{GaiFuture, GaiResolver, Name},
        },
    },
    rt::TokioExecutor,
};
use tokio::time::timeout;

use crate::{RequestBody, client::reasons, empty_body, is_public};

/// What may be fetched.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Also reach addresses that are not public. For machines whose users may see what the machine sees.
    pub local: bool,
    /// Hosts and addresses: with a `!` in front never to be asked, without one the only ones to be asked.
    /// A host stands for the names below it too.
    pub filter: Vec<String>,
    /// Longest time for one address, redirects and all.
    pub timeout: Duration,
    /// Most bytes of an answer.
    pub max_bytes: usize,
    /// Redirects that are followed.
    pub redirects: usize,
}

impl Default for WebConfig {
    fn default() -> Self {
        // Where clouds keep what a machine is allowed to do. They stay out of reach even where local
        // addresses are in it.
        let metadata = [
            "!169.254.169.254",
            "!fd00:ec2::254",
            "!100.100.100.200",
            "!metadata.google.internal",
            "!metadata.azure.com",
        ];
        Self {
            local: false,
            filter: metadata.map(str::to_owned).into(),
            timeout: Duration::from_secs(30),
            max_bytes: 32 << 20,
            redirects: 5,
        }
    }
}

/// What was at an address.
#[derive(Clone, Debug)]
pub struct WebPage {
    /// Where it was in the end.
    pub url: String,
    /// What the server calls it, e.g. `text/html; charset=utf-8`; empty if it does not say.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// Why nothing was fetched. The text is for the log: told to whoever named the address it would show
/// them what is on this machine's network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// It is no address of the web.
    #[error("it is no http or https address")]
    NoAddress,
    /// The host may not be asked.
    #[error("the host `{0}` is not to be asked")]
    Refused(String),
    /// The server said no.
    #[error("the server answered {0}")]
    Answered(u16),
    /// A redirect led nowhere, or there were too many.
    #[error("redirects lead nowhere")]
    Redirects,
    /// There is more than is wanted.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("there was no whole answer in time")]
    Timeout,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(String),
}

/// Fetches. Clones share their connections.
#[derive(Clone)]
pub struct WebClient {
    http: Client<HttpsConnector<HttpConnector<Guarded>>, RequestBody>,
    rules: Arc<Rules>,
}

impl WebClient {
    /// A client under these rules.
    pub fn new(config: WebConfig) -> Self {
        let rules = Arc::new(Rules::new(config));
        let mut tcp =
            HttpConnector::new_with_resolver(Guarded { rules: rules.clone(), dns: GaiResolver::new() });
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(rules.config.timeout));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .expect("ring implements the default protocol versions")
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // Connections are not kept: pages are fetched one by one from anywhere.
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(tls);
        Self { http, rules }
    }

    /// Fetch what is at `url`.
    ///
    /// # Errors
    /// If it may not be asked for, is not there, is too large or too slow.
    pub async fn fetch(&self, url: &str) -> Result<WebPage, WebError> {
        timeout(self.rules.config.timeout, self.follow(url)).await.unwrap_or(Err(WebError::Timeout))
    }

    async fn follow(&self, url: &str) -> Result<WebPage, WebError> {
        let mut uri = address(url)?;
        for _ in 0..=self.rules.config.redirects {
            let response = self.ask(&uri).await?;
            let status = response.status();
            if status.is_redirection() {
                let target = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                uri = redirected(&uri, target.ok_or(WebError::Redirects)?)?;
                continue;
            }
            if !status.is_success() {
                return Err(WebError::Answered(status.as_u16()));
            }
            let media_type = response.headers().get(header::CONTENT_TYPE);
            let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            let most = self.rules.config.max_bytes;
            // A length that is announced need not be waited for.
            if response.body().size_hint().lower() > most as u64 {
                return Err(WebError::TooLarge(most));
            }
            let bytes = match Limited::new(response.into_body(), most).collect().await {
                Ok(whole) => whole.to_bytes(),
                Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                    return Err(WebError::TooLarge(most));
                }
                Err(error) => return Err(WebError::Connection(reasons(error.as_ref()))),
            };
            return Ok(WebPage { url: uri.to_string(), media_type, bytes });
        }
        Err(WebError::Redirects)
    }

    async fn ask(&self, uri: &Uri) -> Result<Response<Incoming>, WebError> {
        let host = uri.host().ok_or(WebError::NoAddress)?;
        // An address in numbers never meets the resolver.
        self.rules.check_host(host)?;
        let request = Request::get(uri)
            .header(
                header::USER_AGENT,
                concat!("Mozilla/5.0 (compatible; breezeway/", env!("CARGO_PKG_VERSION"), ")"),
            )
            .header(header::ACCEPT, "text/html,application/xhtml+xml,text/*;q=0.9,*/*;q=0.8")
            .body(empty_body())
            .map_err(|_| WebError::NoAddress)?;
        self.http.request(request).await.map_err(|error| WebError::Connection(reasons(&error)))
    }
}

impl fmt::Debug for WebClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebClient").field(&self.rules.config).finish()
    }
}

/// The rules as they are asked.
struct Rules {
    config: WebConfig,
    refused: Hosts,
    only: Hosts,
}

/// Names and addresses.
#[derive(Default)]
struct Hosts {
    names: Vec<String>,
    addresses: HashSet<IpAddr>,
}

impl Hosts {
    fn add(&mut self, entry: &str) {
        match literal(entry) {
            Some(address) => {
                self.addresses.insert(address);
            }
            None => self.names.push(plain(entry)),
        }
    }

    fn has_name(&self, host: &str) -> bool {
        let is_below =
            |name: &String| host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
        self.names.iter().any(|name| name == host || is_below(name))
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.addresses.is_empty()
    }
}

impl Rules {
    fn new(config: WebConfig) -> Self {
        let (mut refused, mut only) = (Hosts::default(), Hosts::default());
        for entry in config.filter.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
            match entry.strip_prefix('!') {
                Some(entry) => refused.add(entry.trim()),
                None => only.add(entry),
            }
        }
        Self { config, refused, only }
    }

    /// Whether a host, as it stands in an address, may be asked.
    fn check_host(&self, host: &str) -> Result<(), WebError> {
        let refused = || WebError::Refused(host.to_owned());
        if let Some(address) = literal(host) {
            let listed = self.only.is_empty() || self.only.addresses.contains(&address);
            return if listed && self.allows(address) { Ok(()) } else { Err(refused()) };
        }
        let host = plain(host);
        let listed = self.only.is_empty() || self.only.has_name(&host);
        if listed && !self.refused.has_name(&host) { Ok(()) } else { Err(refused()) }
    }

    /// Whether an address may be connected to.
    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !self.refused.addresses.contains(&address) && (self.config.local || is_public(address))
    }
}

/// An address in numbers, as it stands in a URL.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Resolves names to addresses that may be connected to. One that may not makes the whole name suspect,
/// since an honest name has no reason to point there.
#[derive(Clone)]
struct Guarded {
    rules: Arc<Rules>,
    dns: GaiResolver,
}

impl tower::Service<Name> for Guarded {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.dns.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let rules = self.rules.clone();
        let resolved: GaiFuture = self.dns.call(name);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolved.await?.collect();
            if addresses.iter().all(|address| rules.allows(address.ip())) {
                return Ok(addresses.into_iter());
            }
            Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the name leads to an address that is not public",
            ))
        })
    }
}

/// Read an address: http or https, without a user.
fn address(url: &str) -> Result<Uri, WebError> {
    let url = url.trim();
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let uri: Uri = url.parse().or_else(|_| escaped(url).parse()).map_err(|_| WebError::NoAddress)?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().ok_or(WebError::NoAddress)?;
    if !is_web || authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(WebError::NoAddress);
    }
    Ok(uri)
}

/// The address with what may not stand in one escaped, as browsers do.
fn escaped(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            0x21..=0x7e if !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}') => {
                text.push(byte.into());
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// Where a redirect leads. Never from a protected connection to an open one.
fn redirected(from: &Uri, target: &str) -> Result<Uri, WebError> {
    let scheme = from.scheme_str().unwrap_or("https");
    let authority = from.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let next = if target.starts_with("//") {
        format!("{scheme}:{target}")
    } else if target.split(['/', '?', '#']).next().is_some_and(|start| start.contains(':')) {
        target.to_owned()
    } else if target.starts_with('/') {
        format!("{scheme}://{authority}{target}")
    } else if target.starts_with('?') {
        format!("{scheme}://{authority}{}{target}", from.path())
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{target}")
    };
    let next = address(&next).map_err(|_| WebError::Redirects)?;
    if from.scheme() == Some(&Scheme::HTTPS) && next.scheme() != Some(&Scheme::HTTPS) {
        return Err(WebError::Redirects);
    }
    Ok(next)
}

#[cfg(test)]
mod tests;
