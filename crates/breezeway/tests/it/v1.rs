//! `/v1`: where clients of OpenAI and Anthropic look for things.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use breezeway_testkit::{Reply, chat_chunk, sse_event};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::TestServer,
    models::{overlay, public},
};

/// The name of the harness's embedding model, which runs in this process.
const OWN: &str = "hashed-64";

fn ask(model: &str) -> Value {
    json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]})
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn models_are_listed_in_openais_shape() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    overlay(&ada, "org/zed", json!("gpt-small"), public()).await;

    let list = ada.get("/v1/models").await.json();

    assert_eq!(list["object"], "list");
    assert_eq!(ids(&list), ["gpt-small", "gpt-large", "llama3.2:latest", "org/zed", OWN]);
    assert_snapshot!(list["data"][0], @r#"{"id":"gpt-small","object":"model","created":1700000000,"owned_by":"scripted","name":"gpt-small"}"#);
    assert_eq!(ada.get("/v1/models/org/zed").await.json()["owned_by"], "breezeway");
    assert_eq!(ada.get("/v1/models/llama3.2").await.json()["id"], "llama3.2:latest");
    assert_eq!(ada.get(&format!("/v1/models/{OWN}")).await.json()["id"], OWN);
    assert_eq!(ids(&eve.get("/v1/models").await.json()), [OWN]);
    assert_snapshot!(eve.get("/v1/models/gpt-small").await.summary(), @r#"
    404 Not Found
    {
      "error": {
        "message": "Model not found",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found"
      },
      "detail": "Model not found"
    }
    "#);
}

#[tokio::test]
async fn a_chat_is_answered_as_on_the_older_route() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    for model in ["gpt-small", "llama3.2"] {
        let answer = ada.post("/v1/chat/completions", ask(model)).await.json();

        assert_eq!(answer["choices"][0]["message"]["content"], "echo: hello", "{model}");
    }
}

#[tokio::test]
async fn a_failure_has_the_shape_of_its_dialect() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let (chat, messages) = ("/v1/chat/completions", "/v1/messages");

    assert_snapshot!(server.stranger().post(chat, ask("gpt-small")).await.summary(), @r#"
    401 Unauthorized
    {
      "error": {
        "message": "Not authenticated",
        "type": "authentication_error",
        "param": null,
        "code": "invalid_api_key"
      },
      "detail": "Not authenticated"
    }
    "#);
    assert_snapshot!(server.stranger().post(messages, ask("gpt-small")).await.summary(), @r#"
    401 Unauthorized
    {
      "type": "error",
      "error": {
        "type": "authentication_error",
        "message": "Not authenticated"
      },
      "detail": "Not authenticated"
    }
    "#);
    assert_snapshot!(ada.post(messages, ask("nothing")).await.summary(), @r#"
    404 Not Found
    {
      "type": "error",
      "error": {
        "type": "not_found_error",
        "message": "Model not found"
      },
      "detail": "Model not found"
    }
    "#);
    assert_snapshot!(ada.post(messages, json!({"model": "gpt-small"})).await.summary(), @r#"
    400 Bad Request
    {
      "type": "error",
      "error": {
        "type": "invalid_request_error",
        "message": "`messages`: Field required"
      },
      "detail": [
        {
          "type": "missing",
          "loc": [
            "body",
            "messages"
          ],
          "msg": "Field required",
          "input": {}
        }
      ]
    }
    "#);
    // What an upstream says in the dialect is the answer.
    let busy = json!({"error": {"message": "slow down", "type": "x", "param": null, "code": "y"}});
    upstreams.openai.queue(chat, Reply::json(429, &busy).header("retry-after", "3"));
    let answer = ada.post(chat, ask("gpt-small")).await;
    assert_eq!((answer.status, answer.json(), answer.header("retry-after")), (429, busy.clone(), "3"));
    upstreams.openai.queue(chat, Reply::json(429, &busy).header("retry-after", "3"));
    let answer = ada.post(messages, ask("gpt-small")).await;
    assert_eq!(
        answer.json(),
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})
    );
    assert_eq!((answer.status, answer.header("retry-after")), (429, "3"));
}

#[tokio::test]
async fn a_completion_is_the_upstreams_own_where_it_has_them() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let own = json!({"object": "text_completion", "choices": [{"text": " upon a time", "x": 1.50}]});
    upstreams.openai.queue("/v1/completions", Reply::json(200, &own));
    let body = json!({"model": "gpt-small", "prompt": [1, 2], "suffix": "end"});

    let answer = ada.post("/v1/completions", body.clone()).await;

    assert_eq!(answer.text(), own.to_string());
    assert_eq!(upstreams.openai.last_at("/v1/completions").json(), body);
}

