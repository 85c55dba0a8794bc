//! `/ollama`: the lists and refusals of the passthrough, behind accounts.

use breezeway_testkit::Reply;
use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::TestServer,
    models::{overlay, public},
};

#[tokio::test]
async fn the_merged_list_says_where_each_model_is() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    assert_snapshot!(ada.get("/ollama/api/tags").await.summary(), @r#"
    200 OK
    {
      "models": [
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
      ]
    }
    "#);
    assert_eq!(eve.get("/ollama/api/tags").await.json(), json!({"models": []}));
    assert_eq!(eve.get("/ollama/api/tags/0").await.json(), json!({"models": []}));
    overlay(&ada, "llama3.2:latest", Value::Null, public()).await;
    assert_eq!(eve.get("/ollama/api/tags").await.json()["models"].as_array().unwrap().len(), 1);
    assert_snapshot!(ada.get("/ollama/v1/models").await.summary(), @r#"
    200 OK
    {
      "data": [
        {
          "id": "llama3.2:latest",
          "object": "model",
          "created": 1800000002,
          "owned_by": "openai"
        }
      ],
      "object": "list"
    }
    "#);
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
