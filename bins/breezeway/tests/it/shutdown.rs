//! Being told to stop.

use std::time::Duration;

use breezeway_testkit::{Reply, ScriptedUpstream, Streaming, chat_chunk, sse_event};
use serde_json::json;
use tokio::{net::TcpStream, time::Instant};

use crate::gateway::{Gateway, MODEL, Setup, chat, eventually};

const CHAT: &str = "/v1/chat/completions";

fn events(count: usize) -> Vec<String> {
    let delta = |index| sse_event(&chat_chunk(MODEL, &json!({"content": format!("word {index}")}), None));
    (0..count).map(delta).chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// A stream of which one frame has come.
async fn begun(gateway: &Gateway) -> Streaming {
    let client = gateway.admin_with_model().await;
    let mut answer = client.stream("/api/chat/completions", &chat("hi", true)).await;
    assert!(answer.line().await.is_some_and(|line| line.contains("word 0")));
    answer
}

#[tokio::test]
async fn a_running_stream_ends_in_its_own_time_while_nobody_new_is_let_in() {
    let upstream = ScriptedUpstream::start().await;
    let mut gateway = Setup::openai(&upstream).start().await;
    upstream.queue(CHAT, Reply::sse(events(8)).every(Duration::from_millis(150)));
    let answer = begun(&gateway).await;

    gateway.signal("TERM");

    let address = gateway.address();
    eventually("new connections are refused", async || {
        TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    let rest = answer.rest().await;
    assert!(rest.contains("word 7") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
    assert!(gateway.log().contains("Stopped"));
}

#[tokio::test]
async fn a_stream_that_takes_too_long_is_cut_and_the_process_ends_all_the_same() {
    let upstream = ScriptedUpstream::start().await;
    let mut gateway = Setup::openai(&upstream).set("BREEZEWAY_DRAIN_SECONDS", "1").start().await;
    upstream.queue(CHAT, Reply::sse(events(1)[..1].to_vec()).then_stall());
    let mut answer = begun(&gateway).await;
    let told = Instant::now();

    gateway.signal("TERM");

    let status = gateway.ended().await;
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    assert!(
        told.elapsed() >= Duration::from_secs(1) && told.elapsed() < Duration::from_secs(6),
        "{:?}",
        told.elapsed()
    );
    let mut last = answer.piece().await;
    while matches!(last, Some(Ok(_))) {
        last = answer.piece().await;
    }
    assert!(matches!(last, Some(Err(_))), "a cut is not taken for an end");
}

#[tokio::test]
async fn an_idle_connection_holds_nothing_up_and_an_interrupt_is_a_signal_too() {
    let mut gateway = Setup::new().start().await;
    let mut idle = gateway.connect().await;
    idle.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.until("{\"status\":true}").await;
    let silent = gateway.connect().await;
    let told = Instant::now();

    gateway.signal("INT");

    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_anybody() {
    let upstream = ScriptedUpstream::start().await;
    let mut gateway = Setup::openai(&upstream).start().await;
    upstream.queue(CHAT, Reply::sse(events(1)[..1].to_vec()).then_stall());
    let _answer = begun(&gateway).await;

    gateway.signal("TERM");
    gateway.logs("Stopping").await;
    let told = Instant::now();
    gateway.signal("TERM");

    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.log());
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}
