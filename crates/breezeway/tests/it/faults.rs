//! An upstream that fails in every way, asked in every dialect: each failure ends in the shape that the
//! caller's clients read, nothing stays open, and what was used is settled.

mod shapes;

use std::{net::TcpListener, time::Duration};

use breezeway::parts::registry::{Connection, ConnectionKind};
use breezeway_testkit::{Fault, Peer, Then};
use serde_json::{Value, json};

use self::shapes::{Dialect, has_failed_inside};
use crate::harness::{Answer, Client, TestServer, connection, eventually};

const MODEL: &str = "m";

/// How a question ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With a status of failure.
    Refused(u16),
    /// With a failure inside an answer that has begun.
    Inside,
    /// Well.
    Answered,
}

/// Longer than anything here takes, and short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

async fn gateway(url: String) -> (TestServer, Client) {
    let server = TestServer::with(|config| {
        let mut connection =
            Connection { model_ids: vec![MODEL.into()], ..connection(ConnectionKind::OpenAi, url) };
        connection.timeout = Some(SHORT);
        connection.idle_timeout = Some(SHORT);
        config.connections = vec![connection];
    })
    .await;
    server.breezeway.registry().refresh(true).await;
    let ada = server.sign_up("ada").await;
    (server, ada)
}

fn end_of(dialect: Dialect, stream: bool, answer: &Answer) -> End {
    match answer.status {
        200 if stream && has_failed_inside(dialect, answer.text().as_str()) => End::Inside,
        200 => End::Answered,
        status => {
            assert!(dialect.is_refusal(answer), "{dialect:?}: {}", answer.summary());
            End::Refused(status)
        }
    }
}

/// What is settled of all calls: how many there were, and how many of them failed.
async fn settled(client: &Client, calls: u64) -> (u64, u64) {
    eventually("every call is settled", async || {
        let report = client.get("/api/v1/usage?group_by=model").await.json();
        let count = |name: &str| report["rows"][0][name].as_u64().unwrap_or(0);
        (count("requests") >= calls).then(|| (count("requests"), count("failed")))
    })
    .await
}

/// Ask in every dialect; `expected` says how it ends, whole and streamed.
async fn check_at(url: String, expected: impl Fn(Dialect, bool) -> End) {
    let (server, ada) = gateway(url).await;
    let (mut calls, mut failed) = (0, 0);
    for dialect in Dialect::ALL {
        for stream in [false, true] {
            let answer = ada.post(dialect.path(), dialect.question(MODEL, stream)).await;

            let end = end_of(dialect, stream, &answer);
            assert_eq!(
                end,
                expected(dialect, stream),
                "{dialect:?}, streamed: {stream}, {}",
                answer.summary()
            );
            calls += 1;
            failed += u64::from(end != End::Answered);
        }
    }
    let settled = settled(&ada, calls).await;
    assert_eq!(settled, (calls, failed), "every call is settled once, and those that failed as failed");
    let loads: Vec<_> = server.breezeway.registry().status().iter().map(|status| status.load).collect();
    assert_eq!(loads, [0], "no place is held");
}

async fn check(says: impl Into<Vec<u8>>, then: Then, expected: impl Fn(Dialect, bool) -> End) {
    let mut peer = Peer::start(Fault { says: says.into(), then }).await;

    check_at(peer.url(), expected).await;

    peer.is_left().await;
}

fn refused(status: u16) -> impl Fn(Dialect, bool) -> End {
    move |_, _| End::Refused(status)
}

fn whole(status: &str, content_type: &str, length: usize, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn events(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);

    check_at(url, refused(502)).await;
}

#[tokio::test]
async fn it_hangs_up_before_the_head_or_inside_it() {
    for says in ["", "HTTP/1.1 200 OK\r\ncontent-ty", "what?\r\n\r\n"] {
        check(says, Then::Close, refused(502)).await;
        check(says, Then::Reset, refused(502)).await;
    }
}

#[tokio::test]
async fn its_head_does_not_come() {
    check("HTTP/1.1 200 OK\r\ncontent-ty", Then::Stall, refused(504)).await;
}

