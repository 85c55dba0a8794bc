use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use super::*;

/// A server that answers each path with what `answers` has for it, and 404 to others.
fn serve(answers: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap_or(0);
            let line = String::from_utf8_lossy(&head[..read]);
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let answer = answers.iter().find(|(known, _)| *known == path).map(|(_, answer)| *answer);
            let answer = answer.unwrap_or("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

fn local() -> WebConfig {
    WebConfig {
        local: true,
        redirects: 2,
        max_bytes: 100,
        timeout: Duration::from_secs(5),
        ..WebConfig::default()
    }
}

const PAGES: &[(&str, &str)] = &[
    ("/page", "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n<p>hi</p>"),
    ("/a/moved", "HTTP/1.1 302 Found\r\nlocation: ../page\r\ncontent-length: 0\r\n\r\n"),
    ("/a/../page", "HTTP/1.1 302 Found\r\nlocation: /page\r\ncontent-length: 0\r\n\r\n"),
    ("/loop", "HTTP/1.1 302 Found\r\nlocation: /loop\r\ncontent-length: 0\r\n\r\n"),
    ("/metadata", "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"),
    ("/file", "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n"),
    ("/large", "HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n"),
];

#[tokio::test]
async fn a_page_is_fetched_through_its_redirects() {
    let at = serve(PAGES);

    let page = WebClient::new(local()).fetch(&format!("http://{at}/a/moved#part")).await.expect("a page");

    assert_eq!(page.url, format!("http://{at}/page"));
    assert_eq!((page.media_type.as_str(), &page.bytes[..]), ("text/html", &b"<p>hi</p>"[..]));
}

#[tokio::test]
async fn what_is_not_public_is_out_of_reach_by_number_and_by_name() {
    let at = serve(PAGES);
    let client = WebClient::new(WebConfig::default());

    for url in [
        format!("http://{at}/page"),
        format!("http://localhost:{}/page", at.port()),
        format!("http://[::ffff:127.0.0.1]:{}/page", at.port()),
        "http://[::1]/".to_owned(),
        "http://0.0.0.0/".to_owned(),
        // Spellings of 127.0.0.1 that some resolvers accept.
        format!("http://2130706433:{}/page", at.port()),
        format!("http://0x7f.1:{}/page", at.port()),
    ] {
        assert!(client.fetch(&url).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn redirects_are_counted_and_held_to_the_same_rules() {
    let at = serve(PAGES);
    let client = WebClient::new(local());

    let fetched = async |path: &str| client.fetch(&format!("http://{at}{path}")).await.expect_err(path);
    assert!(matches!(fetched("/loop").await, WebError::Redirects));
    assert!(matches!(fetched("/metadata").await, WebError::Refused(_)));
    assert!(matches!(fetched("/file").await, WebError::Redirects));
    assert!(matches!(fetched("/large").await, WebError::TooLarge(100)));
    assert!(matches!(fetched("/none").await, WebError::Answered(404)));
}

#[test]
fn only_plain_web_addresses_are_asked() {
    for url in [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://ada:x@example.org/",
        "gopher://x",
    ] {
        assert!(address(url).is_err(), "{url}");
    }
    assert_eq!(address("https://example.org/ä b#top").expect("an address").path(), "/%C3%A4%20b");
}

#[test]
fn a_filter_names_hosts_to_ask_or_not_to_ask() {
    let rules = |filter: &[&str]| {
        Rules::new(WebConfig {
            filter: filter.iter().map(|&entry| entry.to_owned()).collect(),
            ..WebConfig::default()
        })
    };
    let asked = |filter: &[&str], host: &str| rules(filter).check_host(host).is_ok();

    assert!(!asked(&["!evil.example"], "EVIL.example."));
    assert!(!asked(&["!evil.example"], "www.evil.example"));
    assert!(asked(&["!evil.example"], "notevil.example"));
    assert!(asked(&["good.example"], "docs.good.example"));
    assert!(!asked(&["good.example"], "other.example"));
    assert!(!asked(&["good.example"], "8.8.8.8"));
    assert!(!asked(&["!8.8.8.8"], "[::ffff:8.8.8.8]"));
}

#[test]
fn a_redirect_never_leaves_tls() {
    let from = address("https://example.org/a/b").expect("an address");

    assert_eq!(redirected(&from, "c?d").expect("a place"), "https://example.org/a/c?d");
    assert_eq!(redirected(&from, "//other.example/x").expect("a place"), "https://other.example/x");
    assert_eq!(redirected(&from, "?page=2").expect("a place"), "https://example.org/a/b?page=2");
    assert!(redirected(&from, "http://example.org/a").is_err());
    assert!(redirected(&from, "javascript:alert(1)").is_err());
}
