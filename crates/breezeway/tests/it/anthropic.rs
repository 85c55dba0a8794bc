//! An upstream that speaks Anthropic's dialect, asked in all of them.

use breezeway::parts::registry::{Connection, ConnectionKind};
use breezeway_testkit::{Reply, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{Client, TestServer, connection};

const UPSTREAM: &str = "/v1/messages";
const MODEL: &str = "claude-x";

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

/// Thoughts, text and a call, as events.
fn events() -> Vec<String> {
    let block = |index: u8, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta =
        |index: u8, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u8| json!({"type": "content_block_stop", "index": index});
    let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 1});
    [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": MODEL, "usage": usage}}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        stop(0),
        block(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "I look."})),
        stop(1),
        block(2, json!({"type": "tool_use", "id": "toolu_1", "name": "warmth", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"city\":\"Oslo\"}"})),
        stop(2),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(event)
    .collect()
}

/// The same as a whole message.
fn message() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL,
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "warmth", "input": {"city": "Oslo"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 7},
    })
}

async fn one() -> (TestServer, ScriptedUpstream, Client) {
    let upstream = ScriptedUpstream::start().await;
    let models =
        json!({"data": [{"type": "model", "id": MODEL, "display_name": "Claude X"}], "has_more": false});
    upstream.always("/v1/models", Reply::json(200, &models));
    let server = TestServer::with(|config| {
        let marked =
            Connection { provider: "anthropic".into(), ..connection(ConnectionKind::OpenAi, upstream.url()) };
        config.connections = vec![marked];
    })
    .await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    (server, upstream, ada)
}

