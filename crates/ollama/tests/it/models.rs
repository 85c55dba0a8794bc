use breezeway_testkit::ScriptedUpstream;
use serde_json::json;

use crate::{connection, gateway::Gateway};

async fn show(client: breezeway_testkit::Client, path: &str, model: &str) -> (u16, String) {
    let answered = client.post_json(path, &json!({ "model": model })).await;
    let detail = answered.json()["detail"].as_str().unwrap_or_default().to_owned();
    (answered.status, detail)
}

#[tokio::test]
async fn a_model_for_others_is_refused_like_one_that_nobody_has() {
    let upstream = ScriptedUpstream::with_models(["open:latest", "closed:latest"]).await;
    let gateway = Gateway::start(vec![connection(&upstream, 0)], &["open:latest"]).await;

    assert_eq!(show(gateway.user(), "/api/show", "open").await.0, 200);
    assert_eq!(
        show(gateway.user(), "/api/show", "closed").await,
        (400, "Model 'closed' was not found".into())
    );
    assert_eq!(show(gateway.user(), "/api/show", "nope").await, (400, "Model 'nope' was not found".into()));
    assert_eq!(show(gateway.admin(), "/api/show", "closed").await.0, 200);
    assert_eq!(upstream.received_at("/api/show").len(), 2);
}

#[tokio::test]
async fn a_prefix_leads_to_its_connection_and_is_taken_off() {
    let (first, second) = (ScriptedUpstream::start().await, ScriptedUpstream::with_models(["m:1b"]).await);
    let mut prefixed = connection(&second, 1);
    prefixed.prefix = Some("b".into());
    let gateway = Gateway::start(vec![connection(&first, 0), prefixed], &[]).await;

    let answered = gateway.admin().post_json("/api/embed", &json!({"model": "b.m:1b", "input": "x"})).await;

    assert_eq!(answered.status, 200, "{}", answered.text());
    assert_eq!(second.last_at("/api/embed").json(), json!({"model": "m:1b", "input": "x"}));
}

#[tokio::test]
async fn an_index_picks_the_connection_and_checks_the_same_rights() {
    let models = ["open:latest", "closed:latest"];
    let (first, second) =
        (ScriptedUpstream::with_models(models).await, ScriptedUpstream::with_models(models).await);
    let mut prefixed = connection(&second, 2);
    prefixed.prefix = Some("b".into());
    let connections = vec![connection(&first, 0), connection(&second, 1), prefixed];
    let gateway = Gateway::start(connections, &["open:latest"]).await;

    assert_eq!(show(gateway.user(), "/api/show/1", "open").await.0, 200);
    assert_eq!(show(gateway.user(), "/api/show/1", "closed").await.0, 400);
    assert_eq!(show(gateway.admin(), "/api/show/2", "open").await.0, 200);
    assert_eq!(
        show(gateway.user(), "/api/show/7", "open").await,
        (404, "Ollama connection 7 was not found".into())
    );
    assert!(first.received_at("/api/show").is_empty());
    assert_eq!(second.received_at("/api/show").len(), 2);
}

#[tokio::test]
async fn a_model_that_the_picked_connection_lacks_is_unknown() {
    let (first, second) =
        (ScriptedUpstream::with_models(["a:1"]).await, ScriptedUpstream::with_models(["b:1"]).await);
    let gateway = Gateway::start(vec![connection(&first, 0), connection(&second, 1)], &[]).await;

    assert_eq!(show(gateway.admin(), "/api/show/1", "a:1").await.0, 400);
    assert_eq!(show(gateway.admin(), "/api/show/1", "b:1").await.0, 200);
}
