use std::time::Duration;

use breezeway_core::{Clock, UnixTime};
use breezeway_embedding::{EmbeddingModel, Purpose, conformance};
use breezeway_ollama::{OllamaEmbedder, OllamaUpstream};
use breezeway_registry::{ChatReply, Connection, Upstream, UpstreamError};
use breezeway_testkit::{Reply, ScriptedUpstream, embedding_of};
use breezeway_upstream::{EmbedderConfig, HttpClient};
use breezeway_wire::{ChatRequest, Frame};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::{connection, object, promptly, time_to_notice};

const MODEL: &str = "llama3.2:latest";

fn ollama(connection: &Connection) -> OllamaUpstream {
    let clock = Clock::fixed(UnixTime::from_seconds(77));
    OllamaUpstream::new(connection, HttpClient::default(), clock).expect("the connection can be used")
}

fn question(stream: bool) -> ChatRequest {
    let messages = json!([{"role": "user", "content": "hi there"}]);
    ChatRequest::new(object(json!({"model": MODEL, "messages": messages, "stream": stream, "max_tokens": 5})))
}

async fn frames(reply: ChatReply) -> Vec<Result<Frame, UpstreamError>> {
    match reply {
        ChatReply::Stream(frames) => frames.collect().await,
        ChatReply::Whole(body) => panic!("a stream was expected, not {body:?}"),
    }
}

#[tokio::test]
async fn a_whole_answer_is_a_completion() {
    let upstream = ScriptedUpstream::start().await;

    let reply = ollama(&connection(&upstream, 0)).chat(question(false)).await.expect("it answers");

    let ChatReply::Whole(body) = reply else { panic!("it is whole") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "echo: hi there");
    assert_eq!((&body["created"], &body["object"]), (&json!(77), &json!("chat.completion")));
    assert!(body["id"].as_str().unwrap().starts_with("llama3.2:latest-"));
    let sent = upstream.last_at("/api/chat").json();
    assert_eq!((&sent["stream"], &sent["options"]["num_predict"]), (&json!(false), &json!(5)));
}

#[tokio::test]
async fn another_spelling_of_model_does_not_reach_ollama() {
    let upstream = ScriptedUpstream::start().await;
    let mut asked = question(false);
    asked.as_map_mut().insert("Model".into(), "somebody-elses".into());

    ollama(&connection(&upstream, 0)).chat(asked).await.expect("it answers");

    assert_eq!(upstream.last_at("/api/chat").json().get("Model"), None);
}

#[tokio::test]
async fn a_streamed_answer_is_openais_events() {
    let upstream = ScriptedUpstream::start().await;
    let adapter = ollama(&connection(&upstream, 0));

    for _ in 0..3 {
        let frames = frames(adapter.chat(question(true)).await.expect("it streams")).await;

        let frames: Vec<Frame> = frames.into_iter().map(|frame| frame.expect("it is whole")).collect();
        assert!(frames.last().is_some_and(Frame::is_done));
        let text: String = frames
            .iter()
            .filter_map(|frame| serde_json::from_slice::<Value>(&frame.data).ok())
            .map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(text, "echo: hi there");
    }
    assert_eq!(upstream.connections(), 1, "a finished stream gives its connection back");
}

#[tokio::test]
async fn a_stream_that_ends_too_early_is_broken() {
    let upstream = ScriptedUpstream::start().await;
    let line = json!({"message": {"role": "assistant", "content": "so far"}, "done": false});
    for reply in [
        Reply::ndjson([line.clone()]),
        Reply::ndjson([line.clone(), line.clone()]).cut_after(1),
        Reply::pieces("application/x-ndjson", [format!("{line}\n"), "{\"cut".to_owned()]),
    ] {
        upstream.queue("/api/chat", reply);

        let frames =
            frames(ollama(&connection(&upstream, 0)).chat(question(true)).await.expect("it streams")).await;

        assert!(frames[0].as_ref().is_ok_and(|frame| frame.data.ends_with(b"}")), "{frames:?}");
        assert!(matches!(frames.last(), Some(Err(UpstreamError::Broken(_) | UpstreamError::Malformed(_)))));
    }
}

