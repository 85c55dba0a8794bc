//! Whether a request was caused by a page of another site.
//!
//! Where a request without any credential may act (single-user mode, the first sign-up), being able to
//! reach the address is all the proof there is. A browser on the same machine can reach it too, for
//! whatever page it shows: so requests of foreign pages, and requests to a name that somebody else's DNS
//! may have pointed here, are told apart and get no rights from where they come.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use http::{HeaderMap, Request, Uri, header};

/// Left in the extensions of a request that a page of another site has caused, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossSite {
    /// The browser says so: its page has another origin than the address it calls.
    Origin,
    /// It may be: the request is for a name that anybody's DNS could have pointed here.
    Host,
}

/// The origins that count as ours, beside the address a request is sent to.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnOrigins(Arc<[String]>);

impl OwnOrigins {
    /// Those listed by name; `*`, which lets any page *ask*, makes none of them ours.
    pub(crate) fn listed(origins: &[String]) -> Self {
        let named = origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase());
        Self(named.filter(|origin| origin != "*").collect())
    }

    /// Whether a request is one of a foreign page. A browser always names the host.
    pub(crate) fn cross_site<B>(&self, request: &Request<B>) -> Option<CrossSite> {
        let host = match host_of(request.headers(), request.uri()) {
            Ok(host) => host,
            Err(Several) => return Some(CrossSite::Host),
        };
        if let Some(origin) = request.headers().get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            let is_same = authority.is_some() && authority == host.as_deref();
            if !is_same && !self.0.contains(&origin) {
                return Some(CrossSite::Origin);
            }
        }
        host.is_some_and(|host| !self.is_own_host(&host)).then_some(CrossSite::Host)
    }

    /// Addresses, `localhost`, names without a dot (of containers and local networks) and the hosts of
    /// listed origins. Every other name belongs to whoever answers for it in the DNS.
    fn is_own_host(&self, host: &str) -> bool {
        let name = without_port(host);
        let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        let is_local = !name.contains('.') || name.ends_with(".localhost");
        let is_listed = || {
            let hosts = self.0.iter().filter_map(|origin| Some(origin.split_once("://")?.1));
            hosts.into_iter().any(|listed| listed == host || without_port(listed) == name)
        };
        is_address || is_local || is_listed()
    }
}

/// A request that names several hosts.
struct Several;

/// The host a request is for, with its port, in lower case, if it names one.
fn host_of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Result<Option<Cow<'a, str>>, Several> {
    if let Some(authority) = uri.authority() {
        return Ok(Some(lower(authority.as_str())));
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => Ok(None),
        (Some(host), None) => host.to_str().map(|host| Some(lower(host))).map_err(|_| Several),
        (Some(_), Some(_)) => Err(Several),
    }
}

/// Nearly every host comes in lower case, and this runs for each request.
fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => text.to_ascii_lowercase().into(),
        false => text.into(),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cross_site(host: &str, origin: Option<&str>) -> Option<CrossSite> {
        let mut request = Request::get("/").header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let own = OwnOrigins::listed(&["*".into(), "https://chat.example.org".into()]);
        own.cross_site(&request.body(()).unwrap())
    }

    #[test]
    fn programs_and_pages_of_this_server_are_not_foreign() {
        for (host, origin) in [
            ("127.0.0.1:3000", None),
            ("[::1]:3000", None),
            ("localhost:3000", Some("http://localhost:3000")),
            ("breezeway:3000", None),
            ("chat.example.org", Some("https://chat.example.org")),
            ("127.0.0.1:3000", Some("https://chat.example.org")),
        ] {
            assert_eq!(cross_site(host, origin), None, "{host} {origin:?}");
        }
    }

    #[test]
    fn foreign_pages_and_names_are_foreign() {
        for (host, origin, why) in [
            ("127.0.0.1:3000", Some("https://evil.example"), CrossSite::Origin),
            ("127.0.0.1:3000", Some("null"), CrossSite::Origin),
            ("127.0.0.1:3000", Some("http://127.0.0.1:4000"), CrossSite::Origin),
            ("rebind.evil", None, CrossSite::Host),
            ("rebind.evil:3000", Some("http://rebind.evil:3000"), CrossSite::Host),
        ] {
            assert_eq!(cross_site(host, origin), Some(why), "{host} {origin:?}");
        }
    }
}
