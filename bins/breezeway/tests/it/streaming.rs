//! Answers that arrive while they are written.

use std::time::Duration;

use breezeway_testkit::{Answer, Client, Reply, ScriptedUpstream, Streaming, chat_chunk, sse_event};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::gateway::{MODEL, Setup, chat, eventually, id_of, processed};

const CHAT: &str = "/v1/chat/completions";
const PACE: Duration = Duration::from_millis(150);

/// Every piece and when it came.
async fn timed(mut answer: Streaming) -> Vec<(Instant, String)> {
    let mut pieces = Vec::new();
    while let Some(piece) = answer.piece().await {
        let piece = piece.expect("the stream does not break");
        pieces.push((Instant::now(), String::from_utf8_lossy(&piece).into_owned()));
    }
    pieces
}

/// When each of `marks` was there.
fn arrivals(pieces: &[(Instant, String)], marks: &[&str]) -> Vec<Instant> {
    let at = |mark: &&str| pieces.iter().find(|(_, piece)| piece.contains(*mark)).map(|(at, _)| *at);
    marks.iter().map(|mark| at(mark).unwrap_or_else(|| panic!("{mark} comes: {pieces:?}"))).collect()
}

/// The upstream writes a frame every [`PACE`]; together they were on their way as long as that takes,
/// and no two came at once.
fn assert_paced(arrivals: &[Instant]) {
    let steps = u32::try_from(arrivals.len() - 1).expect("a few");
    let whole = *arrivals.last().expect("some") - arrivals[0];
    assert!(whole > PACE * steps / 2 && whole < PACE * steps * 4, "{whole:?} for {steps} steps of {PACE:?}");
    for pair in arrivals.windows(2) {
        assert!(pair[1] - pair[0] > PACE / 4, "frames were collected: {arrivals:?}");
    }
}

fn deltas(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| sse_event(&chat_chunk(MODEL, &json!({ "content": text }), None))).collect()
}

#[tokio::test]
async fn frames_pass_byte_for_byte() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let events = [
        "data: {\"id\":\"x\",  \"choices\":[{\"delta\":{\"content\":\"a\\u00e9 \"},\"index\":0}], \"unknown\":{\"b\":1,\"a\":2}}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\",\"tool_calls\":[{\"index\":0,\"id\":\"t\"}]}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1e0,\"total_tokens\":2}}\n\n",
        "data: [DONE]\n\n",
    ];
    upstream.queue(CHAT, Reply::sse(events));

    let answer = client.stream("/api/chat/completions", &chat("hi", true)).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(answer.headers["cache-control"], "no-cache");
    assert_eq!(answer.rest().await, events.concat());
}

#[tokio::test]
async fn frames_arrive_one_by_one_even_where_the_client_takes_compression() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await.with_header("accept-encoding", "gzip, deflate, br, zstd");
    let mut events = deltas(&["one ", "two ", "three ", "four "]);
    events.push("data: [DONE]\n\n".to_owned());
    upstream.queue(CHAT, Reply::sse(events).every(PACE));

    let answer = client.stream("/api/chat/completions", &chat("hi", true)).await;
    let encoding = answer.headers.get("content-encoding").cloned();
    let pieces = timed(answer).await;

    assert_eq!(encoding, None);
    assert_paced(&arrivals(&pieces, &["one ", "two ", "three ", "four ", "[DONE]"]));
}

#[tokio::test]
async fn the_head_of_a_stream_does_not_wait_for_its_first_frame() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    upstream.queue(CHAT, Reply::sse(deltas(&["late"])).first_after(PACE * 4));

    let begun = Instant::now();
    let answer = client.stream("/api/chat/completions", &chat("hi", true)).await;
    let head = begun.elapsed();
    let pieces = timed(answer).await;

    assert!(head < PACE * 3, "{head:?}");
    assert!(arrivals(&pieces, &["late"])[0] - begun >= PACE * 4);
}

#[tokio::test]
async fn messages_of_anthropics_dialect_arrive_one_by_one() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let mut events = deltas(&["one ", "two ", "three "]);
    events.push("data: [DONE]\n\n".to_owned());
    upstream.queue(CHAT, Reply::sse(events).every(PACE));

    let mut request = chat("hi", true);
    request["max_tokens"] = 100.into();
    let answer = client.stream("/api/v1/messages", &request).await;
    let pieces = timed(answer).await;

    let all: String = pieces.iter().map(|(_, piece)| piece.as_str()).collect();
    assert!(all.starts_with("event: message_start\n"), "{all}");
    assert!(all.trim_end().ends_with("data: {\"type\":\"message_stop\"}"), "{all}");
    assert_paced(&arrivals(&pieces, &["one ", "two ", "three "]));
}