#[tokio::test]
async fn a_model_may_load_longer_than_a_stream_may_pause() {
    let upstream = ScriptedUpstream::start().await;
    let mut connection = connection(&upstream, 0);
    connection.idle_timeout = Some(Duration::from_millis(100));
    let last = json!({"message": {"role": "assistant", "content": "hi"}, "done": true});
    upstream.queue("/api/chat", Reply::ndjson([last.clone()]).first_after(Duration::from_millis(250)));
    upstream.queue("/api/chat", Reply::ndjson([json!({"done": false})]).then_stall());
    let adapter = ollama(&connection);

    let loaded = frames(adapter.chat(question(true)).await.expect("it streams")).await;
    let paused = frames(adapter.chat(question(true)).await.expect("it streams")).await;

    assert!(loaded.iter().all(Result::is_ok));
    assert!(matches!(paused.last(), Some(Err(UpstreamError::TimedOut(_)))), "{paused:?}");
}

#[tokio::test]
async fn an_error_is_handed_on_as_it_is() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/api/chat", Reply::json(404, &json!({"error": "model 'x' not found"})));

    let error = ollama(&connection(&upstream, 0)).chat(question(true)).await.err().expect("an error");

    let UpstreamError::Answered { status, body, .. } = error else {
        panic!("it answered, and not {error:?}")
    };
    assert_eq!((status, body.as_ref()), (404, br#"{"error":"model 'x' not found"}"#.as_slice()));
}

#[tokio::test]
async fn a_dropped_stream_closes_the_connection_at_once() {
    promptly(|| async {
        let upstream = ScriptedUpstream::start().await;
        let line = json!({"message": {"role": "assistant", "content": "so far"}, "done": false});
        upstream.queue("/api/chat", Reply::ndjson([line]).then_stall());
        let reply = ollama(&connection(&upstream, 0)).chat(question(true)).await.expect("it streams");
        let ChatReply::Stream(mut frames) = reply else { panic!("it streams") };
        frames.next().await.expect("a frame comes").expect("and it is whole");

        drop(frames);

        time_to_notice(&upstream.last_at("/api/chat")).await
    })
    .await;
}

#[tokio::test]
async fn the_catalogue_knows_what_is_loaded_and_lives_without_knowing_it() {
    let upstream = ScriptedUpstream::with_models(["a:1", "b:1"]).await;
    let adapter = ollama(&connection(&upstream, 0));

    let entries = adapter.catalog().await.expect("it lists");
    upstream.queue("/api/ps", Reply::json(404, &json!({"error": "old"})));
    let without = adapter.catalog().await.expect("it lists");

    let told: Vec<_> = entries.iter().map(|entry| (entry.id.as_str(), entry.loaded_until)).collect();
    assert_eq!(told, [("a:1", Some(4_070_908_800)), ("b:1", None)]);
    assert_eq!(without.len(), 2);
    assert_eq!(adapter.version().await.expect("it tells"), "0.12.3");
}

#[tokio::test]
async fn embeddings_are_given_in_openais_shape() {
    let upstream = ScriptedUpstream::start().await;
    let adapter = ollama(&connection(&upstream, 0));

    let body =
        adapter.embeddings(object(json!({"model": MODEL, "input": ["a", "b"]}))).await.expect("it embeds");

    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["object"], &body["model"]), (&json!("list"), &json!(MODEL)));
    assert_eq!(body["data"][1]["embedding"], json!(embedding_of("b")));
}

#[tokio::test]
async fn other_routes_are_asked_under_v1() {
    let upstream = ScriptedUpstream::start().await;
    let adapter = ollama(&connection(&upstream, 0));

    let reply =
        adapter.relay("responses", object(json!({"model": MODEL, "input": "x"}))).await.expect("it answers");

    let body: Vec<u8> = reply.body.map(|piece| piece.expect("it is whole").to_vec()).concat().await;
    assert!(String::from_utf8(body).unwrap().contains("scripted response"));
    assert_eq!(upstream.received_at("/v1/responses").len(), 1);
}

#[tokio::test]
async fn the_embedder_keeps_the_ports_contract() {
    let upstream = ScriptedUpstream::start().await;
    let config = EmbedderConfig::new(upstream.url(), MODEL);
    let embedder = OllamaEmbedder::new(config, HttpClient::default()).expect("the settings can be used");

    conformance::embedding_model(&embedder).await;
    embedder.embed(Purpose::Query, &["one text"]).await.expect("it embeds");

    assert_eq!(upstream.last_at("/api/embed").json(), json!({"model": MODEL, "input": ["one text"]}));
    assert!(embedder.fingerprint().as_str().starts_with("ollama/"));
}
