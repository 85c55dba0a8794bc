//! `/api/chat/completions`: what the upstream gets, and what comes back.

use breezeway_testkit::{Reply, chat_chunk, sse_event};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::TestServer,
    models::{overlay, public},
};

const CHAT: &str = "/api/chat/completions";
const UPSTREAM: &str = "/v1/chat/completions";

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}]})
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_whole_answer_is_the_upstreams_own() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    let answer = ada.post(CHAT, ask("gpt-small")).await;

    assert_snapshot!(answer.summary(), @r#"
    200 OK
    {
      "id": "chatcmpl-scripted",
      "object": "chat.completion",
      "created": 1700000000,
      "model": "gpt-small",
      "choices": [
        {
          "index": 0,
          "message": {
            "role": "assistant",
            "content": "echo: hello"
          },
          "finish_reason": "stop"
        }
      ],
      "usage": {
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "total_tokens": 16
      }
    }
    "#);
    let received = upstreams.openai.last_at(UPSTREAM);
    assert_eq!(received.json(), ask("gpt-small"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(ada.post("/api/v1/chat/completions", ask("gpt-small")).await.body, answer.body);
}

#[tokio::test]
async fn fields_of_open_webui_stay_here_and_unknown_ones_go_on() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let ours = json!({
        "files": [], "chat_id": "local:1", "id": "1", "session_id": "1", "parent_id": null, "message_ids": {},
        "user_message": {}, "tool_ids": [], "tool_servers": [], "features": {}, "variables": {},
        "chat_variables": {}, "params": {}, "metadata": {}, "background_tasks": {}, "model_item": {},
        "filter_ids": [], "folder_id": null, "automation_id": null,
    });

    ada.post(CHAT, with(with(ask("gpt-small"), ours), json!({"temperature": 0.5, "novel": [1]}))).await;

    let received = upstreams.openai.last_at(UPSTREAM).json();
    assert_eq!(received, with(ask("gpt-small"), json!({"temperature": 0.5, "novel": [1]})));
}

#[tokio::test]
async fn a_streamed_answer_is_byte_for_byte_the_upstreams() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let odd = "data: {\"odd\":  1,\"choices\":[]}\n\n";
    let last = sse_event(&chat_chunk("gpt-small", &json!({"content": "x"}), Some("stop")));
    let events = [odd.to_owned(), last, "data: [DONE]\n\n".to_owned()];
    upstreams.openai.queue(UPSTREAM, Reply::sse(events.clone()));

    let answer = ada.post(CHAT, with(ask("gpt-small"), json!({"stream": true}))).await;

    assert_eq!(answer.text(), events.concat());
    assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(upstreams.openai.last_at(UPSTREAM).json()["stream_options"], Value::Null);
}

#[tokio::test]
async fn an_ollama_model_answers_in_the_same_shape() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    let mut answer =
        ada.post(CHAT, with(ask("llama3.2"), json!({"temperature": 0.3, "max_tokens": 9}))).await;

    let sent = upstreams.ollama.last_at("/api/chat").json();
    assert_eq!(sent["options"], json!({"temperature": 0.3, "num_predict": 9}));
    assert_eq!((&sent["model"], &sent["stream"]), (&json!("llama3.2:latest"), &json!(false)));
    let mut body = answer.json();
    assert!(body["id"].as_str().unwrap().starts_with("llama3.2:latest-"), "{body}");
    body["usage"] = body["usage"]["total_tokens"].clone();
    answer.body = body.to_string().into();
    assert_snapshot!(answer.summary(), @r#"
    200 OK
    {
      "id": "llama3.2:latest-[id]",
      "created": 1800000001,
      "model": "llama3.2:latest",
      "choices": [
        {
          "index": 0,
          "logprobs": null,
          "finish_reason": "stop",
          "message": {
            "role": "assistant",
            "content": "echo: hello"
          }
        }
      ],
      "object": "chat.completion",
      "usage": 16
    }
    "#);
}

#[tokio::test]
async fn an_ollama_model_streams_openais_chunks() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    let answer = ada.post(CHAT, with(ask("llama3.2:latest"), json!({"stream": true}))).await;

    let text = answer.text();
    let events: Vec<&str> =
        text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
    let content: String =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, "echo: hello");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["usage"]["total_tokens"], 16);
    assert!(chunks.iter().all(|chunk| chunk["id"].as_str().unwrap().starts_with("chatcmpl-")));
}

#[tokio::test]
async fn a_custom_model_brings_its_system_prompt_and_defaults() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "zed", json!("gpt-small"), json!([])).await;

    let answer = ada.post(CHAT, ask("zed")).await;

    assert_eq!(answer.json()["model"], "gpt-small");
    let sent = upstreams.openai.last_at(UPSTREAM).json();
    assert_eq!(sent["model"], "gpt-small");
    assert_eq!(sent["messages"][0], json!({"role": "system", "content": "You are Zed."}));
}

