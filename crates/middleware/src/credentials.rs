//! Credentials: from headers to a principal.
//!
//! This layer refuses nothing, since some routes are open and others answer strangers differently.
//! It leaves either a `Principal` or an [`AuthRefusal`] in the request's extensions, and the
//! extractors of a route decide whether that is good enough.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use breezeway_auth::{Auth, Error};
use breezeway_core::Principal;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use tower::{Layer, Service};

use crate::{
    InvalidConfig, key_rules,
    origin::{CrossSite, OwnOrigins},
    trusted::{self, FromProxy, Trust, TrustedHeaders},
};

/// The cookie that a sign-in sets.
const COOKIE: &str = "token";

/// Why a request has no principal; shared, because extensions must be cloneable.
#[derive(Clone, Debug)]
pub struct AuthRefusal(pub Arc<Error>);

/// Makes [`Credentials`].
#[derive(Clone)]
pub struct CredentialsLayer {
    auth: Auth,
    api_key_header: HeaderName,
    own: OwnOrigins,
    trust: Option<Trust>,
}

impl CredentialsLayer {
    /// Ask `auth`; `api_key_header` is where a key may come beside `Authorization` and the cookie.
    ///
    /// # Errors
    /// If `api_key_header` is no name of a header.
    pub fn new(auth: Auth, api_key_header: &str) -> Result<Self, InvalidConfig> {
        let api_key_header =
            api_key_header.parse().map_err(|_| InvalidConfig::HeaderName(api_key_header.to_owned()))?;
        Ok(Self { auth, api_key_header, own: OwnOrigins::default(), trust: None })
    }

    /// Count pages of these origins as this server's own, as far as requests without a credential go.
    #[must_use]
    pub fn trusting(mut self, origins: &[String]) -> Self {
        self.own = OwnOrigins::listed(origins);
        self
    }

    /// Believe these headers of these proxies: they leave a [`FromProxy`](crate::FromProxy), and a session
    /// of somebody else is refused.
    ///
    /// # Errors
    /// If one is no header or no network, or no proxy is given.
    pub fn behind(mut self, headers: Option<&TrustedHeaders>) -> Result<Self, InvalidConfig> {
        self.trust = headers.map(Trust::new).transpose()?;
        Ok(self)
    }
}

impl<S> Layer<S> for CredentialsLayer {
    type Service = Credentials<S>;

    fn layer(&self, inner: S) -> Credentials<S> {
        Credentials { inner, layer: self.clone() }
    }
}

/// Finds out who sent each request.
#[derive(Clone)]
pub struct Credentials<S> {
    inner: S,
    layer: CredentialsLayer,
}

impl<S, B> Service<Request<B>> for Credentials<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let cross_site = self.layer.own.cross_site(&request);
        if let Some(cross_site) = cross_site {
            request.extensions_mut().insert(cross_site);
        }
        let from_proxy = self.layer.trust.as_ref().and_then(|trust| trust.person(&request));
        let found = self.layer.principal(&request, cross_site, from_proxy.as_ref());
        if let Some(from_proxy) = from_proxy {
            request.extensions_mut().insert(from_proxy);
        }
        match found {
            Ok(principal) => {
                // The field belongs to the span of the trace layer, where that is in use.
                tracing::Span::current().record("principal.id", principal.user.as_str());
                request.extensions_mut().insert(principal);
            }
            Err(reason) => {
                request.extensions_mut().insert(AuthRefusal(Arc::new(reason)));
            }
        }
        self.inner.call(request)
    }
}

impl CredentialsLayer {
    fn principal<B>(
        &self,
        request: &Request<B>,
        cross_site: Option<CrossSite>,
        from_proxy: Option<&FromProxy>,
    ) -> Result<Principal, Error> {
        let principal = match presented(request.headers(), &self.api_key_header)? {
            Some(credential) => self.auth.authenticate(credential)?,
            // Without a credential there is only where the request comes from.
            None if cross_site.is_some() => return Err(Error::NoCredential),
            None => self.auth.anonymous()?,
        };
        trusted::is_same(&principal, from_proxy)?;
        self.auth.allows_path(&principal, request.uri().path())?;
        key_rules::check(&principal, request.method(), request.uri().path())?;
        Ok(principal)
    }
}

/// The credential that a request came with, as [`Credentials`] found it: for who has let it through and
/// wants to know more of it than the principal says. `None` as well if it cannot be read.
pub fn credential<'a>(headers: &'a HeaderMap, api_key_header: &str) -> Option<&'a str> {
    presented(headers, &api_key_header.parse().ok()?).ok()?
}

/// The credential to go by: the first one that is there, whether it is any good or not.
///
/// Falling back to the next would let a page of the same site turn a bad token into a good cookie
/// without anybody noticing.
fn presented<'a>(headers: &'a HeaderMap, api_key_header: &HeaderName) -> Result<Option<&'a str>, Error> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, credential) = text(value)?.split_once(' ').unwrap_or_default();
        let credential = credential.trim();
        // `Bearer` without anything behind it is what clients send that have no key configured.
        if !credential.is_empty() {
            return if scheme.eq_ignore_ascii_case("bearer") {
                Ok(Some(credential))
            } else {
                Err(Error::InvalidToken)
            };
        }
    }
    for value in headers.get_all(header::COOKIE) {
        // A cookie of somebody else may hold what it likes; only ours has to be readable.
        let cookies = value.as_bytes().split(|&byte| byte == b';');
        let ours = cookies.filter_map(|cookie| {
            let cookie = cookie.trim_ascii();
            cookie.strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"=")
        });
        if let Some(token) = ours.map(<[u8]>::trim_ascii).find(|token| !token.is_empty()) {
            return str::from_utf8(token)
                .map(|token| Some(token.trim_matches('"')))
                .map_err(|_| Error::InvalidToken);
        }
    }
    match headers.get(api_key_header).map(text).transpose()?.map(str::trim) {
        None | Some("") => Ok(None),
        Some(key) => Ok(Some(key)),
    }
}

fn text(value: &HeaderValue) -> Result<&str, Error> {
    value.to_str().map_err(|_| Error::InvalidToken)
}

#[cfg(test)]
mod tests;
