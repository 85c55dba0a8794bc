//! `/api/embeddings`: vectors of any upstream's model, in OpenAI's shape.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn both_kinds_of_upstream_embed_in_one_shape() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    for model in ["gpt-small", "llama3.2"] {
        let body = json!({"model": model, "input": ["a", "b"]});
        let answer = ada.post("/api/embeddings", body.clone()).await.json();

        assert_eq!(answer["object"], "list");
        assert_eq!(answer["data"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&answer["data"][1]["object"], &answer["data"][1]["index"]),
            (&json!("embedding"), &json!(1))
        );
        assert!(answer["data"][0]["embedding"][0].is_number());
        assert_eq!(ada.post("/api/v1/embeddings", body).await.json()["data"], answer["data"]);
    }
    assert_eq!(upstreams.ollama.last_at("/api/embed").json()["model"], "llama3.2:latest");
}

#[tokio::test]
async fn a_model_that_is_not_there_and_one_that_is_not_yours_look_alike() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    let foreign = eve.post("/api/embeddings", json!({"model": "gpt-small", "input": "a"})).await;

    assert_snapshot!(foreign.summary(), @r#"
    400 Bad Request
    {"detail":"Model not found"}
    "#);
    for body in [json!({"model": "nothing", "input": "a"}), json!({"input": "a"})] {
        assert_eq!(eve.post("/api/embeddings", body).await.summary(), foreign.summary());
    }
}
