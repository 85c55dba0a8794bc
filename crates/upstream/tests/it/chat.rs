use std::time::Duration;

use breezeway_registry::{ChatReply, Error, Upstream, UpstreamError};
use breezeway_testkit::{Reply, ScriptedUpstream, chat_chunk, chat_completion, sse_event};
use breezeway_upstream::{HttpClient, MAX_ERROR_BYTES, OpenAiUpstream};
use breezeway_wire::{ChatRequest, Frame};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::{connection, openai, promptly, time_to_notice};

const CHAT: &str = "/v1/chat/completions";

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("the test writes an object").clone()
}

fn question(stream: bool) -> ChatRequest {
    let messages = json!([{"role": "user", "content": "hi"}]);
    ChatRequest::new(match stream {
        true => object(json!({"model": "m", "messages": messages, "stream": true})),
        false => object(json!({"model": "m", "messages": messages})),
    })
}

async fn frames(reply: ChatReply) -> Vec<Result<Frame, UpstreamError>> {
    match reply {
        ChatReply::Stream(frames) => frames.collect().await,
        ChatReply::Whole(body) => panic!("a stream was expected, not {body:?}"),
    }
}

#[tokio::test]
async fn the_upstream_gets_the_request_as_it_is() {
    let upstream = ScriptedUpstream::start().await;
    let request = object(json!({"model": "m", "unknown": {"z": 1, "a": 1.50}, "messages": []}));

    openai(&connection(&upstream)).chat(ChatRequest::new(request)).await.expect("it answers");

    let sent = upstream.last_at(CHAT);
    assert_eq!(sent.body(), r#"{"model":"m","unknown":{"z":1,"a":1.5},"messages":[]}"#);
    assert_eq!(sent.header("authorization"), Some("Bearer sk-upstream"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!(sent.header("accept-encoding"), None);
}

#[tokio::test]
async fn an_empty_key_is_not_sent_and_configured_headers_are() {
    let upstream = ScriptedUpstream::start().await;
    let mut connection = connection(&upstream);
    connection.key = Some("".into());
    connection.headers.insert("X-Title".into(), "breezeway".into());

    openai(&connection).chat(question(false)).await.expect("it answers");

    assert_eq!(upstream.last_at(CHAT).header("authorization"), None);
    assert_eq!(upstream.last_at(CHAT).header("x-title"), Some("breezeway"));
}

#[tokio::test]
async fn headers_that_would_break_the_framing_cannot_be_configured() {
    let upstream = ScriptedUpstream::start().await;
    for (name, value) in [("Transfer-Encoding", "chunked"), ("a b", "x"), ("x", "secret\nx: y")] {
        let mut connection = connection(&upstream);
        connection.headers.insert(name.into(), value.into());

        let made = OpenAiUpstream::new(&connection, HttpClient::default());

        let why = made.expect_err(name);
        assert!(matches!(why, Error::BadConnection { .. }));
        assert!(!why.to_string().contains("secret"), "{why}");
    }
}

#[tokio::test]
async fn a_whole_answer_is_handed_on_byte_for_byte() {
    let upstream = ScriptedUpstream::start().await;
    let body = "{ \"choices\" : [],\n\"x\":1.0 }";
    upstream.queue(CHAT, Reply::bytes(200, "application/json; charset=utf-8", body));

    let reply = openai(&connection(&upstream)).chat(question(false)).await;

    assert!(matches!(reply, Ok(ChatReply::Whole(bytes)) if bytes == body));
}

#[tokio::test]
async fn a_stream_is_handed_on_byte_for_byte_however_it_was_cut() {
    let upstream = ScriptedUpstream::start().await;
    let event = sse_event(&chat_chunk("m", &json!({"content": "grüße"}), None));
    let text = format!(": hello\n\n{event}event: ping\r\ndata:{{}}\r\n\r\ndata: [DONE]\n\n");
    let pieces = text.as_bytes().chunks(7).map(<[u8]>::to_vec);
    upstream.queue(CHAT, Reply::sse(pieces).every(Duration::from_millis(1)));

    let frames = frames(openai(&connection(&upstream)).chat(question(true)).await.expect("it streams")).await;

    let raw: Vec<u8> =
        frames.iter().flat_map(|frame| frame.as_ref().expect("it is whole").raw.to_vec()).collect();
    assert_eq!(String::from_utf8(raw).unwrap(), text);
    assert!(frames.last().is_some_and(|frame| frame.as_ref().is_ok_and(Frame::is_done)));
}

#[tokio::test]
async fn a_stream_without_end_mark_is_whole_if_it_says_why_it_ends() {
    for end in [r#"{"choices":[{"finish_reason": "stop"}]}"#, r#"{"error":{"message":"no"}}"#] {
        let upstream = ScriptedUpstream::start().await;
        let pieces = ["data: {\"finish_reason\":null}\n\n".to_owned(), format!("data: {end}")];
        upstream.queue(CHAT, Reply::sse(pieces));

        let upstream = openai(&connection(&upstream));
        let frames = frames(upstream.chat(question(true)).await.expect("it streams")).await;

        let data: Vec<_> = frames.into_iter().map(|frame| frame.expect("it is whole").data).collect();
        assert_eq!(data, ["{\"finish_reason\":null}", end]);
    }
}

#[tokio::test]
async fn a_stream_that_just_ends_broke_off() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(CHAT, Reply::sse(["data: {\"finish_reason\":null}\n\n"]));

    let frames = frames(openai(&connection(&upstream)).chat(question(true)).await.expect("it streams")).await;

    assert_eq!(frames.len(), 2);
    assert!(frames[0].is_ok());
    assert!(matches!(frames[1], Err(UpstreamError::Broken(_))));
}

#[tokio::test]
async fn a_stream_that_breaks_off_keeps_what_came_and_says_so() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(CHAT, Reply::sse(["data: {\"a\":1}\n\n", "data: {\"a", "never"]).cut_after(2));

    let frames = frames(openai(&connection(&upstream)).chat(question(true)).await.expect("it streams")).await;

    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].as_ref().expect("the first came whole").data, "{\"a\":1}");
    assert!(matches!(frames[1], Err(UpstreamError::Broken(_))));
}

