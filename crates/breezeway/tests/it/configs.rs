//! Connections, changed at run time by admins.

use breezeway_testkit::ScriptedUpstream;
use insta::assert_snapshot;
use serde_json::json;

use crate::{
    harness::{TestServer, eventually},
    models::listed,
};

#[tokio::test]
async fn an_admin_changes_connections_and_keys_are_not_shown_again() {
    let mut server = TestServer::start().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let upstream = ScriptedUpstream::with_models(["gpt-small"]).await;
    upstream.demand_key("sk-secret-of-the-upstream");
    let form = json!({
        "ENABLE_OPENAI_API": true,
        "OPENAI_API_BASE_URLS": [upstream.openai_url()],
        "OPENAI_API_KEYS": ["sk-secret-of-the-upstream"],
        "OPENAI_API_CONFIGS": {"0": {"prefix_id": "up", "tags": [{"name": "t"}]}},
    });

    let changed = ada.post("/openai/config/update", form).await;

    assert_snapshot!(changed.summary(), @r#"
    200 OK
    {
      "ENABLE_OPENAI_API": true,
      "OPENAI_API_BASE_URLS": [
        "[address]/v1"
      ],
      "OPENAI_API_KEYS": [
        "••••ream"
      ],
      "OPENAI_API_CONFIGS": {
        "0": {
          "enable": true,
          "tags": [
            {
              "name": "t"
            }
          ],
          "prefix_id": "up",
          "model_ids": [],
          "connection_type": null
        }
      }
    }
    "#);
    let read = ada.get("/openai/config").await.json();
    assert_eq!(read, changed.json());
    let is_listed = async || (listed(&ada).await == ["up.gpt-small"]).then_some(());
    eventually("the model of the new connection", is_listed).await;

    // What was shown is sent back, and the key stays.
    ada.post("/openai/config/update", read).await;
    assert_eq!(ada.get("/api/models?refresh=true").await.json()["data"][0]["id"], "up.gpt-small");
    let chat = json!({"model": "up.gpt-small", "messages": []});
    assert_eq!(ada.post("/api/chat/completions", chat).await.status, 200);
    assert_eq!(upstream.last_at("/v1/chat/completions").json()["model"], "gpt-small");
}

#[tokio::test]
async fn ollama_connections_are_changed_alike() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let upstream = ScriptedUpstream::start().await;

    let form = json!({"OLLAMA_BASE_URLS": [format!("{}/", upstream.url())], "OLLAMA_API_CONFIGS": {}});
    let changed = ada.post("/ollama/config/update", form).await;

    assert_snapshot!(changed.summary(), @r#"
    200 OK
    {
      "ENABLE_OLLAMA_API": true,
      "OLLAMA_BASE_URLS": [
        "[address]"
      ],
      "OLLAMA_API_CONFIGS": {
        "0": {
          "enable": true,
          "tags": [],
          "prefix_id": "",
          "model_ids": [],
          "connection_type": null,
          "key": ""
        }
      }
    }
    "#);
    assert_eq!(ada.get("/ollama/config").await.json(), changed.json());
    ada.get("/api/models?refresh=true").await;
    assert_eq!(listed(&ada).await, ["llama3.2:latest"]);
}

#[tokio::test]
async fn a_connection_is_tried_before_it_is_used() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let upstream = ScriptedUpstream::with_models(["gpt-small"]).await;
    upstream.demand_key("right");
    let ollama = ScriptedUpstream::start().await;
    let verify =
        async |url: String, key: &str| ada.post("/openai/verify", json!({"url": url, "key": key})).await;

    assert_snapshot!(verify(upstream.openai_url(), "right").await.summary(), @r#"
    200 OK
    {
      "object": "list",
      "data": [
        {
          "id": "gpt-small",
          "object": "model",
          "created": 1700000000,
          "owned_by": "scripted"
        }
      ]
    }
    "#);
    assert_snapshot!(verify(upstream.openai_url(), "wrong").await.summary(), @r#"
    401 Unauthorized
    {
      "error": {
        "message": "Incorrect API key provided",
        "type": "invalid_request_error",
        "code": "invalid_api_key"
      }
    }
    "#);
    assert_snapshot!(verify("http://127.0.0.1:9".into(), "").await.summary(), @r#"
    500 Internal Server Error
    {"detail":"Open WebUI: Server Connection Error"}
    "#);
    assert_snapshot!(ada.post("/ollama/verify", json!({"url": ollama.url()})).await.summary(), @r#"
    200 OK
    {"version":"0.12.3"}
    "#);
    assert_snapshot!(ada.post("/ollama/verify", json!({"url": "nonsense"})).await.summary(), @r#"
    500 Internal Server Error
    {"detail":"Open WebUI: Server Connection Error"}
    "#);
}

#[tokio::test]
async fn a_connection_that_cannot_be_is_refused_and_changes_nothing() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let before = ada.get("/openai/config").await.json();

    let form = json!({"OPENAI_API_BASE_URLS": ["file:///etc/passwd"], "OPENAI_API_KEYS": []});
    let answer = ada.post("/openai/config/update", form).await;

    assert_eq!(answer.status, 400, "{}", answer.summary());
    assert_eq!(ada.get("/openai/config").await.json(), before);
    assert_snapshot!(ada.post("/openai/config/update", json!({})).await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "missing",
          "loc": [
            "body",
            "OPENAI_API_BASE_URLS"
          ],
          "msg": "Field required",
          "input": {}
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn options_of_connections_are_checked_kept_and_shown() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let upstream = ScriptedUpstream::start().await;
    let form = |options: serde_json::Value| {
        json!({
            "OPENAI_API_BASE_URLS": [upstream.openai_url()],
            "OPENAI_API_KEYS": ["sk-secret-of-the-upstream"],
            "OPENAI_API_CONFIGS": {"0": options},
        })
    };

    let refused = ada.post("/openai/config/update", form(json!({"weight": 0}))).await;
    let options = json!({"weight": 3, "timeout": 60, "theirs": {"a": 1}, "headers": {"x-team": "blue"}});
    let changed = ada.post("/openai/config/update", form(options)).await;

    assert_snapshot!(refused.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "value_error",
          "loc": [
            "body",
            "OPENAI_API_CONFIGS",
            "0",
            "weight"
          ],
          "msg": "`weight` must be a whole number from 1 to 1000",
          "input": null
        }
      ]
    }
    "#);
    let shown = &changed.json()["OPENAI_API_CONFIGS"]["0"];
    assert_eq!(
        (&shown["weight"], &shown["timeout"], &shown["theirs"]),
        (&3.into(), &60.into(), &json!({"a": 1}))
    );
    assert!(!changed.text().contains("blue"), "headers hold secrets");

    // What was shown is sent back, and the headers stay, until they are taken away.
    let asked = async || {
        ada.get("/api/models?refresh=true").await;
        upstream.last_at("/v1/models").header("x-team").map(str::to_owned)
    };
    ada.post("/openai/config/update", changed.json()).await;
    assert_eq!(asked().await.as_deref(), Some("blue"));
    ada.post("/openai/config/update", form(json!({"headers": {}}))).await;
    assert_eq!(asked().await, None);
}

#[tokio::test]
async fn a_connection_is_tried_with_its_options() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let verify = async |config: serde_json::Value| {
        ada.post("/openai/verify", json!({"url": "http://127.0.0.1:9", "key": "k", "config": config})).await
    };

    let azure = verify(json!({"azure": true, "model_ids": ["gpt-4o"]})).await;
    let without_models = verify(json!({"azure": true})).await;
    let anthropic = verify(json!({"provider": "anthropic", "max_tokens": 0})).await;

    assert_eq!(azure.json()["data"][0]["id"], "gpt-4o", "{}", azure.summary());
    assert_eq!(without_models.json()["detail"][0]["loc"], json!(["body", "config", "model_ids"]));
    assert_eq!(anthropic.json()["detail"][0]["loc"], json!(["body", "config", "max_tokens"]));
    assert_eq!((without_models.status, anthropic.status), (422, 422));
}
