//! A client that goes away takes its upstream request with it.

use std::time::Duration;

use breezeway_testkit::{Outcome, Reply, ScriptedUpstream, chat_chunk, sse_event};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::gateway::{Gateway, MODEL, Setup, chat};

/// What is promised, measured as the best of a few tries: the machine may be busy.
const PROMISED: Duration = Duration::from_millis(100);
/// What no try may exceed.
const BOUND: Duration = Duration::from_secs(2);
const TRIES: usize = 3;

/// When the client goes away, and what the upstream had done until then.
struct Case {
    name: &'static str,
    stream: bool,
    reply: Reply,
    /// What the client has read when it leaves.
    read: Option<&'static str>,
}

/// Check every moment to leave at. `path` is asked here, and `upstream_path` there.
async fn check(
    gateway: &Gateway,
    upstream: &ScriptedUpstream,
    path: &str,
    upstream_path: &str,
    first: Reply,
) {
    let client = gateway.admin_with_model().await;
    drop(client);
    let token = gateway.token().await;
    let cases = [
        Case { name: "before the head of a stream", stream: true, reply: Reply::stall(), read: None },
        Case {
            name: "in the middle of a stream",
            stream: true,
            reply: first.then_stall(),
            read: Some("one"),
        },
        Case { name: "before a whole answer", stream: false, reply: Reply::stall(), read: None },
        Case {
            name: "in the middle of a whole answer",
            stream: false,
            reply: Reply::pieces("application/json", ["{\"id\":"]).then_stall(),
            read: None,
        },
    ];
    for case in cases {
        let mut best = BOUND;
        for _ in 0..TRIES {
            best = best.min(once(gateway, upstream, path, upstream_path, &token, &case).await);
        }
        assert!(best < PROMISED, "{path}, {}: the upstream was closed after {best:?}", case.name);
    }
}

async fn once(
    gateway: &Gateway,
    upstream: &ScriptedUpstream,
    path: &str,
    upstream_path: &str,
    token: &str,
    case: &Case,
) -> Duration {
    upstream.reset();
    upstream.queue(upstream_path, case.reply.clone());
    let mut request: Value = chat("hi", case.stream);
    request["max_tokens"] = 10.into();

    let mut client = gateway.connect().await;
    client.post(path, token, &request).await;
    let received = timeout(BOUND, upstream.wait_for(upstream_path)).await.expect("the upstream is asked");
    if let Some(mark) = case.read {
        client.until(mark).await;
    }
    let left = Instant::now();
    drop(client);

    let outcome = timeout(BOUND, received.outcome()).await;
    assert_eq!(outcome, Ok(Outcome::ClientLeft), "{path}, {}", case.name);
    left.elapsed()
}

fn first_chunk() -> Reply {
    Reply::sse([sse_event(&chat_chunk(MODEL, &json!({"role": "assistant", "content": "one"}), None))])
}

fn first_line() -> Reply {
    let line = json!({"model": MODEL, "message": {"role": "assistant", "content": "one"}, "done": false});
    Reply::ndjson([line])
}

#[tokio::test]
async fn leaving_a_chat_closes_the_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;

    check(&gateway, &upstream, "/api/chat/completions", "/v1/chat/completions", first_chunk()).await;
}

#[tokio::test]
async fn leaving_a_chat_with_an_ollama_model_closes_the_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::ollama(&upstream).start().await;

    check(&gateway, &upstream, "/api/chat/completions", "/api/chat", first_line()).await;
}

#[tokio::test]
async fn leaving_the_passthrough_closes_the_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::ollama(&upstream).start().await;

    check(&gateway, &upstream, "/ollama/api/chat", "/api/chat", first_line()).await;
}

#[tokio::test]
async fn leaving_a_message_closes_the_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;

    check(&gateway, &upstream, "/api/v1/messages", "/v1/chat/completions", first_chunk()).await;
}