#[tokio::test]
async fn a_whole_answer_to_a_streaming_question_is_an_answer() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(CHAT, Reply::json(200, &chat_completion("m", "whole")));

    let reply = openai(&connection(&upstream)).chat(question(true)).await;

    assert!(matches!(reply, Ok(ChatReply::Whole(_))));
}

#[tokio::test]
async fn an_error_is_handed_on_with_its_body() {
    let upstream = ScriptedUpstream::start().await;
    for stream in [false, true] {
        let busy = Reply::bytes(429, "application/json", "{\"error\": {\"message\": \"slow\"}}");
        upstream.queue(CHAT, busy.header("retry-after", "7"));

        let error = openai(&connection(&upstream)).chat(question(stream)).await.err().expect("an error");

        let UpstreamError::Answered { status, content_type, body, retry_after } = error else {
            panic!("it answered, and not {error:?}");
        };
        assert_eq!(status, 429);
        assert_eq!(content_type.as_deref(), Some("application/json"));
        assert_eq!(body, "{\"error\": {\"message\": \"slow\"}}");
        assert_eq!(retry_after.as_deref(), Some("7"));
    }
}

#[tokio::test]
async fn an_endless_error_is_cut() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(CHAT, Reply::bytes(500, "text/plain", vec![b'x'; MAX_ERROR_BYTES + 5]));

    let error = openai(&connection(&upstream)).chat(question(false)).await.err().expect("an error");

    assert!(matches!(error, UpstreamError::Answered { body, .. } if body.len() == MAX_ERROR_BYTES));
}

