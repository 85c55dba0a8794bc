//! `/openai`: the OpenAI-compatible connections as they are.

use breezeway_testkit::Reply;
use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::TestServer,
    models::{overlay, public},
};

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn the_list_is_of_openai_models_for_the_caller() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    overlay(&ada, "zed", json!("gpt-small"), public()).await;

    assert_snapshot!(ada.get("/openai/models").await.summary(), @r#"
    200 OK
    {
      "object": "list",
      "data": [
        {
          "id": "gpt-small",
          "object": "model",
          "created": 1700000000,
          "owned_by": "openai",
          "name": "gpt-small",
          "urlIdx": 0
        },
        {
          "id": "gpt-large",
          "object": "model",
          "created": 1700000000,
          "owned_by": "openai",
          "name": "gpt-large",
          "urlIdx": 0
        }
      ]
    }
    "#);
    assert_snapshot!(ada.get("/openai/models/0").await.summary(), @r#"
    200 OK
    {
      "object": "list",
      "data": [
        {
          "id": "gpt-small",
          "object": "model",
          "created": 1700000000,
          "owned_by": "scripted"
        },
        {
          "id": "gpt-large",
          "object": "model",
          "created": 1700000000,
          "owned_by": "scripted"
        }
      ]
    }
    "#);
    assert_eq!(eve.get("/openai/models").await.json()["data"], json!([]));
    assert_eq!(eve.get("/openai/models/0").await.json()["data"], json!([]));
    assert_snapshot!(ada.get("/openai/models/7").await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.get("/openai/models/x").await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "int_parsing",
          "loc": [
            "path"
          ],
          "msg": "Input should be a valid integer",
          "input": "x"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_chat_goes_on_with_nothing_added() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let path = "/openai/chat/completions";

    let answer = ada.post(path, ask("gpt-small")).await;

    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo: hello");
    assert_eq!(upstreams.openai.last_at("/v1/chat/completions").json(), ask("gpt-small"));
    assert_snapshot!(ada.post(path, ask("nothing")).await.summary(), @r#"
    404 Not Found
    {"detail":"Model 'nothing' was not found"}
    "#);
    assert_snapshot!(ada.post(path, json!({})).await.summary(), @r#"
    404 Not Found
    {"detail":"Model '' was not found"}
    "#);
    assert_snapshot!(ada.post(path, ask("llama3.2:latest")).await.summary(), @r#"
    404 Not Found
    {"detail":"Model 'llama3.2:latest' was not found"}
    "#);
    let error = json!({"error": {"message": "no"}});
    upstreams.openai.queue("/v1/chat/completions", Reply::json(418, &error));
    let failed = ada.post(path, ask("gpt-small")).await;
    assert_eq!((failed.status, failed.json()), (418, error));
}

#[tokio::test]
async fn a_model_without_a_grant_looks_unknown() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    let refusal = eve.post("/openai/chat/completions", ask("gpt-small")).await.summary();

    assert_snapshot!(refusal, @r#"
    404 Not Found
    {"detail":"Model 'gpt-small' was not found"}
    "#);
    assert_eq!(eve.post("/openai/responses", ask("gpt-small")).await.summary(), refusal);
}

#[tokio::test]
async fn responses_are_passed_on_streamed_or_not() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let body = json!({"model": "gpt-small", "input": "hello", "novel": true});

    assert_snapshot!(ada.post("/openai/responses", body.clone()).await.summary(), @r#"
    200 OK
    {
      "id": "resp_scripted",
      "object": "response",
      "model": "gpt-small",
      "status": "completed",
      "output": [
        {
          "type": "message",
          "role": "assistant",
          "content": [
            {
              "type": "output_text",
              "text": "scripted response",
              "annotations": []
            }
          ]
        }
      ],
      "usage": {
        "input_tokens": 3,
        "output_tokens": 2,
        "total_tokens": 5
      }
    }
    "#);
    assert_eq!(upstreams.openai.last_at("/v1/responses").json(), body);
    let events = ["event: a\ndata: {\"x\":  1}\n\n", "event: response.completed\ndata: {}\n\n"];
    upstreams.openai.queue("/v1/responses", Reply::sse(events));
    let mut asks_for_events = body;
    asks_for_events["stream"] = true.into();
    let streamed = ada.post("/openai/responses", asks_for_events).await;
    assert_eq!(streamed.text(), events.concat());
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    assert_snapshot!(ada.post("/openai/responses", json!({})).await.summary(), @r#"
    404 Not Found
    {"detail":"Model '' was not found"}
    "#);
}

#[tokio::test]
async fn other_paths_are_closed_until_they_are_opened() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    let refusal = ada.get("/openai/fine_tuning/jobs").await.summary();

    assert_snapshot!(refusal, @r#"
    403 Forbidden
    {"detail":"Direct API passthrough is disabled. Set ENABLE_OPENAI_API_PASSTHROUGH=True to enable."}
    "#);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = ada.send(method, "/openai/fine_tuning/jobs", Default::default()).await;
        assert_eq!(answer.summary(), refusal);
    }
}

#[tokio::test]
async fn opened_paths_lead_to_the_models_connection_and_nowhere_else() {
    let (server, upstreams) =
        TestServer::with_upstreams_and(|config| config.api.openai_passthrough = true).await;
    let ada = server.sign_up("ada").await;
    upstreams.openai.queue("/v1/audio/speech", Reply::bytes(200, "audio/mpeg", "sound"));

    let answer = ada.post("/openai/audio/speech", json!({"model": "gpt-small", "input": "x"})).await;

    assert_eq!((answer.header("content-type"), answer.text().as_str()), ("audio/mpeg", "sound"));
    for path in ["/openai/a/../b", "/openai/a//b", "/openai/%2e%2e/b", "/openai/a%3fb"] {
        assert_eq!(ada.post(path, json!({"model": "gpt-small"})).await.status, 404, "{path}");
    }
    assert_snapshot!(ada.get("/openai/fine_tuning/jobs").await.summary(), @r#"
    405 Method Not Allowed
    {"detail":"Only POST requests that name a model are passed on."}
    "#);
}
