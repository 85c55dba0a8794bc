//! Whom a proxy in front has signed in.
//!
//! Anybody can send a header. It is believed only of a peer that the operator has named, by the address
//! of the connection itself: what a request says about where it came from is never asked.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use breezeway_auth::{Error, TrustedPerson};
use breezeway_core::{Credential, Principal, Role};
use http::{HeaderMap, HeaderName, Request};
use percent_encoding::percent_decode_str;

use crate::InvalidConfig;

/// The address of the other end of the connection that a request came by.
///
/// Whoever accepts connections puts it into the extensions of each request; without it a request comes
/// from nobody whom headers are believed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// Left in the extensions of a request by which a trusted proxy says whom it has signed in, or says it
/// in a way that could mean two people.
#[derive(Clone, Debug)]
pub struct FromProxy(pub Result<TrustedPerson, Unclear>);

/// A header that must be there once is there twice: one of the two may be a visitor's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclear;

/// Headers in which a proxy says whom it has signed in, and which proxies those are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedHeaders {
    /// The header with the address of the person.
    pub email: String,
    /// The header with the display name, percent-encoded where it is not ASCII.
    pub name: Option<String>,
    /// The header with the names of groups, separated by commas.
    pub groups: Option<String>,
    /// The header with the role: `admin`, `user` or `pending`.
    pub role: Option<String>,
    /// Addresses and networks (`10.0.0.0/8`) of the proxies.
    pub proxies: Vec<String>,
}

/// The same, checked.
#[derive(Clone)]
pub(crate) struct Trust(Arc<Checked>);

struct Checked {
    email: HeaderName,
    name: Option<HeaderName>,
    groups: Option<HeaderName>,
    role: Option<HeaderName>,
    proxies: Proxies,
}

/// The proxies in front: whose word counts for where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[Network]>);

impl Proxies {
    /// Those with these addresses and in these networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// If one is neither.
    pub fn new(proxies: &[String]) -> Result<Self, InvalidConfig> {
        proxies.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Where a request came from: the other end of its connection, or what proxies say who stands there.
    ///
    /// Each proxy puts the address it was called from at the end of `X-Forwarded-For`, so the list is read
    /// from there, for as long as a proxy of ours has written it. What stands further to the front came
    /// with the request, and may be anything.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lists = headers.get_all("x-forwarded-for").iter().rev();
        let mut told = lists.flat_map(|list| list.as_bytes().rsplit(|&byte| byte == b',')).take(MOST_HOPS);
        while self.contains(client)
            && let Some(before) = told.next().and_then(hop)
        {
            client = before;
        }
        client
    }
}

/// Proxies in a row at most; a longer list is a visitor's.
const MOST_HOPS: usize = 32;

/// An address as proxies write it, some with the port.
fn hop(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

impl Trust {
    pub(crate) fn new(headers: &TrustedHeaders) -> Result<Self, InvalidConfig> {
        let name =
            |text: &String| text.parse::<HeaderName>().map_err(|_| InvalidConfig::HeaderName(text.clone()));
        let optional = |text: &Option<String>| text.as_ref().map(name).transpose();
        if headers.proxies.is_empty() {
            return Err(InvalidConfig::NoProxies);
        }
        Ok(Self(Arc::new(Checked {
            email: name(&headers.email)?,
            name: optional(&headers.name)?,
            groups: optional(&headers.groups)?,
            role: optional(&headers.role)?,
            proxies: Proxies::new(&headers.proxies)?,
        })))
    }

    /// Whom a request says that its proxy has signed in, if it comes from one and says so.
    pub(crate) fn person<B>(&self, request: &Request<B>) -> Option<FromProxy> {
        let PeerAddress(peer) = request.extensions().get()?;
        if !self.0.proxies.contains(*peer) {
            return None;
        }
        self.read(request.headers()).transpose().map(FromProxy)
    }

    fn read(&self, headers: &HeaderMap) -> Result<Option<TrustedPerson>, Unclear> {
        let optional = |name: &Option<HeaderName>| match name {
            Some(name) => once(headers, name),
            None => Ok(None),
        };
        let (email, name) = (once(headers, &self.0.email)?, optional(&self.0.name)?);
        let (groups, role) = (optional(&self.0.groups)?, optional(&self.0.role)?);
        Ok(email.map(|email| TrustedPerson {
            email,
            name: name.map(|name| percent_decoded(&name)),
            role: role.and_then(|word| known_role(&word)),
            groups: groups.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect()),
        }))
    }
}

/// Whether somebody who came with a session of theirs is whom the proxy has signed in. Keys belong to
/// programs, which no proxy signs in.
///
/// # Errors
/// [`Error::OtherPerson`], [`Error::UnclearPerson`].
pub(crate) fn is_same(principal: &Principal, word: Option<&FromProxy>) -> Result<(), Error> {
    match (&principal.credential, word) {
        (Credential::Session(_), Some(FromProxy(Err(Unclear)))) => Err(Error::UnclearPerson),
        (Credential::Session(_), Some(FromProxy(Ok(person))))
            if person.email.to_lowercase() != *principal.email =>
        {
            Err(Error::OtherPerson)
        }
        _ => Ok(()),
    }
}

/// A header that is there once or not at all; empty is not there.
fn once(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Unclear> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Unclear),
        (None, None) => Ok(None),
        (Some(value), None) => {
            let text = str::from_utf8(value.as_bytes()).map_err(|_| Unclear)?.trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
    }
}

fn known_role(word: &str) -> Option<Role> {
    let role = word.to_ascii_lowercase().parse().ok();
    if role.is_none() {
        tracing::warn!(
            "The proxy gives a role that is none of `admin`, `user` and `pending`; it changes none"
        );
    }
    role
}

/// A text whose percent signs stand for bytes, as far as they do.
fn percent_decoded(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// An address, or all that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address, which is none of IPv4 written as IPv6, is one of these.
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differs = u32::from(ours) ^ u32::from(theirs);
                differs.checked_shr(32 - u32::from(self.bits)).unwrap_or_default() == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differs = u128::from(ours) ^ u128::from(theirs);
                differs.checked_shr(128 - u32::from(self.bits)).unwrap_or_default() == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidConfig;

    fn from_str(text: &str) -> Result<Self, InvalidConfig> {
        let refuse = || InvalidConfig::Network(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| refuse())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = bits.map_or(Ok(most), |bits| bits.trim().parse().map_err(|_| refuse()))?;
        if bits > most {
            return Err(refuse());
        }
        // Written as IPv6, an IPv4 address has 96 bits in front that say so.
        match (address.to_canonical(), bits.checked_sub(96)) {
            (canonical, _) if canonical == address => Ok(Self { address, bits }),
            (address, Some(bits)) => Ok(Self { address, bits }),
            (_, None) => Err(refuse()),
        }
    }
}

#[cfg(test)]
mod tests;