#[tokio::test]
async fn what_is_no_answer_is_malformed() {
    let upstream = ScriptedUpstream::start().await;
    for (stream, reply) in [
        (false, Reply::bytes(200, "text/html", "<html></html>")),
        (true, Reply::bytes(200, "text/html", "<html></html>")),
        (false, Reply::bytes(200, "application/json", "[1]")),
        (false, Reply::bytes(200, "application/json", "{\"cut")),
        (false, Reply::bytes(302, "text/plain", "").header("location", "http://127.0.0.1:9/")),
    ] {
        upstream.queue(CHAT, reply.clone());

        let error = openai(&connection(&upstream)).chat(question(stream)).await.err();

        assert!(matches!(error, Some(UpstreamError::Malformed(_))), "{reply:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_broken_and_one_that_is_not_there_unreachable() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(CHAT, Reply::cut());
    let adapter = openai(&connection(&upstream));

    let hung_up = adapter.chat(question(false)).await.err();
    drop(upstream);
    let gone = adapter.chat(question(false)).await.err();

    assert!(matches!(hung_up, Some(UpstreamError::Broken(_))), "{hung_up:?}");
    assert!(matches!(gone, Some(UpstreamError::Unreachable(_))), "{gone:?}");
}

#[tokio::test]
async fn a_silent_upstream_is_given_up() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(CHAT, Reply::stall());
    upstream.queue(CHAT, Reply::sse(["data: 1\n\n"]).then_stall());
    let mut connection = connection(&upstream);
    let short = Duration::from_millis(60);
    connection.timeout = Some(short);
    connection.idle_timeout = Some(short);
    let adapter = openai(&connection);

    let whole = adapter.chat(question(false)).await.err();
    let streamed = frames(adapter.chat(question(true)).await.expect("it streams")).await;

    assert!(matches!(whole, Some(UpstreamError::TimedOut(limit)) if limit == short), "{whole:?}");
    assert!(matches!(streamed[..], [Ok(_), Err(UpstreamError::TimedOut(_))]), "{streamed:?}");
}

#[tokio::test]
async fn a_dropped_stream_closes_the_connection_at_once() {
    promptly(|| async {
        let upstream = ScriptedUpstream::start().await;
        upstream.queue(CHAT, Reply::sse(["data: 1\n\n"]).then_stall());
        let reply = openai(&connection(&upstream)).chat(question(true)).await.expect("it streams");
        let ChatReply::Stream(mut frames) = reply else { panic!("it streams") };
        frames.next().await.expect("a frame comes").expect("and it is whole");

        drop(frames);

        time_to_notice(&upstream.last_at(CHAT)).await
    })
    .await;
}

#[tokio::test]
async fn a_dropped_call_closes_the_connection_at_once() {
    promptly(|| async {
        let upstream = ScriptedUpstream::start().await;
        upstream.queue(CHAT, Reply::stall());
        let adapter = openai(&connection(&upstream));

        let (left, received) = {
            let mut call = Box::pin(adapter.chat(question(false)));
            let received = tokio::select! {
                _ = &mut call => panic!("nothing answers"),
                received = upstream.wait_for(CHAT) => received,
            };
            (call, received)
        };
        drop(left);

        time_to_notice(&received).await
    })
    .await;
}

#[tokio::test]
async fn an_end_mark_ends_a_stream_that_stays_open() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(CHAT, Reply::sse(["data: 1\n\n", "data: [DONE]\n\n"]).then_stall());
    let reply = openai(&connection(&upstream)).chat(question(true)).await.expect("it streams");

    let frames = timeout(Duration::from_secs(5), frames(reply)).await.expect("it ends");

    assert_eq!(frames.len(), 2);
}

#[tokio::test]
async fn a_finished_stream_gives_its_connection_back() {
    let upstream = ScriptedUpstream::start().await;
    let adapter = openai(&connection(&upstream));

    for _ in 0..5 {
        frames(adapter.chat(question(true)).await.expect("it streams")).await;
    }

    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn the_catalogue_is_the_upstreams_list_or_the_configured_one() {
    let upstream = ScriptedUpstream::with_models(["a", "b"]).await;
    let mut connection = connection(&upstream);

    let asked = openai(&connection).catalog().await.expect("it lists");
    connection.model_ids = vec!["x".into()];
    let configured = openai(&connection).catalog().await.expect("it lists");

    let ids = |entries: Vec<breezeway_registry::CatalogEntry>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.id).collect()
    };
    assert_eq!(ids(asked), ["a", "b"]);
    assert_eq!(ids(configured), ["x"]);
    assert_eq!(upstream.received_at("/v1/models").len(), 1);
}

#[tokio::test]
async fn embeddings_and_other_routes_are_passed_on() {
    let upstream = ScriptedUpstream::start().await;
    let adapter = openai(&connection(&upstream));

    let embedded = adapter.embeddings(object(json!({"model": "m", "input": "x"}))).await.expect("it embeds");
    let reply =
        adapter.relay("responses", object(json!({"model": "m", "input": "x"}))).await.expect("it answers");
    let outside = adapter.relay("../admin", Map::new()).await.err();

    let embedded: Value = serde_json::from_slice(&embedded).unwrap();
    assert_eq!(embedded["data"][0]["index"], 0);
    assert_eq!((reply.status, reply.content_type.as_deref()), (200, Some("application/json")));
    let body: Vec<u8> = reply.body.map(|piece| piece.expect("it is whole").to_vec()).concat().await;
    assert!(String::from_utf8(body).unwrap().contains("scripted response"));
    assert!(matches!(outside, Some(UpstreamError::Malformed(_))));
}
