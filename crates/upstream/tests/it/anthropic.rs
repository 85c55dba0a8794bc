//! Anthropic's own API as an upstream.

use breezeway_core::{Clock, UnixTime};
use breezeway_registry::{ChatReply, Connection, ConnectionKind, Upstream, UpstreamError};
use breezeway_testkit::{Outcome, Reply, ScriptedUpstream};
use breezeway_upstream::{AnthropicUpstream, HttpClient};
use breezeway_wire::ChatRequest;
use futures_util::StreamExt;
use serde_json::{Map, Value, json};

const MESSAGES: &str = "/v1/messages";

fn adapter(upstream: &ScriptedUpstream, change: impl FnOnce(&mut Connection)) -> AnthropicUpstream {
    let mut connection = Connection::new(ConnectionKind::OpenAi, 0, upstream.url());
    connection.key = Some("sk-ant".into());
    connection.provider = "anthropic".into();
    change(&mut connection);
    let clock = Clock::fixed(UnixTime::from_seconds(1_700_000_000));
    AnthropicUpstream::new(&connection, HttpClient::default(), clock).expect("the connection is fine")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn question(stream: bool) -> ChatRequest {
    let messages = json!([{"role": "user", "content": "hi"}]);
    ChatRequest::try_from(json!({"model": "claude-x", "messages": messages, "stream": stream})).unwrap()
}

fn message() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    })
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn events() -> Vec<String> {
    [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "usage": {"input_tokens": 3}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(event)
    .collect()
}

async fn streamed(adapter: &AnthropicUpstream) -> Vec<Result<String, UpstreamError>> {
    let Ok(ChatReply::Stream(frames)) = adapter.chat(question(true)).await else { panic!("it streams") };
    frames.map(|frame| frame.map(|frame| String::from_utf8(frame.raw.to_vec()).unwrap())).collect().await
}

#[tokio::test]
async fn a_chat_is_asked_as_a_message_with_the_key_in_its_own_header() {
    let upstream = ScriptedUpstream::start().await;
    upstream.always(MESSAGES, Reply::json(200, &message()));

    let Ok(ChatReply::Whole(answer)) = adapter(&upstream, |_| {}).chat(question(false)).await else {
        panic!("it answers whole")
    };

    let sent = upstream.last_at(MESSAGES);
    let names = ["x-api-key", "anthropic-version", "authorization", "content-type"];
    assert_eq!(
        names.map(|name| sent.header(name)),
        [Some("sk-ant"), Some("2023-06-01"), None, Some("application/json")]
    );
    assert_eq!(sent.json()["max_tokens"], 8192);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
    assert_eq!((&answer["created"], &answer["usage"]["total_tokens"]), (&json!(1_700_000_000), &json!(5)));
}

#[tokio::test]
async fn an_address_may_have_the_version_in_it_and_options_are_followed() {
    let upstream = ScriptedUpstream::start().await;
    upstream.always(MESSAGES, Reply::json(200, &message()));
    let adapter = adapter(&upstream, |connection| {
        connection.url = upstream.openai_url();
        connection.other = object(json!({"anthropic_version": "2027-01-01", "max_tokens": 99}));
    });

    adapter.chat(question(false)).await.expect("it answers");

    let sent = upstream.last_at(MESSAGES);
    assert_eq!(
        (sent.header("anthropic-version"), &sent.json()["max_tokens"]),
        (Some("2027-01-01"), &json!(99))
    );
}

#[tokio::test]
async fn its_events_are_frames_and_its_connection_is_used_again() {
    let upstream = ScriptedUpstream::start().await;
    upstream.always(MESSAGES, Reply::sse(events()));
    let adapter = adapter(&upstream, |_| {});

    let first = streamed(&adapter).await;
    let second = streamed(&adapter).await;

    let frames: Vec<_> = first.into_iter().map(Result::unwrap).collect();
    assert_eq!((frames.len(), frames.last().unwrap().as_str()), (4, "data: [DONE]\n\n"));
    assert!(frames[2].contains(r#""finish_reason":"stop""#) && frames[2].contains(r#""total_tokens":5"#));
    assert!(second.iter().all(Result::is_ok));
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn events_that_end_too_early_are_a_broken_answer() {
    let upstream = ScriptedUpstream::start().await;
    let whole = events();
    for ends in 0..whole.len() {
        for cut in [false, true] {
            let reply = Reply::sse(whole[..ends].to_vec());
            upstream.queue(
                MESSAGES,
                if cut {
                    reply.first_after(std::time::Duration::from_millis(5)).cut_after(ends)
                } else {
                    reply
                },
            );

            let frames = streamed(&adapter(&upstream, |_| {})).await;

            assert!(matches!(frames.last(), Some(Err(UpstreamError::Broken(_)))), "{ends} {cut} {frames:?}");
        }
    }
}

#[tokio::test]
async fn its_own_words_are_told_when_it_refuses() {
    let upstream = ScriptedUpstream::start().await;
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    upstream.always(MESSAGES, Reply::json(529, &error).header("retry-after", "3"));

    let refused = adapter(&upstream, |_| {}).chat(question(true)).await.err();

    let Some(UpstreamError::Answered { status, body, retry_after, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((status, retry_after.as_deref()), (529, Some("3")));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), error);
}

#[tokio::test]
async fn what_it_cannot_take_is_refused_without_asking() {
    let upstream = ScriptedUpstream::start().await;
    let sound = json!([{"role": "user", "content": [{"type": "input_audio"}]}]);
    let chat = ChatRequest::try_from(json!({"model": "claude-x", "messages": sound})).unwrap();
    let adapter = adapter(&upstream, |_| {});

    let refused = adapter.chat(chat).await.err();
    let embedded = adapter.embeddings(Map::new()).await.err();

    assert!(matches!(refused, Some(UpstreamError::Answered { status: 400, .. })), "{refused:?}");
    assert!(matches!(embedded, Some(UpstreamError::Unsupported(_))));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn what_is_no_message_is_malformed() {
    let upstream = ScriptedUpstream::start().await;
    let adapter = adapter(&upstream, |_| {});
    for reply in [
        Reply::bytes(200, "text/html", "<html>"),
        Reply::json(200, &json!({"choices": []})),
        Reply::bytes(200, "application/json", "{"),
    ] {
        for stream in [false, true] {
            upstream.queue(MESSAGES, reply.clone());

            let answer = adapter.chat(question(stream)).await.err();

            assert!(matches!(answer, Some(UpstreamError::Malformed(_))), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_message_goes_through_as_it_is() {
    let upstream = ScriptedUpstream::start().await;
    let said = events().concat();
    upstream.always(MESSAGES, Reply::sse([said.clone()]));
    let request = json!({"model": "claude-x", "x": 1.0, "messages": [], "anthropic_beta": ["one", "two"], "stream": true});

    let reply = adapter(&upstream, |_| {}).relay("messages", object(request)).await.expect("it answers");

    let pieces: Vec<_> = reply.body.map(|piece| piece.unwrap().to_vec()).collect().await;
    assert_eq!(String::from_utf8(pieces.concat()).unwrap(), said);
    assert_eq!(reply.content_type.as_deref(), Some("text/event-stream"));
    let sent = upstream.last_at(MESSAGES);
    assert_eq!(sent.header("anthropic-beta"), Some("one,two"));
    assert_eq!(sent.body(), r#"{"model":"claude-x","x":1.0,"messages":[],"stream":true}"#);
}

#[tokio::test]
async fn its_models_are_read_to_the_last_page() {
    let upstream = ScriptedUpstream::start().await;
    let page = |ids: &[&str], more: bool| {
        let data: Vec<Value> = ids.iter().map(|id| json!({"type": "model", "id": id})).collect();
        Reply::json(200, &json!({"data": data, "has_more": more, "last_id": ids.last()}))
    };
    upstream.queue("/v1/models", page(&["a", "b"], true));
    upstream.queue("/v1/models", page(&["c"], false));

    let models = adapter(&upstream, |_| {}).catalog().await.expect("it lists");

    assert_eq!(models.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(upstream.last_at("/v1/models").query.as_deref(), Some("limit=1000&after_id=b"));
}

#[tokio::test]
async fn a_list_without_an_end_is_read_no_further_than_agreed() {
    let upstream = ScriptedUpstream::start().await;
    upstream.always(
        "/v1/models",
        Reply::json(200, &json!({"data": [{"id": "a"}], "has_more": true, "last_id": "a"})),
    );

    adapter(&upstream, |_| {}).catalog().await.expect("it lists");

    assert_eq!(upstream.received().len(), 10);
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_connection() {
    let upstream = ScriptedUpstream::start().await;
    upstream.always(MESSAGES, Reply::sse(events()[..3].to_vec()).then_stall());
    let adapter = adapter(&upstream, |_| {});
    let Ok(ChatReply::Stream(mut frames)) = adapter.chat(question(true)).await else { panic!("it streams") };

    frames.next().await.unwrap().unwrap();
    drop(frames);

    assert_eq!(upstream.last_at(MESSAGES).outcome().await, Outcome::ClientLeft);
}