#[tokio::test]
async fn ollamas_lines_arrive_one_by_one_and_byte_for_byte() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::ollama(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let lines = [
        "{\"message\":{\"content\":\"one\"},  \"done\":false}\n",
        "{\"done\" :false}\n",
        "{\"done\":true, \"x\":[]}\n",
    ];
    upstream.queue("/api/chat", Reply::pieces("application/x-ndjson", lines).every(PACE));

    let answer = client.stream("/ollama/api/chat", &chat("hi", true)).await;
    let content_type = answer.headers["content-type"].clone();
    let pieces = timed(answer).await;

    assert_eq!(content_type, "application/x-ndjson");
    assert_eq!(pieces.iter().map(|(_, piece)| piece.as_str()).collect::<String>(), lines.concat());
    assert_paced(&arrivals(&pieces, &["one", "\"done\" :false", "true"]));
}

/// A collection with one processed file, and a request that asks about it.
async fn with_knowledge(client: &Client, stream: bool) -> Value {
    let text = "The harbour master of Kirkwall keeps a brass telescope in her office.";
    let file = id_of(&client.upload("/api/v1/files/", "harbour.txt", "text/plain", text.as_bytes()).await);
    assert_eq!(processed(client, &file).await, "completed");
    let mut request = chat("What does the harbour master keep?", stream);
    request["files"] = json!([{"type": "file", "id": file}]);
    request
}

#[tokio::test]
async fn sources_come_first_and_are_a_chunk_without_choices() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let request = with_knowledge(&client, true).await;
    let events = [deltas(&["A telescope [1]."]).concat(), "data: [DONE]\n\n".to_owned()];
    upstream.queue(CHAT, Reply::sse(events.clone()));

    let mut answer = client.stream("/api/chat/completions", &request).await;
    let first = answer.line().await.expect("a line");
    assert_eq!(answer.line().await.as_deref(), Some(""));
    let rest = answer.rest().await;

    let first: Value = serde_json::from_str(first.trim_start_matches("data: ")).expect("an event");
    assert_eq!(first["choices"], json!([]));
    let document = first["sources"][0]["document"][0].as_str().expect("a passage");
    assert!(document.contains("brass telescope"), "{first}");
    assert_eq!(rest, events.concat());
}

/// What the client sees of a chat whose upstream answers `reply`, in time.
async fn seen(client: &Client, upstream: &ScriptedUpstream, stream: bool, reply: Reply) -> Answer {
    upstream.queue(CHAT, reply);
    client.post_json("/api/chat/completions", &chat("hi", stream)).await
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let events = deltas(&["one ", "two ", "three "]);

    let broken = seen(&client, &upstream, true, Reply::sse(events.clone()).cut_after(2)).await.text();
    let in_a_frame = format!("{}data: {{\"choi", events[0]);
    let broken_inside =
        seen(&client, &upstream, true, Reply::sse([in_a_frame, String::new()]).cut_after(1)).await.text();

    for (text, whole) in [(&broken, events[..2].concat()), (&broken_inside, events[0].clone())] {
        let rest = text.strip_prefix(&whole).unwrap_or_else(|| panic!("what came is passed on: {text}"));
        let lines: Vec<&str> = rest.lines().filter(|line| line.starts_with("data: ")).collect();
        let [.., error, done] = lines.as_slice() else { panic!("an error and the end: {rest}") };
        assert!(error.starts_with("data: {\"error\":{\"message\":"), "{rest}");
        assert_eq!(*done, "data: [DONE]");
        assert!(rest.contains("\n\ndata: {\"error\""), "the error is an event of its own: {rest:?}");
    }
}

#[tokio::test]
async fn an_error_before_the_first_byte_keeps_its_status_and_body() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let busy = json!({"error": {"message": "slow down", "type": "rate_limit", "code": 7}});

    for stream in [true, false] {
        let reply = Reply::json(429, &busy).header("retry-after", "17");
        let answer = seen(&client, &upstream, stream, reply).await;

        assert_eq!(answer.status, 429);
        assert_eq!(answer.text(), busy.to_string());
        assert_eq!(answer.header("retry-after"), Some("17"));
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));

        let cut = seen(&client, &upstream, stream, Reply::cut()).await;
        assert!((500..600).contains(&cut.status), "{}", cut.summary());
        assert!(cut.json()["detail"].is_string(), "{}", cut.summary());
    }
}

#[tokio::test]
async fn many_streams_run_side_by_side() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    let mut events = deltas(&["one ", "two ", "three "]);
    events.push("data: [DONE]\n\n".to_owned());
    let begun = Instant::now();

    let mut open = Vec::new();
    for _ in 0..30 {
        upstream.queue(CHAT, Reply::sse(events.clone()).every(PACE));
        open.push(client.stream("/api/chat/completions", &chat("hi", true)).await);
    }
    let mut ended = 0;
    for answer in open {
        ended += usize::from(answer.rest().await == events.concat());
    }

    assert_eq!(ended, 30);
    assert!(begun.elapsed() < PACE * 30, "{:?}", begun.elapsed());
    eventually("every stream was told as answered", async || {
        (gateway.log().matches("Answered POST /api/chat/completions").count() >= 30).then_some(())
    })
    .await;
}