#[tokio::test]
async fn its_body_does_not_come() {
    check(whole("200 OK", "application/json", 100, "{\"id\":"), Then::Stall, refused(504)).await;
    check(events("data: {\"id\":\"x\",\"choices\":[]}\n\n"), Then::Stall, |dialect, stream| match dialect {
        _ if stream => End::Inside,
        // Who asked for a whole answer gets no events, and where bytes pass that is said at once.
        Dialect::Completions | Dialect::Responses => End::Refused(502),
        _ => End::Refused(504),
    })
    .await;
}

#[tokio::test]
async fn it_says_half_an_event_and_leaves() {
    for then in [Then::Close, Then::Reset] {
        check(
            events("data: {\"id\":\"x\",\"choices\":[]}\n\ndata: {\"choi"),
            then,
            |_, stream| match stream {
                true => End::Inside,
                false => End::Refused(502),
            },
        )
        .await;
    }
}

#[tokio::test]
async fn its_length_is_wrong() {
    check(whole("200 OK", "application/json", 99, "{\"choices\":[]}"), Then::Close, refused(502)).await;
    check(whole("200 OK", "application/json", 5, "{\"choices\":[]}"), Then::Close, refused(502)).await;
}

#[tokio::test]
async fn it_shows_a_web_page() {
    let page = "<html>welcome</html>";
    check(whole("200 OK", "text/html", page.len(), page), Then::Close, refused(502)).await;
    check(whole("500 Internal Server Error", "text/html", page.len(), page), Then::Close, refused(500)).await;
}

#[tokio::test]
async fn it_sends_elsewhere_or_compresses() {
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    check(elsewhere, Then::Close, refused(502)).await;
    let gzip = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}";
    check(gzip, Then::Close, refused(502)).await;
}

#[tokio::test]
async fn it_wants_a_pause() {
    let page = "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit\"}}";
    let length = page.len();
    let says = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 7\r\ncontent-length: {length}\r\n\r\n{page}"
    );
    check(says.clone(), Then::Close, refused(429)).await;

    let peer = Peer::start(Fault { says: says.into(), then: Then::Close }).await;
    let (_server, ada) = gateway(peer.url()).await;
    for dialect in Dialect::ALL {
        let answer = ada.post(dialect.path(), dialect.question(MODEL, true)).await;

        assert_eq!(answer.header("retry-after"), "7", "{dialect:?}");
        assert!(answer.text().contains("slow down"), "{dialect:?}: {}", answer.summary());
    }
}

#[tokio::test]
async fn its_text_is_no_utf8() {
    let mut says =
        whole("200 OK", "application/json", 30, "{\"choices\":[{\"message\":{\"content\":\"").into_bytes();
    says.extend([0xff, 0xfe]);
    check(says, Then::Close, refused(502)).await;

    let mut says = events("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"").into_bytes();
    says.extend([0xff, 0xfe]);
    says.extend(b"\"}}]}\n\n");
    // It ends without a reason, too.
    check(says, Then::Close, |_, stream| if stream { End::Inside } else { End::Refused(502) }).await;
}

fn chunk(content: &str) -> String {
    let chunk: Value = json!({
        "id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
    });
    format!("data: {chunk}\n\ndata: [DONE]\n\n")
}

#[tokio::test]
async fn an_event_of_ten_megabytes_reaches_the_client_and_one_without_an_end_does_not() {
    let large = events(&chunk(&"x".repeat(10 << 20)));
    let endless = events(&format!("data: {{\"x\":\"{}", "x".repeat(17 << 20)));
    for (says, arrives) in [(large, true), (endless, false)] {
        let peer = Peer::start(Fault { says: says.into_bytes(), then: Then::Close }).await;
        let (_server, ada) = gateway(peer.url()).await;
        for dialect in Dialect::CONVERTED {
            let answer = ada.post(dialect.path(), dialect.question(MODEL, true)).await;

            let expected = if arrives { End::Answered } else { End::Inside };
            assert_eq!(end_of(dialect, true, &answer), expected, "{dialect:?} {}", answer.status);
            assert_eq!(answer.text().len() > 10 << 20, arrives, "{dialect:?}");
        }
    }
}
