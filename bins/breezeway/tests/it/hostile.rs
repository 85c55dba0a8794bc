//! Clients that are slow, broken or mean no good.

use std::time::Duration;

use breezeway_testkit::{Reply, ScriptedUpstream, chat_completion};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use crate::{
    gateway::{DEADLINE, Gateway, MODEL, Setup, chat},
    raw::Raw,
};

/// The status in the first line of an answer.
fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()
}

async fn assert_well(gateway: &Gateway) {
    let answer = timeout(DEADLINE, gateway.client().get("/health")).await.expect("in time");
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_head_of_a_megabyte_is_refused() {
    let gateway = Setup::new().start().await;
    let long = "a".repeat(1 << 20);

    for head in [
        format!("GET /health HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-Many: 1\r\n".repeat(1 << 16)),
    ] {
        let mut client = gateway.connect().await;
        client.send(head).await;
        let answer = client.rest().await;

        // A close without an answer is what remains when the client is still sending.
        let status = status(&answer);
        assert!(answer.is_empty() || status.is_some_and(|status| (400..500).contains(&status)), "{answer}");
    }
    assert_well(&gateway).await;
    assert!(gateway.peak_memory() < 400 << 20);
}

#[tokio::test]
async fn garbage_is_answered_with_400_or_a_close() {
    let gateway = Setup::new().start().await;
    let token = gateway.token().await;
    let chunked = format!(
        "POST /api/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let cases: Vec<Vec<u8>> = vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting\r\n\r\n".to_vec(),
        vec![0; 4096],
        (0..=255).cycle().take(9000).collect(),
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(),
        b"GET  HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n".to_vec(),
        b"GET /health HTTP/1.1\r\nHost a\r\n\r\n".to_vec(),
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".to_vec(),
        b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef".to_vec(),
        b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame at all, and long enough to be read as one"
            .to_vec(),
        format!("{chunked}zz\r\nabc\r\n").into_bytes(),
        format!("{chunked}ffffffffffffffffff\r\nabc\r\n").into_bytes(),
        format!("{chunked}3\r\nabcdef\r\n").into_bytes(),
    ];

    for case in cases {
        let shown = String::from_utf8_lossy(&case[..case.len().min(80)]).into_owned();
        let mut client = gateway.connect().await;
        client.send(&case).await;
        let answer = timeout(DEADLINE / 3, client.rest()).await;
        let answer = answer.unwrap_or_else(|_| panic!("an answer or a close: {shown:?}"));

        let refused = status(&answer).is_some_and(|status| (400..500).contains(&status));
        let closed = status(&answer).is_none();
        assert!(refused || closed, "{shown:?}: {answer}");
    }
    assert_well(&gateway).await;
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

#[tokio::test]
async fn a_request_hidden_in_another_is_not_answered() {
    let gateway = Setup::new().start().await;
    let hidden = "GET /api/version HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = hidden.len() + 5;

    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST /api/v1/auths/signin HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n{hidden}"
        ))
        .await;
    let answer = client.rest().await;

    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn clients_that_send_nothing_more_keep_nobody_waiting() {
    let gateway = Setup::new().start().await;
    let token = gateway.token().await;
    let mut slow = Vec::new();
    for index in 0..60 {
        let mut client = gateway.connect().await;
        match index % 4 {
            0 => {}
            1 => client.send("POST /api/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow").await,
            2 => {
                let head = format!(
                    "POST /api/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
                     Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"model\""
                );
                client.send(head).await;
            }
            _ => {
                let head = format!(
                    "POST /api/v1/files/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
                     Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n\
                     --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nso far"
                );
                client.send(head).await;
            }
        }
        slow.push(client);
    }

    let client = gateway.client().bearer(&token);
    let begun = tokio::time::Instant::now();
    for path in ["/health", "/ready", "/api/models", "/api/v1/files/", "/api/v1/knowledge/"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    let upload = client.upload("/api/v1/files/", "mine.txt", "text/plain", b"there is room").await;

    assert_eq!(upload.status, 200, "{}", upload.summary());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(slow);
}

#[tokio::test]
async fn a_json_body_that_is_too_large_is_refused_in_words() {
    let gateway = Setup::new().set("BREEZEWAY_MAX_BODY_MB", "1").start().await;
    let token = gateway.token().await;
    let large = format!("{{\"model\":\"{}\"}}", "a".repeat(2 << 20));
    let head = format!(
        "POST /api/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n"
    );

    let known = gateway
        .client()
        .bearer(&token)
        .try_request(Method::POST, "/api/chat/completions", Some("application/json"), large.clone())
        .await;
    let mut announced = gateway.connect().await;
    announced.send(format!("{head}Content-Length: {}\r\n\r\n{}", large.len(), &large[..(1 << 20) + 1])).await;
    let announced = announced.until("}").await;
    let mut chunked = gateway.connect().await;
    chunked.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n", large.len())).await;
    let chunked = chunked.rest().await;

    // The client may still be sending when the connection closes; then it sees no answer at all.
    if let Ok(known) = known {
        assert_eq!(known.status, 413);
        assert!(known.json()["detail"].is_string(), "{}", known.summary());
    }
    assert_eq!(status(&announced), Some(413), "{announced}");
    assert!(announced.contains("{\"detail\":\""), "{announced}");
    assert!(chunked.is_empty() || status(&chunked) == Some(413), "{chunked}");
    assert_well(&gateway).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    drop(gateway.admin_with_model().await);
    let token = gateway.token().await;
    let slow = Reply::json(200, &chat_completion(MODEL, "the slow one")).after(Duration::from_millis(300));
    upstream.queue("/v1/chat/completions", slow);
    let body = chat("hi", false).to_string();

    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST /api/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}\
             GET /health HTTP/1.1\r\nHost: a\r\n\r\n\
             GET /api/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            body.len()
        ))
        .await;
    let answer = client.rest().await;

    let places: Vec<_> =
        ["the slow one", "{\"status\":true}", "\"breezeway\""].iter().map(|mark| answer.find(mark)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}: {answer}");
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_and_are_served_later() {
    let gateway = Setup::new().set("BREEZEWAY_MAX_CONNECTIONS", "2").start().await;
    // The harness asked whether it is healthy; that connection goes with its client.
    let (first, second) = (gateway.connect().await, gateway.connect().await);
    let mut third = gateway.connect().await;
    third.send("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let mut waiting = JoinSet::new();
    waiting.spawn(third.rest());

    let early = timeout(Duration::from_millis(300), waiting.join_next()).await;
    drop((first, second));
    let late =
        timeout(DEADLINE, waiting.join_next()).await.expect("in time").expect("it waits").expect("it ends");

    assert!(early.is_err(), "it had to wait");
    assert_eq!(status(&late), Some(200), "{late}");
}

#[tokio::test]
async fn http2_is_spoken_with_those_who_begin_with_it() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    drop(gateway.admin_with_model().await);
    let token = gateway.token().await;
    let stream = TcpStream::connect(gateway.address()).await.expect("it listens");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("a handshake");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ = connection.await;
    });

    let mut texts = Vec::new();
    for text in ["over two", "streams at once"] {
        let request = Request::post(format!("http://{}/api/chat/completions", gateway.address()))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(chat(text, true).to_string())))
            .expect("a request");
        sender.ready().await.expect("there is room");
        texts.push(sender.send_request(request));
    }
    let mut answers = Vec::new();
    for answer in texts {
        let answer = answer.await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answers.push(answer.into_body().collect().await.expect("the whole of it").to_bytes());
    }

    for answer in answers {
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("echo: ") && answer.ends_with("data: [DONE]\n\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_fill_the_memory() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    drop(gateway.admin_with_model().await);
    let token = gateway.token().await;
    let before = gateway.peak_memory();
    let filler = "x".repeat(1 << 20);
    let event = format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": filler}}]}));
    let events = vec![Bytes::from(event); 200];
    upstream.queue("/v1/chat/completions", Reply::sse(events));

    let mut client: Raw = gateway.connect().await;
    client.post("/api/chat/completions", &token, &chat("hi", true)).await;
    client.until("data: ").await;
    let asked = upstream.last_at("/v1/chat/completions");
    // Long enough to take all 200 MB in if nothing held them back.
    let ended = timeout(Duration::from_millis(1500), asked.outcome()).await;

    assert!(ended.is_err(), "the upstream could not be read to its end");
    let grown = gateway.peak_memory() - before;
    assert!(grown < 40 << 20, "{} MB", grown >> 20);
}
