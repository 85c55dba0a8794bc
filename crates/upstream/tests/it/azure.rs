//! Azure OpenAI: the dialect of OpenAI at other paths.

use breezeway_registry::{Connection, Upstream, UpstreamError};
use breezeway_testkit::{Reply, ScriptedUpstream, chat_completion};
use breezeway_wire::ChatRequest;
use serde_json::{Map, Value, json};

use crate::openai;

fn azure(url: String) -> Connection {
    let options = json!({"azure": true, "api_version": "2025-01-01"});
    Connection {
        url,
        model_ids: vec!["gpt-4o".into()],
        other: options.as_object().unwrap().clone(),
        key: Some("sk-azure".into()),
        ..Connection::new(breezeway_registry::ConnectionKind::OpenAi, 0, "")
    }
}

fn question(model: &str) -> Map<String, Value> {
    json!({"model": model, "messages": []}).as_object().unwrap().clone()
}

#[tokio::test]
async fn a_model_is_a_deployment_in_the_path_and_the_key_has_a_header_of_its_own() {
    let upstream = ScriptedUpstream::start().await;
    let path = "/openai/deployments/gpt-4o/chat/completions";
    upstream.always(path, Reply::json(200, &chat_completion("gpt-4o", "hi")));
    let adapter = openai(&azure(upstream.url()));

    adapter.chat(ChatRequest::new(question("gpt-4o"))).await.expect("it answers");

    let sent = upstream.last_at(path);
    assert_eq!(sent.query.as_deref(), Some("api-version=2025-01-01"));
    assert_eq!(sent.header("api-key"), Some("sk-azure"));
    assert_eq!(sent.header("authorization"), None);
}

#[tokio::test]
async fn the_address_of_a_deployment_is_enough() {
    let upstream = ScriptedUpstream::start().await;
    let path = "/openai/deployments/mine/chat/completions";
    upstream.always(path, Reply::json(200, &chat_completion("mine", "hi")));
    let adapter = openai(&Connection {
        model_ids: Vec::new(),
        ..azure(format!("{}/openai/deployments/mine", upstream.url()))
    });

    let models = adapter.catalog().await.expect("it lists");
    adapter.chat(ChatRequest::new(question("mine"))).await.expect("it answers");

    assert_eq!(models.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["mine"]);
    assert_eq!(upstream.received().len(), 1, "its list was not asked for");
}

#[tokio::test]
async fn a_name_that_would_leave_the_path_is_no_deployment() {
    let upstream = ScriptedUpstream::start().await;
    let adapter = openai(&azure(upstream.url()));

    for model in ["", "a/b", "..%2f", "a?b=c", "ä"] {
        let error = adapter.chat(ChatRequest::new(question(model))).await.err();

        assert!(matches!(error, Some(UpstreamError::Malformed(_))), "{model}: {error:?}");
    }
    assert!(upstream.received().is_empty());
}
