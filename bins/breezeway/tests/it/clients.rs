//! Clients that are slow, or gone, in every dialect.

use std::time::Duration;

use breezeway_testkit::{Client, Outcome, Reply, ScriptedUpstream, chat_chunk, sse_event};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::gateway::{DEADLINE, Gateway, MODEL, Setup, chat, eventually};

const CHAT: &str = "/v1/chat/completions";

/// A way to ask: the path here, the path at the upstream, and the question.
fn dialects() -> Vec<(&'static str, &'static str, Value)> {
    let messages = json!([{"role": "user", "content": "hi"}]);
    vec![
        ("/v1/chat/completions", CHAT, json!({"model": MODEL, "messages": messages})),
        ("/openai/chat/completions", CHAT, json!({"model": MODEL, "messages": messages})),
        ("/v1/messages", CHAT, json!({"model": MODEL, "max_tokens": 9, "messages": messages})),
        ("/ollama/api/chat", CHAT, json!({"model": MODEL, "messages": messages})),
        ("/ollama/api/generate", CHAT, json!({"model": MODEL, "prompt": "hi"})),
        ("/v1/completions", "/v1/completions", json!({"model": MODEL, "prompt": "hi"})),
        ("/v1/responses", "/v1/responses", json!({"model": MODEL, "input": "hi"})),
    ]
}

/// How many calls were settled, and how many of them were given up by their clients.
async fn settled(client: &Client, calls: u64) -> (u64, u64) {
    eventually("every call is settled", async || {
        let report = client.get("/api/v1/usage?group_by=model").await.json();
        let rows = report["rows"].as_array().cloned().unwrap_or_default();
        let count = |name: &str| rows.iter().filter_map(|row| row[name].as_u64()).sum::<u64>();
        (count("requests") >= calls).then(|| (count("requests"), count("aborted")))
    })
    .await
}

#[tokio::test]
async fn a_client_that_vanishes_is_noticed_and_settled_in_every_dialect() {
    let upstream = ScriptedUpstream::start().await;
    let gateway =
        Setup::openai(&upstream).set("ENABLE_OLLAMA_API", "true").set("OLLAMA_BASE_URLS", "").start().await;
    let admin = gateway.admin_with_model().await;
    let token = gateway.token().await;
    let first = sse_event(&chat_chunk(MODEL, &json!({"role": "assistant", "content": "one"}), None));
    let mut calls = 0;

    for (path, upstream_path, question) in dialects() {
        for (stream, reply, read) in [
            (true, Reply::stall(), None),
            (false, Reply::stall(), None),
            (true, Reply::sse([first.clone()]).then_stall(), Some("one")),
            (false, Reply::pieces("application/json", ["{\"id\":"]).then_stall(), None),
        ] {
            upstream.reset();
            upstream.queue(upstream_path, reply);
            let mut question = question.clone();
            question["stream"] = stream.into();

            let mut client = gateway.connect().await;
            client.post(path, &token, &question).await;
            let received = timeout(DEADLINE, upstream.wait_for(upstream_path)).await.expect("it is asked");
            if let Some(mark) = read {
                client.until(mark).await;
            }
            drop(client);

            let outcome = timeout(DEADLINE, received.outcome()).await;
            assert_eq!(outcome, Ok(Outcome::ClientLeft), "{path}, streamed: {stream}");
            calls += 1;
        }
    }

    assert_eq!(settled(&admin, calls).await, (calls, calls));
}

#[tokio::test]
async fn a_client_that_vanishes_inside_its_own_question_asks_nothing() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    gateway.admin_with_model().await;
    let token = gateway.token().await;
    upstream.reset();

    for (path, _, question) in dialects() {
        let body = question.to_string();
        let mut client = gateway.connect().await;
        client
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{}",
                body.len(),
                &body[..body.len() / 2],
            ))
            .await;
        drop(client);
    }

    // Whoever asks behind them is answered, and nothing of theirs was asked meanwhile.
    let answer = gateway.client().bearer(&token).post_json("/api/chat/completions", &chat("hi", false)).await;
    assert_eq!(answer.status, 200, "{}", answer.summary());
    let asked = upstream.received().iter().filter(|received| received.path != "/v1/models").count();
    assert_eq!(asked, 1);
}

/// Send a request byte by byte, each in a packet of its own.
async fn asked_slowly(gateway: &Gateway, path: &str, token: &str, question: &Value) -> TcpStream {
    let mut socket = TcpStream::connect(gateway.address()).await.expect("it listens");
    socket.set_nodelay(true).expect("a socket of ours");
    let body = question.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for byte in head.bytes().chain(body.bytes()) {
        socket.write_all(&[byte]).await.expect("it reads");
    }
    socket
}

#[tokio::test]
async fn a_question_that_comes_byte_by_byte_is_answered() {
    let upstream = ScriptedUpstream::start().await;
    let gateway =
        Setup::openai(&upstream).set("ENABLE_OLLAMA_API", "true").set("OLLAMA_BASE_URLS", "").start().await;
    gateway.admin_with_model().await;
    let token = gateway.token().await;

    for (path, _, question) in dialects() {
        let mut socket = asked_slowly(&gateway, path, &token, &question).await;
        let mut answer = Vec::new();
        timeout(DEADLINE, socket.read_to_end(&mut answer)).await.expect("in time").expect("it answers");

        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_reads_byte_by_byte_gets_every_byte_while_others_are_served() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let admin = gateway.admin_with_model().await;
    let token = gateway.token().await;
    let mut events: Vec<String> = (0..40)
        .map(|index| sse_event(&chat_chunk(MODEL, &json!({"content": format!("word {index} ")}), None)))
        .collect();
    events.push("data: [DONE]\n\n".to_owned());
    upstream.queue(CHAT, Reply::sse(events.clone()));
    let mut socket = TcpStream::connect(gateway.address()).await.expect("it listens");
    let body = chat("hi", true).to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("it reads");

    let mut read = Vec::new();
    let mut byte = [0];
    while let Ok(1) = timeout(DEADLINE, socket.read(&mut byte)).await.expect("something comes") {
        read.push(byte[0]);
        if read.len() == 100 {
            let answer = admin.post_json("/api/chat/completions", &chat("meanwhile", false)).await;
            assert_eq!(answer.status, 200, "{}", answer.summary());
            // The slow one is still there.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    let text = String::from_utf8(read).expect("text");
    assert!(text.ends_with(&events.concat()), "{text}");
}