async fn used(client: &Client) -> [u64; 3] {
    let report = client.get("/api/v1/usage?group_by=model").await.json();
    let row = &report["rows"][0];
    ["requests", "input_tokens", "output_tokens"].map(|name| row[name].as_u64().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn its_models_are_listed_by_their_names() {
    let (_server, _upstream, ada) = one().await;

    let models = ada.get("/api/models").await.json();

    assert_eq!((&models["data"][0]["id"], &models["data"][0]["name"]), (&json!(MODEL), &json!("Claude X")));
}

#[tokio::test]
async fn a_message_to_it_is_handed_on_as_bytes() {
    let (_server, upstream, ada) = one().await;
    let answer = "{ \"id\":\"msg_1\", \"usage\":{\"input_tokens\":3,\"output_tokens\":2},\"x\":1.0}";
    upstream.always(UPSTREAM, Reply::bytes(200, "application/json", answer));
    let body = r#"{"model":"claude-x","max_tokens":9,"thinking":{"type":"enabled"},"x":1.0,"messages":[]}"#;

    let whole = ada.with_header("anthropic-beta", "one").post(UPSTREAM, body).await;
    upstream.always(UPSTREAM, Reply::sse(events()));
    let asks_for_events = body.replace("\"x\"", "\"stream\":true,\"x\"");
    let streamed = ada.post("/api/v1/messages", asks_for_events.as_str()).await;

    assert_eq!((whole.status, whole.text()), (200, answer.to_owned()));
    assert_eq!(streamed.text(), events().concat());
    let sent = upstream.received_at(UPSTREAM);
    assert_eq!([sent[0].body(), sent[1].body()], [body, asks_for_events.as_str()]);
    assert_eq!([0, 1].map(|at: usize| sent[at].header("anthropic-beta")), [Some("one"), None]);
    assert_eq!(used(&ada).await, [2, 16, 9]);
}

#[tokio::test]
async fn a_message_for_a_custom_model_is_put_together_anew() {
    let (_server, upstream, ada) = one().await;
    let aide = json!({"id": "aide", "base_model_id": MODEL, "name": "Aide", "params": {"system": "Be brief."}, "meta": {}});
    assert_eq!(ada.post("/api/v1/models/create", aide).await.status, 200);
    upstream.always(UPSTREAM, Reply::json(200, &message()));
    let ask = json!({"model": "aide", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});

    let answer = ada.post(UPSTREAM, ask).await;

    let sent = upstream.last_at(UPSTREAM).json();
    assert_eq!(
        (&sent["system"], &sent["model"], &sent["max_tokens"]),
        (&json!("Be brief."), &json!(MODEL), &json!(9))
    );
    let types: Vec<_> =
        answer.json()["content"].as_array().unwrap().iter().map(|block| block["type"].clone()).collect();
    assert_eq!(types, ["thinking", "text", "tool_use"]);
}

#[tokio::test]
async fn it_is_asked_in_openais_dialect() {
    let (_server, upstream, ada) = one().await;
    let mut ask = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});
    upstream.always(UPSTREAM, Reply::json(200, &message()));

    let whole = ada.post("/v1/chat/completions", ask.clone()).await.json();
    upstream.always(UPSTREAM, Reply::sse(events()));
    ask["stream"] = true.into();
    let streamed = ada.post("/v1/chat/completions", ask).await.text();

    let said = &whole["choices"][0]["message"];
    assert_eq!((&said["content"], &said["reasoning_content"]), (&json!("I look."), &json!("Hm.")));
    assert_eq!(said["tool_calls"][0]["function"]["arguments"], r#"{"city":"Oslo"}"#);
    assert_eq!(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 10);
    assert!(streamed.contains(r#""finish_reason":"tool_calls""#) && streamed.ends_with("data: [DONE]\n\n"));
    assert_eq!(used(&ada).await, [2, 26, 14]);
}

#[tokio::test]
async fn it_is_asked_over_responses_and_natively_as_ollama() {
    let (_server, upstream, ada) = one().await;
    upstream.always(UPSTREAM, Reply::json(200, &message()));

    let response = ada.post("/v1/responses", json!({"model": MODEL, "input": "hi"})).await.json();
    let ask = json!({"model": MODEL, "stream": false, "messages": [{"role": "user", "content": "hi"}]});
    let native = ada.post("/ollama/api/chat", ask).await.json();

    let types: Vec<_> =
        response["output"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(types, ["reasoning", "message", "function_call"]);
    assert_eq!(native["message"]["tool_calls"][0]["function"]["arguments"], json!({"city": "Oslo"}));
    // Nothing but messages was asked: it has no other paths.
    assert!(upstream.received().iter().all(|sent| sent.path == UPSTREAM || sent.path == "/v1/models"));
}

#[tokio::test]
async fn its_tokens_are_counted_by_itself_and_embeddings_are_refused() {
    let (_server, upstream, ada) = one().await;
    upstream.always("/v1/messages/count_tokens", Reply::json(200, &json!({"input_tokens": 42})));
    let ask = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]});

    let counted = ada.post("/v1/messages/count_tokens", ask).await;
    let embedded = ada.post("/v1/embeddings", json!({"model": MODEL, "input": "hi"})).await;

    assert_eq!(counted.json(), json!({"input_tokens": 42}));
    assert_eq!(embedded.status, 400, "{}", embedded.summary());
}

#[tokio::test]
async fn its_errors_have_the_shape_of_the_caller() {
    let (_server, upstream, ada) = one().await;
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    upstream.always(UPSTREAM, Reply::json(529, &error));
    let ask = json!({"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});

    let anthropic = ada.post(UPSTREAM, ask.clone()).await;
    let openai = ada.post("/v1/chat/completions", ask.clone()).await;
    let ollama = ada.post("/ollama/api/chat", ask).await;

    assert_eq!((anthropic.status, anthropic.json()), (529, error));
    assert_eq!((openai.status, &openai.json()["error"]["message"]), (529, &json!("Overloaded")));
    assert!(openai.json()["error"]["type"].is_string() && openai.json().get("type").is_none());
    assert_eq!((ollama.status, &ollama.json()["error"]), (529, &json!("Overloaded")));
}
