//! Where a connection's requests go, and what is put on each of them.

use std::fmt;

use breezeway_core::Secret;
use breezeway_registry::{Connection, Error, UpstreamError};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE, USER_AGENT,
    },
    uri::{self, Authority, PathAndQuery, Scheme},
};

use crate::{RequestBody, empty_body, full_body};

/// Headers that belong to one hop: configuring them would break the framing of requests.
const HOP: [HeaderName; 7] = [HOST, CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// A checked base URL with the headers that its connection demands.
#[derive(Clone)]
pub struct Endpoint {
    base: String,
    scheme: Scheme,
    authority: Authority,
    /// The base URL's path, without a slash at the end.
    root: String,
    headers: HeaderMap,
    /// The same for a JSON body.
    json_headers: HeaderMap,
}

impl Endpoint {
    /// The endpoint of a connection.
    ///
    /// # Errors
    /// [`Error::BadConnection`] if its URL, key or a header cannot be used.
    pub fn of(connection: &Connection) -> Result<Self, Error> {
        Self::new(&connection.url, connection.key.as_ref())?.with_headers(connection)
    }

    /// The endpoint of a connection whose key goes into a header of its own, as it is.
    ///
    /// # Errors
    /// [`Error::BadConnection`] if its URL, key or a header cannot be used.
    pub(crate) fn with_key_in(connection: &Connection, header: HeaderName) -> Result<Self, Error> {
        let mut endpoint = Self::new(&connection.url, None)?;
        if let Some(key) = connection.key.as_ref().filter(|key| !key.is_empty()) {
            let why = "its key has characters that no header can carry";
            let bad = || Error::BadConnection { url: endpoint.base.clone(), why: why.to_owned() };
            let value = secret_value(key.expose()).ok_or_else(bad)?;
            endpoint.headers.insert(header, value);
        }
        endpoint.with_headers(connection)
    }

    fn with_headers(mut self, connection: &Connection) -> Result<Self, Error> {
        let endpoint = &mut self;
        for (name, value) in &connection.headers {
            let bad = |why: String| Error::BadConnection { url: endpoint.base.clone(), why };
            let header = HeaderName::try_from(name.as_str())
                .map_err(|_| bad(format!("`{}` is no header name", name.escape_debug())))?;
            if HOP.contains(&header) {
                return Err(bad(format!("the header `{header}` cannot be configured")));
            }
            let value = secret_value(value.expose())
                .ok_or_else(|| bad(format!("the value of `{header}` is no header value")))?;
            endpoint.headers.insert(header, value);
        }
        endpoint.json_headers = for_json(&endpoint.headers);
        Ok(self)
    }

    /// The endpoint at `url`, with a bearer token if there is a key.
    ///
    /// # Errors
    /// [`Error::BadConnection`] if the URL or the key cannot be used.
    pub fn new(url: &str, key: Option<&Secret>) -> Result<Self, Error> {
        let bad = |url: &str, why: &str| Error::BadConnection { url: url.to_owned(), why: why.to_owned() };
        let base = url.trim().trim_end_matches('/');
        // The text is shown to admins and in logs, and a password would be in front of the `@`.
        let shown = base.rsplit_once('@').map_or(base, |(_, host)| host);
        let uri: Uri = base.parse().map_err(|_| bad(shown, "it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad(shown, "it does not begin with `http://` or `https://`"));
        }
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err(bad(shown, "a user and password in a URL are not supported, use the key"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(bad(shown, "it has no host"));
        }
        if uri.query().is_some() || base.contains('#') {
            return Err(bad(shown, "it has a query or fragment"));
        }
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(bad(shown, "it has no host"));
        };
        let root = parts.path_and_query.map_or_else(String::new, |path| path.path().to_owned());
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(host_of(&scheme, &authority));
        headers.insert(HOST, host.map_err(|_| bad(shown, "its host is no host"))?);
        let agent = HeaderValue::from_static(concat!("breezeway/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            let value = secret_value(&format!("Bearer {}", key.expose()))
                .ok_or_else(|| bad(shown, "its key has characters that no header can carry"))?;
            headers.insert(AUTHORIZATION, value);
        }
        let json_headers = for_json(&headers);
        Ok(Self {
            base: base.to_owned(),
            json_headers,
            scheme,
            authority,
            root: root.trim_end_matches('/').to_owned(),
            headers,
        })
    }

    /// The base URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// A request without a body.
    pub fn get(&self, path: &str) -> Result<Request<RequestBody>, UpstreamError> {
        self.request(Method::GET, path, HeaderMap::new(), empty_body())
    }

    /// A request with a JSON body.
    pub fn post_json(
        &self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Request<RequestBody>, UpstreamError> {
        let mut request = self.request_with(Method::POST, path, full_body(body))?;
        request.headers_mut().clone_from(&self.json_headers);
        Ok(request)
    }

    /// The same with a header more on every request; one that the connection configures wins.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.entry(name).or_insert(value);
        self
    }

    /// Any request: `path` begins with a slash and is put behind the base URL; the connection's own
    /// headers win over `headers`.
    ///
    /// # Errors
    /// [`UpstreamError::Malformed`] if the path would leave the base URL or is no path.
    pub fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Request<RequestBody>, UpstreamError> {
        let mut request = self.request_with(method, path, body)?;
        // The connection's own come first, so that few have to be put into a copy of them.
        let mut all = self.headers.clone();
        let mut last = None;
        for (name, value) in headers {
            // A name is told once for all its values.
            last = name.or(last);
            match &last {
                Some(name) if !self.headers.contains_key(name) => drop(all.append(name, value)),
                _ => {}
            }
        }
        *request.headers_mut() = all;
        Ok(request)
    }

    /// A request without headers.
    fn request_with(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> Result<Request<RequestBody>, UpstreamError> {
        let bad = || UpstreamError::Malformed(format!("there is no path `{}`", path.escape_debug()));
        let plain = path.split_once('?').map_or(path, |(plain, _)| plain);
        if !plain.starts_with('/') || plain.split('/').any(is_dots) {
            return Err(bad());
        }
        let whole = [self.root.as_str(), path].concat();
        let path = PathAndQuery::from_maybe_shared(Bytes::from(whole)).map_err(|_| bad())?;
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| bad())?;
        Ok(request)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The headers of a request with a JSON body.
fn for_json(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    headers
}

/// The value of `host`, as browsers write it: without the port that goes without saying.
fn host_of<'a>(scheme: &Scheme, authority: &'a Authority) -> &'a str {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    match authority.port_u16() {
        Some(port) if port == usual => authority.host(),
        _ => authority.as_str(),
    }
}

/// Whether servers may read a path segment as "here" or "one up".
fn is_dots(segment: &str) -> bool {
    if !segment.contains(['.', '%']) {
        return false;
    }
    let segment = segment.to_ascii_lowercase().replace("%2e", ".");
    // A backslash or an encoded slash is a separator to some servers.
    segment
        .split(['\\'])
        .flat_map(|part| part.split("%2f"))
        .flat_map(|part| part.split("%5c"))
        .any(|part| part == "." || part == "..")
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(url: &str) -> String {
        Endpoint::new(url, None).expect_err("the URL is refused").to_string()
    }

    #[test]
    fn only_plain_http_urls_are_endpoints() {
        for url in
            ["", "localhost:11434", "ftp://x", "http://", "http:///v1", "http://x/v1?a=b", "http://x/#f"]
        {
            assert!(Endpoint::new(url, None).is_err(), "{url}");
        }
        for url in ["http://localhost:11434/", "https://api.example.com/v1", "http://[::1]:8080/v1"] {
            assert!(Endpoint::new(url, None).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let why = why("http://ada:hunter2@host/v1");

        assert!(why.contains("host/v1"), "{why}");
        assert!(!why.contains("hunter2"), "{why}");
    }

    #[test]
    fn a_path_stays_below_the_base() {
        let endpoint = Endpoint::new("http://host/v1", None).expect("the URL is fine");

        for path in
            ["models", "/../x", "/a/%2e%2E/x", "/a/..%2fx", "/a/..\\x", "/a b", "/.", "/a/./b?x=..%5c"]
        {
            assert!(endpoint.get(path).is_err(), "{path}");
        }
        let request = endpoint.get("/models?q=../..").expect("a query is no path");
        assert_eq!(request.uri(), "http://host/v1/models?q=../..");
        assert!(endpoint.get("/blobs/sha256:ab..cd").is_ok());
    }

    #[test]
    fn a_request_names_its_host_and_the_connections_headers_win() {
        for (url, host, whole) in [
            ("http://host:8080/a/v1/", "host:8080", "http://host:8080/a/v1/models"),
            ("https://host:443", "host", "https://host:443/models"),
            ("http://[::1]:11434", "[::1]:11434", "http://[::1]:11434/models"),
        ] {
            let endpoint = Endpoint::new(url, Some(&"mine".into())).expect("the URL is fine");
            let mut headers = HeaderMap::new();
            for (name, value) in [("x-a", "1"), ("x-a", "2"), ("authorization", "theirs"), ("host", "theirs")]
            {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }

            let request =
                endpoint.request(Method::GET, "/models", headers, empty_body()).expect("it is a path");

            assert_eq!(request.uri(), whole);
            let all = |name| request.headers().get_all(name).iter().collect::<Vec<_>>();
            assert_eq!(all("host"), [host]);
            assert_eq!(all("authorization"), ["Bearer mine"]);
            assert_eq!(all("x-a"), ["1", "2"]);
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let endpoint = Endpoint::new("http://host", Some(&"sk-very-secret".into())).expect("the URL is fine");
        let request = endpoint.get("/models").expect("the path is fine");

        assert_eq!(request.headers()[AUTHORIZATION], "Bearer sk-very-secret");
        assert!(!format!("{endpoint:?} {request:?}").contains("very-secret"));
    }
}