#[tokio::test]
async fn a_model_that_is_not_there_and_one_that_is_not_yours_look_alike() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    overlay(&ada, "zed", json!("gpt-small"), public()).await;

    let foreign = eve.post(CHAT, ask("gpt-small")).await;

    assert_snapshot!(foreign.summary(), @r#"
    400 Bad Request
    {"detail":"Model not found"}
    "#);
    // Also a custom model whose base is not for the caller, and a name that is none.
    for body in [ask("nothing"), ask("zed"), json!({"messages": []}), json!({"model": 7, "messages": []})] {
        assert_eq!(eve.post(CHAT, body).await.summary(), foreign.summary());
    }
    assert!(upstreams.openai.received_at(UPSTREAM).is_empty());
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_with_a_list_of_faults() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    assert_snapshot!(ada.post(CHAT, ()).await.summary(), @r#"
    422 Unprocessable Entity
    {"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}
    "#);
    assert_snapshot!(ada.post(CHAT, "null").await.summary(), @r#"
    422 Unprocessable Entity
    {"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}
    "#);
    assert_snapshot!(ada.post(CHAT, "[1]").await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "dict_type",
          "loc": [
            "body"
          ],
          "msg": "Input should be a valid dictionary",
          "input": []
        }
      ]
    }
    "#);
    assert_snapshot!(ada.post(CHAT, "{nope").await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "json_invalid",
          "loc": [
            "body",
            2
          ],
          "msg": "JSON decode error",
          "input": {},
          "ctx": {
            "error": "key must be a string at line 1 column 2"
          }
        }
      ]
    }
    "#);
    assert_snapshot!(ada.post(CHAT, &*"[".repeat(1000)).await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "json_invalid",
          "loc": [
            "body",
            128
          ],
          "msg": "JSON decode error",
          "input": {},
          "ctx": {
            "error": "recursion limit exceeded at line 1 column 128"
          }
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn messages_are_passed_on_unless_they_are_no_list() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    assert_eq!(ada.post(CHAT, json!({"model": "gpt-small"})).await.status, 200);
    assert_eq!(upstreams.openai.last_at(UPSTREAM).json(), json!({"model": "gpt-small"}));
    assert_eq!(ada.post(CHAT, json!({"model": "gpt-small", "messages": []})).await.status, 200);
    assert_snapshot!(ada.post(CHAT, json!({"model": "gpt-small", "messages": "hi"})).await.summary(), @r#"
    400 Bad Request
    {"detail":"`messages` must be a list, not a str."}
    "#);
}

#[tokio::test]
async fn an_upstreams_error_is_the_answer() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let error = json!({"error": {"message": "slow down", "type": "rate_limit"}});

    for stream in [false, true] {
        upstreams.openai.queue(UPSTREAM, Reply::json(429, &error).header("retry-after", "7"));
        let answer = ada.post(CHAT, with(ask("gpt-small"), json!({"stream": stream}))).await;
        assert_eq!(answer.json(), error);
        assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
        assert!(answer.is_json());
    }

    upstreams.openai.queue(UPSTREAM, Reply::bytes(502, "text/plain", "bad gateway"));
    assert_snapshot!(ada.post(CHAT, ask("gpt-small")).await.summary(), @r#"
    502 Bad Gateway
    text/plain; charset=utf-8
    bad gateway
    "#);
    upstreams.ollama.queue("/api/chat", Reply::json(500, &json!({"error": "out of memory"})));
    assert_snapshot!(ada.post(CHAT, ask("llama3.2:latest")).await.summary(), @r#"
    500 Internal Server Error
    {"detail":"out of memory","error":"out of memory"}
    "#);
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_an_error_and_never_an_answer() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    upstreams.openai.queue(UPSTREAM, Reply::cut());
    let whole = ada.post(CHAT, ask("gpt-small")).await;
    let events = [sse_event(&chat_chunk("gpt-small", &json!({"content": "x"}), None)), "unsent".to_owned()];
    upstreams.openai.queue(UPSTREAM, Reply::sse(events.clone()).cut_after(1));
    let streamed = ada.post(CHAT, with(ask("gpt-small"), json!({"stream": true}))).await;

    assert_eq!(whole.status, 502, "{}", whole.summary());
    assert!(whole.json()["detail"].is_string());
    assert_eq!(streamed.status, 200);
    let text = streamed.text();
    let rest = text.strip_prefix(&events[0]).unwrap();
    assert!(rest.contains("\"error\""), "{rest}");
}

#[tokio::test]
async fn a_chat_that_is_kept_nowhere_is_not_found() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    assert_snapshot!(ada.post(CHAT, with(ask("gpt-small"), json!({"chat_id": "1"}))).await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_eq!(ada.post(CHAT, with(ask("gpt-small"), json!({"chat_id": "local:1"}))).await.status, 200);
}

#[tokio::test]
async fn what_is_completed_comes_back_and_no_task_is_left() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let body = json!({"model": "gpt-small", "messages": [], "chat_id": "1"});

    assert_eq!(ada.post("/api/chat/completed", body.clone()).await.json(), body);
    assert_snapshot!(ada.get("/api/tasks").await.summary(), @r#"
    200 OK
    {"tasks":[]}
    "#);
    assert_snapshot!(ada.post("/api/tasks/stop/1", ()).await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
}

#[tokio::test]
async fn neither_a_slash_nor_another_prefix_finds_the_route() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    assert_snapshot!(ada.post("/api/chat/completions/", ask("m")).await.summary(), @r#"
    404 Not Found
    {"detail":"There is no `/api/chat/completions/` here."}
    "#);
    assert_snapshot!(ada.post("/v2/chat/completions", ask("m")).await.summary(), @r#"
    404 Not Found
    {"detail":"There is no `/v2/chat/completions` here."}
    "#);
    let wrong = ada.get(CHAT).await;
    assert_snapshot!(wrong.summary(), @r#"
    405 Method Not Allowed
    {"detail":"Method Not Allowed"}
    "#);
    assert_eq!(wrong.header("allow"), "POST");
}
