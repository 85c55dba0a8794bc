//! `/api/v1/messages`: Anthropic's Messages API.

use breezeway_testkit::{Reply, chat_chunk, sse_event};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::TestServer;

const MESSAGES: &str = "/api/v1/messages";
const UPSTREAM: &str = "/v1/chat/completions";

fn ask(model: &str) -> Value {
    json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn a_message_is_a_chat_in_anthropics_words() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let mut question = ask("gpt-small");
    question["system"] = "Be brief.".into();
    question["stop_sequences"] = json!(["END"]);
    question["tools"] = json!([{"name": "f", "description": "d", "input_schema": {"type": "object"}}]);
    question["tool_choice"] = json!({"type": "auto"});

    let answer = ada.post(MESSAGES, question.clone()).await;

    assert_snapshot!(answer.summary(), @r#"
    200 OK
    {
      "id": "chatcmpl-scripted",
      "type": "message",
      "role": "assistant",
      "content": [
        {
          "type": "text",
          "text": "echo: hello"
        }
      ],
      "model": "gpt-small",
      "stop_reason": "end_turn",
      "stop_sequence": null,
      "usage": {
        "input_tokens": 11,
        "output_tokens": 5
      }
    }
    "#);
    assert_snapshot!(format!("{:#}", upstreams.openai.last_at(UPSTREAM).json()), @r#"
    {
      "model": "gpt-small",
      "messages": [
        {
          "role": "system",
          "content": "Be brief."
        },
        {
          "role": "user",
          "content": "hello"
        }
      ],
      "max_tokens": 9,
      "stop": [
        "END"
      ],
      "tools": [
        {
          "type": "function",
          "function": {
            "name": "f",
            "description": "d",
            "parameters": {
              "type": "object"
            }
          }
        }
      ],
      "tool_choice": "auto"
    }
    "#);
    assert_eq!(ada.post("/api/message", question).await.json()["content"], answer.json()["content"]);
}

#[tokio::test]
async fn a_key_may_come_as_anthropics_clients_send_it() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let key = server.sign_up("ada").await.with_api_key().await.token;

    let answer = server.stranger().with_header("x-api-key", &key).post(MESSAGES, ask("gpt-small")).await;

    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn tool_calls_and_reasoning_become_blocks() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let call =
        json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let message =
        json!({"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [call]});
    let completion =
        json!({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
    upstreams.openai.queue(UPSTREAM, Reply::json(200, &completion));

    let answer = ada.post(MESSAGES, ask("gpt-small")).await;

    assert_snapshot!(answer.summary(), @r#"
    200 OK
    {
      "id": "c",
      "type": "message",
      "role": "assistant",
      "content": [
        {
          "type": "thinking",
          "thinking": "hm",
          "signature": ""
        },
        {
          "type": "tool_use",
          "id": "call_1",
          "name": "f",
          "input": {
            "a": 1
          }
        }
      ],
      "model": "gpt-small",
      "stop_reason": "tool_use",
      "stop_sequence": null,
      "usage": {
        "input_tokens": 0,
        "output_tokens": 0
      }
    }
    "#);
}

#[tokio::test]
async fn a_stream_has_anthropics_events() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let chunks = [
        chat_chunk("gpt-small", &json!({"role": "assistant", "content": "He"}), None),
        chat_chunk("gpt-small", &json!({"content": "llo"}), None),
        chat_chunk("gpt-small", &json!({}), Some("length")),
    ];
    let events = chunks.iter().map(sse_event).chain(["data: [DONE]\n\n".to_owned()]);
    upstreams.openai.queue(UPSTREAM, Reply::sse(events));
    let mut question = ask("gpt-small");
    question["stream"] = true.into();

    let answer = ada.post(MESSAGES, question).await;

    assert_snapshot!(answer.summary(), @r#"
    200 OK
    text/event-stream; charset=utf-8
    event: message_start
    data: {"type":"message_start","message":{"id":"[message id]","type":"message","role":"assistant","content":[],"model":"gpt-small","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}}}

    event: content_block_start
    data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"He"}}

    event: content_block_delta
    data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"llo"}}

    event: content_block_stop
    data: {"type":"content_block_stop","index":0}

    event: message_delta
    data: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"input_tokens":0,"output_tokens":0}}

    event: message_stop
    data: {"type":"message_stop"}
    "#);
}

#[tokio::test]
async fn refusals_are_not_in_anthropics_shape() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let error = json!({"error": {"message": "slow down"}});

    assert_snapshot!(ada.post(MESSAGES, ask("nothing")).await.summary(), @r#"
    400 Bad Request
    {"detail":"Model not found"}
    "#);
    assert_snapshot!(server.stranger().post(MESSAGES, ask("gpt-small")).await.summary(), @r#"
    401 Unauthorized
    {"detail":"Not authenticated"}
    "#);
    assert_snapshot!(ada.post(MESSAGES, json!({"model": "gpt-small"})).await.summary(), @r#"
    422 Unprocessable Entity
    {"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]}
    "#);
    upstreams.openai.queue(UPSTREAM, Reply::json(429, &error).header("retry-after", "3"));
    let busy = ada.post(MESSAGES, ask("gpt-small")).await;
    assert_eq!((busy.status, busy.json(), busy.header("retry-after")), (429, error, "3"));
}

#[tokio::test]
async fn tokens_are_counted_by_the_upstream() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let count = "/api/v1/messages/count_tokens";
    let asked = "/v1/messages/count_tokens";

    upstreams.openai.queue(asked, Reply::json(200, &json!({"input_tokens": 7})));
    let counted = ada.post(count, ask("gpt-small")).await;
    assert_eq!((counted.json(), counted.header("x-breezeway-estimated")), (json!({"input_tokens": 7}), ""));
    upstreams.openai.queue(asked, Reply::json(400, &json!({"error": "no messages"})));
    assert_snapshot!(ada.post("/api/message/count_tokens", ask("gpt-small")).await.summary(), @r#"
    400 Bad Request
    {"detail":{"error":"no messages"}}
    "#);
    for body in [json!({}), ask("nothing")] {
        assert_eq!(ada.post(count, body).await.status, 404);
    }
    let used = ada.get("/api/v1/usage?group_by=model").await.json();
    assert_eq!(used["rows"][0]["input_tokens"], 0, "what is counted is not used: {used}");
}

#[tokio::test]
async fn tokens_are_estimated_where_nobody_counts_them() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A".repeat(9_000)}});

    for model in ["gpt-small", "llama3.2"] {
        let counted = ada.post("/v1/messages/count_tokens", ask(model)).await;

        assert_eq!((counted.status, counted.header("x-breezeway-estimated")), (200, "true"), "{model}");
        assert!(counted.json()["input_tokens"].as_u64().unwrap() > 0);
    }
    let body = json!({"model": "llama3.2", "messages": [{"role": "user", "content": [image]}]});
    let counted = ada.post("/v1/messages/count_tokens", body).await.json();
    assert!((700..900).contains(&counted["input_tokens"].as_u64().unwrap()), "{counted}");
}
