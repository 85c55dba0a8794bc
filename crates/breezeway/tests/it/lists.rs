//! The model list when it is long.

use breezeway_testkit::ScriptedUpstream;
use serde_json::{Value, json};

use crate::{
    harness::{TestServer, connection},
    models::{listed, overlay, public},
};

#[tokio::test]
async fn a_long_list_is_rendered_once_and_right_after_every_change() {
    let names: Vec<String> = (0..500).map(|number| format!("model-{number:03}")).collect();
    let upstream = ScriptedUpstream::with_models(names.clone()).await;
    let server = TestServer::with(|config| {
        let kind = breezeway::parts::registry::ConnectionKind::OpenAi;
        config.connections = vec![connection(kind, upstream.openai_url())];
    })
    .await;
    server.breezeway.registry().refresh(true).await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let rendered = || -> Vec<_> {
        let models = server.breezeway.registry().base_models();
        models.iter().filter_map(|model| model.rendered.get().cloned()).collect()
    };
    assert_eq!(rendered().len(), 0);

    assert_eq!(listed(&ada).await, names);
    let first = rendered();
    assert_eq!(first.len(), 500);

    // Asked again, and refreshed without a change: the very same texts.
    assert_eq!(ada.get("/api/models?refresh=true").await.status, 200);
    let second = rendered();
    assert!(first.iter().zip(&second).all(|(a, b)| std::sync::Arc::ptr_eq(a, b)));

    overlay(&ada, "model-007", Value::Null, public()).await;
    assert_eq!(listed(&eve).await, ["model-007"]);
    let entry = ada.get("/api/models").await.json()["data"][7].clone();
    assert_eq!(entry["info"]["access_grants"][0]["principal_id"], "*");

    upstream.set_models(["model-007", "model-500"]);
    let list = ada.get("/api/models?refresh=true").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(json!(ids), json!(["model-007", "model-500"]));
}
