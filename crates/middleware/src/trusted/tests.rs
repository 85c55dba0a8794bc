use http::HeaderValue;

use super::*;

fn trust() -> Trust {
    Trust::new(&TrustedHeaders {
        email: "x-email".into(),
        name: Some("x-name".into()),
        groups: Some("x-groups".into()),
        role: Some("x-role".into()),
        proxies: vec!["10.1.0.0/16".into(), "::1".into()],
    })
    .unwrap()
}

/// What is read of a request from `peer`.
fn read(peer: Option<&str>, headers: &[(&'static str, &str)]) -> Option<Result<TrustedPerson, Unclear>> {
    let mut request = Request::new(());
    if let Some(peer) = peer {
        request.extensions_mut().insert(PeerAddress(peer.parse().unwrap()));
    }
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    trust().person(&request).map(|FromProxy(word)| word)
}

const ADA: (&str, &str) = ("x-email", "Ada@example.org");

#[test]
fn a_header_counts_only_from_a_named_peer() {
    for (peer, believed) in [
        (Some("10.1.2.3"), true),
        (Some("::ffff:10.1.2.3"), true),
        (Some("::1"), true),
        (Some("10.2.2.3"), false),
        (Some("127.0.0.1"), false),
        (Some("::2"), false),
        (None, false),
    ] {
        let forwarded = ("x-forwarded-for", "10.1.2.3");

        assert_eq!(read(peer, &[ADA, forwarded]).is_some(), believed, "{peer:?}");
    }
}

#[test]
fn a_person_is_read_from_all_headers() {
    let headers = [ADA, ("x-name", "Zo%C3%AB%20%zz"), ("x-groups", "staff, it ops,"), ("x-role", " ADMIN ")];

    let person = read(Some("::1"), &headers).unwrap().unwrap();

    assert_eq!(
        person,
        TrustedPerson {
            email: "Ada@example.org".into(),
            name: Some("Zoë %zz".into()),
            role: Some(Role::Admin),
            groups: Some(vec!["staff".into(), "it ops".into(), String::new()]),
        }
    );
}

#[test]
fn what_is_not_there_or_empty_is_not_said() {
    assert_eq!(read(Some("::1"), &[]), None);
    assert_eq!(read(Some("::1"), &[("x-email", " "), ("x-role", "admin")]), None);
    let person = read(Some("::1"), &[ADA, ("x-groups", ""), ("x-role", "owner")]).unwrap().unwrap();
    assert_eq!((person.name, person.role, person.groups), (None, None, None));
}

#[test]
fn a_header_that_is_there_twice_is_unclear() {
    for name in ["x-email", "x-name", "x-groups", "x-role"] {
        assert_eq!(read(Some("::1"), &[ADA, (name, "admin"), (name, "user")]), Some(Err(Unclear)), "{name}");
    }
}

#[test]
fn networks_are_read_and_compared_by_their_bits() {
    for (network, address, expected) in [
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.77/24", "10.0.0.1", true),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "::1", true),
        ("::/0", "1.2.3.4", false),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe80::1", false),
        ("::ffff:10.0.0.0/104", "10.9.9.9", true),
    ] {
        let network: Network = network.parse().unwrap();

        assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
    }
}

#[test]
fn what_is_no_network_is_named() {
    for text in ["", "proxy", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x", "::ffff:10.0.0.0/8"] {
        assert_eq!(text.parse::<Network>(), Err(InvalidConfig::Network(text.into())), "{text}");
    }
}

#[test]
fn headers_without_proxies_are_a_mistake() {
    let headers =
        TrustedHeaders { email: "x-email".into(), name: None, groups: None, role: None, proxies: Vec::new() };

    assert_eq!(Trust::new(&headers).err(), Some(InvalidConfig::NoProxies));
}

#[test]
fn the_client_is_the_last_that_no_proxy_of_ours_stands_at() {
    let proxies = Proxies::new(&["10.1.0.0/16".into(), "::1".into()]).unwrap();
    let check = |peer: &str, lists: &[&str], client: &str| {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(list.as_bytes()).unwrap());
        }
        let found = proxies.client(peer.parse().unwrap(), &headers);
        assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {lists:?}");
    };

    check("192.0.2.7", &[], "192.0.2.7");
    check("192.0.2.7", &["198.51.100.1"], "192.0.2.7");
    check("10.1.2.3", &[], "10.1.2.3");
    check("10.1.2.3", &["198.51.100.1"], "198.51.100.1");
    check("::ffff:10.1.2.3", &["198.51.100.1"], "198.51.100.1");
    // What a visitor has sent stands in front of what the proxy has seen.
    check("10.1.2.3", &["127.0.0.1, 198.51.100.1"], "198.51.100.1");
    check("10.1.2.3", &["127.0.0.1", "198.51.100.1"], "198.51.100.1");
    check("10.1.2.3", &["203.0.113.9, 198.51.100.1, 10.1.9.9,::1"], "198.51.100.1");
    check("::1", &["10.1.9.9, 10.1.9.8"], "10.1.9.9");
    check("10.1.2.3", &["203.0.113.9, unknown"], "10.1.2.3");
    check("10.1.2.3", &["203.0.113.9, , 10.1.9.9"], "10.1.9.9");
    check("10.1.2.3", &["198.51.100.1:4711"], "198.51.100.1");
    check("10.1.2.3", &["[2001:db8::1]:4711"], "2001:db8::1");
    check("10.1.2.3", &["[2001:db8::1]"], "2001:db8::1");
    check("10.1.2.3", &[&"10.1.1.1,".repeat(100)], "10.1.2.3");
    check("10.1.2.3", &["\u{e9}"], "10.1.2.3");
}