#[tokio::test]
async fn a_completion_is_a_chat_where_the_upstream_only_chats() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let body = json!({"model": "gpt-small", "prompt": "hello", "echo": true});

    let first = ada.post("/v1/completions", body.clone()).await.json();
    let second = ada.post("/v1/completions", body).await.json();

    assert_eq!(first["object"], "text_completion");
    assert_eq!(first["choices"][0]["text"], "helloecho: hello");
    assert_eq!(second["choices"], first["choices"]);
    assert_eq!(
        upstreams.openai.received_at("/v1/completions").len(),
        1,
        "a path that is missing is not asked for again"
    );

    let body = json!({"model": "llama3.2", "prompt": "hello"});
    assert_eq!(ada.post("/v1/completions", body).await.json()["choices"][0]["text"], "echo: hello");
    let two = json!({"model": "llama3.2", "prompt": ["a", "b"]});
    assert_snapshot!(ada.post("/v1/completions", two).await.json()["error"]["message"], @r#""`prompt`: field `prompt` must be one text for this model, not several""#);
}

#[tokio::test]
async fn a_streamed_completion_has_texts() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let chunks = [
        chat_chunk("gpt-small", &json!({"role": "assistant", "content": "He"}), None),
        chat_chunk("gpt-small", &json!({}), Some("length")),
    ];
    let events = chunks.iter().map(sse_event).chain(["data: [DONE]\n\n".to_owned()]);
    upstreams.openai.queue("/v1/chat/completions", Reply::sse(events));

    let answer =
        ada.post("/v1/completions", json!({"model": "gpt-small", "prompt": "x", "stream": true})).await;

    assert_snapshot!(answer.summary(), @r#"
    200 OK
    text/event-stream; charset=utf-8
    data: {"id":"chatcmpl-scripted","object":"text_completion","created":1700000000,"model":"gpt-small","choices":[{"text":"He","index":0,"finish_reason":null,"logprobs":null}]}

    data: {"id":"chatcmpl-scripted","object":"text_completion","created":1700000000,"model":"gpt-small","choices":[{"text":"","index":0,"finish_reason":"length","logprobs":null}]}

    data: [DONE]
    "#);
}

#[tokio::test]
async fn texts_are_embedded_here_too() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let path = "/v1/embeddings";

    let answer = eve.post(path, json!({"model": OWN, "input": ["one two", "three"]})).await;
    let base64 = json!({"model": OWN, "input": "three", "encoding_format": "base64", "dimensions": 64});
    let written = eve.post("/api/embeddings", base64).await.json();

    assert_eq!((answer.status, answer.header("x-breezeway-estimated")), (200, "true"));
    let answer = answer.json();
    assert_eq!(answer["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
    let numbers: Vec<f64> = serde_json::from_value(answer["data"][1]["embedding"].clone()).unwrap();
    assert_eq!(numbers.len(), 64);
    let first = (numbers[0] as f32).to_le_bytes();
    let bytes = STANDARD.decode(written["data"][0]["embedding"].as_str().unwrap()).unwrap();
    assert_eq!((bytes.len(), &bytes[..4]), (256, &first[..]));
    let usage = eve.get("/api/v1/usage?group_by=model").await.json();
    assert_eq!(usage["rows"][0]["model"], OWN);
    assert_eq!(usage["rows"][0]["requests"], 2);
}

#[tokio::test]
async fn what_the_own_model_cannot_do_is_refused() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let ask = |more: Value| {
        let mut body = json!({"model": OWN, "input": "a"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };

    for (more, message) in [
        (json!({"input": [1, 2]}), "`input`: this model takes texts, not tokens"),
        (json!({"input": [[1, 2]]}), "`input`: this model takes texts, not tokens"),
        (json!({"input": []}), "`input`: must not be empty"),
        (json!({"input": vec!["a"; 2049]}), "`input`: has more than 2048 texts"),
        (json!({"input": null}), "`input`: Field required"),
        (json!({"dimensions": 32}), "`dimensions`: vectors of this model cannot be shortened"),
        (json!({"encoding_format": "hex"}), "`encoding_format`: must be `float` or `base64`"),
    ] {
        let answer = ada.post("/v1/embeddings", ask(more)).await;

        assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (400, Some(message)));
    }
}

#[tokio::test]
async fn tokens_and_dimensions_reach_an_upstream_as_they_are() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let body =
        json!({"model": "gpt-small", "input": [[1, 2], [3]], "dimensions": 8, "encoding_format": "base64"});
    let own = json!({"data": [{"embedding": "AACAPw==", "index": 0}], "x": 1});
    upstreams.openai.queue("/v1/embeddings", Reply::json(200, &own));

    let answer = ada.post("/v1/embeddings", body.clone()).await;

    assert_eq!(answer.json(), own);
    assert_eq!(upstreams.openai.last_at("/v1/embeddings").json(), body);
}

#[tokio::test]
async fn a_key_for_certain_models_embeds_with_those_alone() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let form = json!({"name": "narrow", "allowed_models": ["gpt-small"]});
    let made = ada.post("/api/v1/auths/api_keys", form).await.json();
    let program = ada.with_token(made["api_key"].as_str().unwrap());

    assert_eq!(ids(&program.get("/v1/models").await.json()), ["gpt-small"]);
    assert_eq!(program.post("/v1/embeddings", json!({"model": OWN, "input": "a"})).await.status, 404);
}
