//! `/ollama`: the lists and refusals of the passthrough, behind accounts.

use breezeway::parts::registry::ConnectionKind;
use breezeway_testkit::{Reply, ScriptedUpstream, chat_chunk, sse_event};
use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::{TestServer, connection},
    models::{overlay, public},
};

#[tokio::test]
async fn the_merged_list_says_where_each_model_is() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    let tags = ada.get("/ollama/api/tags").await.json();
    assert_snapshot!(format!("{:#}", tags["models"][0]), @r#"
    {
      "name": "llama3.2:latest",
      "model": "llama3.2:latest",
      "modified_at": "2025-01-01T00:00:00Z",
      "size": 1024,
      "digest": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
      "details": {
        "format": "gguf",
        "family": "llama",
        "parameter_size": "1B",
        "quantization_level": "Q4_0"
      },
      "connection_type": "local",
      "urls": [
        0
      ],
      "expires_at": 4070908800
    }
    "#);
    // Those of other upstreams come after Ollama's own, in its words as far as there are any.
    assert_snapshot!(format!("{:#}", tags["models"][1]), @r#"
    {
      "name": "gpt-small",
      "model": "gpt-small",
      "modified_at": "2023-11-14T22:13:20Z",
      "size": 0,
      "digest": "9c7750edcee022319c7750edcee022319c7750edcee022319c7750edcee02231",
      "details": {
        "parent_model": "",
        "format": "",
        "family": "",
        "families": [],
        "parameter_size": "",
        "quantization_level": ""
      },
      "connection_type": "external"
    }
    "#);
    assert_eq!(tags["models"].as_array().unwrap().len(), 3);
    assert_eq!(eve.get("/ollama/api/tags").await.json(), json!({"models": []}));
    assert_eq!(eve.get("/ollama/api/tags/0").await.json(), json!({"models": []}));
    overlay(&ada, "llama3.2:latest", Value::Null, public()).await;
    assert_eq!(eve.get("/ollama/api/tags").await.json()["models"].as_array().unwrap().len(), 1);
    let models = ada.get("/ollama/v1/models").await.json();
    assert_eq!(
        models["data"][0],
        json!({"id": "llama3.2:latest", "object": "model", "created": 1_800_000_002, "owned_by": "openai"})
    );
    assert_eq!((&models["object"], &models["data"][2]["id"]), (&json!("list"), &json!("gpt-large")));
    assert_snapshot!(ada.get("/ollama/api/version").await.summary(), @r#"
    200 OK
    {"version":"0.12.3"}
    "#);
    assert_eq!(ada.get("/ollama/api/ps").await.json()["models"][0]["urls"], json!([0]));
    assert_eq!(ada.get("/ollama/api/tags/7").await.status, 404);
}

#[tokio::test]
async fn it_says_that_it_is_there_to_everybody() {
    let server = TestServer::start().await;

    assert_snapshot!(server.stranger().get("/ollama/").await.summary(), @r#"
    200 OK
    {"status":true}
    "#);
    let head = server.stranger().send(Method::HEAD, "/ollama/", Default::default()).await;
    assert_eq!(head.status, 200);
}

#[tokio::test]
async fn a_short_name_finds_latest_and_the_answer_is_byte_for_byte() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let lines = [json!({"response": "a", "done": false}), json!({"done": true})];
    upstreams.ollama.queue("/api/generate", Reply::ndjson(lines.clone()));

    let answer = ada.post("/ollama/api/generate", json!({"model": "llama3.2", "prompt": "x"})).await;

    assert_eq!(answer.text(), format!("{}\n{}\n", lines[0], lines[1]));
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert_eq!(upstreams.ollama.last_at("/api/generate").json()["model"], "llama3.2:latest");
}

#[tokio::test]
async fn every_refusal_has_a_detail() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let body = |model: &str| json!({"model": model, "prompt": "x", "stream": false});
    let path = "/ollama/api/generate";

    assert_snapshot!(server.stranger().post(path, body("llama3.2")).await.summary(), @r#"
    401 Unauthorized
    {"detail":"Not authenticated"}
    "#);
    assert_snapshot!(server.pending("bob").await.post(path, body("llama3.2")).await.summary(), @r#"
    401 Unauthorized
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
    assert_snapshot!(eve.post(path, body("llama3.2")).await.summary(), @r#"
    400 Bad Request
    {"detail":"Model 'llama3.2' was not found"}
    "#);
    assert_snapshot!(eve.post("/ollama/api/pull", body("llama3.2")).await.summary(), @r#"
    401 Unauthorized
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
    assert_snapshot!(ada.post(path, body("nothing")).await.summary(), @r#"
    400 Bad Request
    {"detail":"Model 'nothing' was not found"}
    "#);
    assert_snapshot!(ada.post(path, json!({})).await.summary(), @r#"
    422 Unprocessable Entity
    {"detail":[{"type":"missing","loc":["body","model"],"msg":"Field required","input":{}}]}
    "#);
    assert_snapshot!(ada.post(path, "nonsense").await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "json_invalid",
          "loc": [
            "body",
            1
          ],
          "msg": "JSON decode error",
          "input": {},
          "ctx": {
            "error": "expected ident at line 1 column 2"
          }
        }
      ]
    }
    "#);
    upstreams.ollama.queue("/api/generate", Reply::json(500, &json!({"error": "out of memory"})));
    assert_snapshot!(ada.post(path, body("llama3.2")).await.summary(), @r#"
    500 Internal Server Error
    {"error":"out of memory","detail":"out of memory"}
    "#);
    upstreams.ollama.queue("/api/generate", Reply::bytes(502, "text/html", "<html>"));
    assert_snapshot!(ada.post(path, body("llama3.2")).await.summary(), @r#"
    502 Bad Gateway
    {"detail":"Open WebUI: Server Connection Error","error":"Open WebUI: Server Connection Error"}
    "#);
    assert_snapshot!(ada.post("/ollama/api/nothing", body("llama3.2")).await.summary(), @r#"
    404 Not Found
    {"detail":"Not Found"}
    "#);
}

#[tokio::test]
async fn a_bad_credential_is_refused_with_its_reason() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let program = ada.with_api_key().await;
    ada.post("/api/v1/auths/admin/config", json!({"ENABLE_API_KEYS": false})).await;
    let path = "/ollama/api/tags";

    assert_snapshot!(program.get(path).await.summary(), @r#"
    403 Forbidden
    {"detail":"Use of API key is not enabled in the environment."}
    "#);
    assert_snapshot!(server.stranger().with_token("nonsense").get(path).await.summary(), @r#"
    401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
    assert_eq!(ada.get(path).await.status, 200);
}

#[tokio::test]
async fn without_a_connection_it_is_switched_off() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    assert_snapshot!(ada.get("/ollama/api/tags").await.summary(), @r#"
    503 Service Unavailable
    {"detail":"The Ollama API is disabled. Please enable it to use this feature."}
    "#);
}

#[tokio::test]
async fn an_admin_manages_models() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    let copied = ada.post("/ollama/api/copy", json!({"source": "llama3.2", "destination": "other"})).await;
    let body = json!({"model": "llama3.2"}).to_string();
    let deleted = ada.send(Method::DELETE, "/ollama/api/delete", body.into()).await;
    let unloaded = ada.post("/ollama/api/unload", json!({"model": "llama3.2"})).await;

    assert_eq!([copied.text(), deleted.text(), unloaded.text()], ["true", "true", "true"]);
    assert_eq!(ada.post("/ollama/api/show", json!({"name": "llama3.2"})).await.status, 200);
}

#[tokio::test]
async fn a_model_of_another_upstream_answers_a_chat_in_lines() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let path = "/v1/chat/completions";
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}});
    let chunks = [
        chat_chunk("gpt-small", &json!({"role": "assistant", "content": "He"}), None),
        chat_chunk("gpt-small", &json!({"content": "llo"}), Some("length")),
        usage,
    ];
    let events = chunks.iter().map(sse_event).chain(["data: [DONE]\n\n".to_owned()]);
    upstreams.openai.queue(path, Reply::sse(events));
    let mut body = json!({"model": "gpt-small", "messages": [{"role": "user", "content": "hi"}]});
    body["options"] = json!({"temperature": 0.5, "num_ctx": 8192});
    body["keep_alive"] = "5m".into();

    let streamed = ada.post("/ollama/api/chat", body.clone()).await;
    body["stream"] = false.into();
    let whole = ada.post("/ollama/api/chat", body).await;

    assert_eq!(streamed.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = streamed.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["message"], json!({"role": "assistant", "content": "He"}));
    assert_eq!(lines[0]["created_at"], "2027-01-15T08:00:01Z");
    let last = lines.last().unwrap();
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("length")));
    assert_eq!((&last["prompt_eval_count"], &last["eval_count"]), (&json!(9), &json!(2)));
    let [first, second] = &upstreams.openai.received_at(path)[..] else { panic!("two chats") };
    assert_eq!(
        first.json(),
        json!({"model": "gpt-small", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5,
            "stream": true, "stream_options": {"include_usage": true}})
    );
    assert_eq!(second.json()["stream"], false);
    assert_eq!(whole.json()["message"]["content"], "echo: hi");
    assert!(whole.is_json());
    let used = ada.get("/api/v1/usage?group_by=model").await.json();
    assert_eq!((&used["rows"][0]["model"], &used["rows"][0]["requests"]), (&json!("gpt-small"), &json!(2)));
}

#[tokio::test]
async fn a_model_of_another_upstream_does_what_ollamas_do() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let ask = async |path: &str, more: Value| {
        let mut body = json!({"model": "gpt-small", "stream": false});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = ada.post(&format!("/ollama{path}"), body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };

    let generated = ask("/api/generate", json!({"prompt": "hi"})).await;
    let loaded = ask("/api/generate", json!({})).await;
    let embedded = ask("/api/embed", json!({"input": ["a", "b"]})).await;
    let one = ask("/api/embeddings", json!({"prompt": "a"})).await;
    let shown = ask("/api/show", json!({})).await;
    let chat = ask("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "hi"}]})).await;
    let text = ask("/v1/completions", json!({"prompt": "hi"})).await;
    let message = ask("/v1/messages", json!({"messages": [{"role": "user", "content": "hi"}]})).await;

    assert_eq!(generated["response"], "echo: hi");
    assert_eq!((&loaded["done_reason"], &loaded["response"]), (&json!("load"), &json!("")));
    assert_eq!(embedded["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!(one["embedding"], embedded["embeddings"][0]);
    assert_eq!(shown["capabilities"], json!(["completion", "tools"]));
    assert_eq!(chat["choices"][0]["message"]["content"], "echo: hi");
    assert_eq!(text["choices"][0]["text"], "echo: hi");
    assert_eq!(message["content"][0]["text"], "echo: hi");
    let own = ada.post("/ollama/api/embed", json!({"model": "hashed-64", "input": "a"})).await.json();
    assert_eq!(own["embeddings"][0].as_array().unwrap().len(), 64);
}

#[tokio::test]
async fn a_failure_of_another_upstream_is_told_as_ollama_tells_it() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let body = json!({"model": "gpt-small", "messages": [{"role": "user", "content": "hi"}]});
    let busy = json!({"error": {"message": "slow down", "type": "x"}});
    upstreams.openai.queue("/v1/chat/completions", Reply::json(429, &busy).header("retry-after", "3"));

    let answer = ada.post("/ollama/api/chat", body.clone()).await;

    assert_eq!((answer.status, answer.header("retry-after")), (429, "3"));
    assert_eq!(answer.json()["error"], "slow down");
    // What is not for the caller is what nobody has.
    let foreign = eve.post("/ollama/api/chat", body).await;
    assert_snapshot!(foreign.summary(), @r#"
    400 Bad Request
    {"detail":"Model 'gpt-small' was not found"}
    "#);
    let wrong = json!({"model": "gpt-small", "messages": "hi"});
    assert_eq!(ada.post("/ollama/api/chat", wrong).await.status, 422);
    let images = json!({"model": "gpt-small", "input": [1, 2]});
    assert_eq!(ada.post("/ollama/api/embed", images).await.status, 422);
    assert_eq!(ada.post("/ollama/api/push", json!({"model": "gpt-small"})).await.status, 400);
}

#[tokio::test]
async fn a_custom_model_on_one_of_ollamas_keeps_its_options() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "zed", json!("llama3.2:latest"), public()).await;
    let body = json!({"model": "zed", "prompt": "hi", "stream": false,
        "options": {"num_ctx": 99}, "keep_alive": "5m", "think": false});

    let answer = ada.post("/ollama/api/generate", body).await.json();

    assert_eq!((&answer["model"], &answer["response"]), (&json!("zed"), &json!("echo: hi")));
    let sent = upstreams.ollama.last_at("/api/chat").json();
    assert_eq!((&sent["options"], &sent["keep_alive"]), (&json!({"num_ctx": 99}), &json!("5m")));
    assert_eq!(sent["think"], false);
}

#[tokio::test]
async fn without_ollama_the_others_are_there_unless_it_is_switched_off() {
    for enabled in [true, false] {
        let upstream = ScriptedUpstream::with_models(["gpt-small"]).await;
        let server = TestServer::with(|config| {
            config.connections = vec![connection(ConnectionKind::OpenAi, upstream.openai_url())];
            config.api.ollama_enabled = enabled;
        })
        .await;
        server.breezeway.registry().refresh(true).await;
        let ada = server.sign_up("ada").await;

        let tags = ada.get("/ollama/api/tags").await;

        if enabled {
            assert_eq!(tags.json()["models"][0]["name"], "gpt-small");
            assert_eq!(ada.get("/ollama/api/version").await.json()["version"], "0.12.3");
            assert_eq!(ada.get("/ollama/api/ps").await.json(), json!({"models": []}));
        } else {
            assert_eq!(tags.status, 503);
        }
    }
}
