use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use breezeway_registry::UpstreamError;
use breezeway_testkit::{Reply, ScriptedUpstream};
use breezeway_upstream::{ClientConfig, Endpoint, HttpClient};

/// A server that closes its first connection behind the answer without announcing it, tells so, and
/// answers on a second one.
fn server_that_closes_silently() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    let (closed, is_closed) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().expect("the client connects");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).expect("the client sends a request");
                head.extend_from_slice(&byte);
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("the client reads");
            drop(socket);
            closed.send(()).expect("the test waits");
        }
    });
    (url, is_closed)
}

#[tokio::test]
async fn a_pooled_connection_that_has_died_is_replaced() {
    let (url, is_closed) = server_that_closes_silently();
    let endpoint = Endpoint::new(&url, None).expect("the URL is fine");
    let client = HttpClient::default();
    let first = client.send(endpoint.get("/a").unwrap()).await.expect("the first is answered");
    client.whole(first.into_body()).await.expect("and whole");
    // Blocking on purpose: the client's side of the connection must not see the end before the next
    // request is on its way.
    is_closed.recv().expect("the server closes the connection");

    let second = client.send(endpoint.get("/b").unwrap()).await.expect("the second is answered");

    assert_eq!(client.whole(second.into_body()).await.expect("and whole"), "ok");
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_again() {
    let upstream = ScriptedUpstream::start().await;
    let endpoint = Endpoint::new(&upstream.url(), None).expect("the URL is fine");
    let client = HttpClient::default();
    let warm = client.send(endpoint.get("/").unwrap()).await.expect("it is answered");
    client.whole(warm.into_body()).await.expect("and whole");
    upstream.queue("/x", Reply::cut());

    let answer = client.send(endpoint.post_json("/x", "{}").unwrap()).await;

    assert!(matches!(answer, Err(UpstreamError::Broken(_))), "{answer:?}");
    assert_eq!(upstream.received_at("/x").len(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/x", Reply::bytes(307, "text/plain", "").header("location", "/y"));
    let endpoint = Endpoint::new(&upstream.url(), None).expect("the URL is fine");

    let answer = HttpClient::default().send(endpoint.get("/x").unwrap()).await.expect("it is answered");

    assert_eq!(answer.status(), 307);
    assert!(upstream.received_at("/y").is_empty());
}

#[tokio::test]
async fn an_answer_larger_than_agreed_is_refused() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/x", Reply::pieces("text/plain", vec!["x".repeat(60); 2]));
    let endpoint = Endpoint::new(&upstream.url(), None).expect("the URL is fine");
    let client = HttpClient::new(ClientConfig { max_answer_bytes: 100, ..ClientConfig::default() });
    let answer = client.send(endpoint.get("/x").unwrap()).await.expect("it is answered");

    let whole = client.whole(answer.into_body()).await;

    assert!(matches!(whole, Err(UpstreamError::Malformed(_))), "{whole:?}");
}

#[tokio::test]
async fn a_server_that_cannot_speak_tls_is_unreachable_and_no_provider_is_installed() {
    let upstream = ScriptedUpstream::start().await;
    let endpoint = Endpoint::new(&upstream.url().replace("http:", "https:"), None).expect("the URL is fine");

    let answer = HttpClient::default().send(endpoint.get("/x").unwrap()).await;

    assert!(matches!(answer, Err(UpstreamError::Unreachable(_))), "{answer:?}");
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    assert!(upstream.received().is_empty());
}
