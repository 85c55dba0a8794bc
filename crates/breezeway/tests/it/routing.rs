//! Aliases and their fallbacks, as clients and reports see them.

use breezeway::parts::registry::Alias;
use breezeway_testkit::Reply;
use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn an_alias_goes_on_to_a_model_of_another_kind_before_the_first_byte() {
    let (server, upstreams) = TestServer::with_upstreams_and(|config| {
        let targets = ["gpt-small", "llama3.2:latest"].map(|id| id.parse().unwrap()).into();
        config.registry.aliases = vec![Alias { id: "fast".parse().unwrap(), targets }];
    })
    .await;
    let ada = server.sign_up("ada").await;
    let ask = json!({"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5});
    upstreams.openai.always("/v1/chat/completions", Reply::json(503, &json!({"error": "down"})));

    let answer = ada.post("/api/chat/completions", ask).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("Hi"), "{}", answer.text());
    // The parameters are those of the kind that answered.
    let asked = upstreams.ollama.last_at("/api/chat").json();
    assert_eq!(asked["model"], "llama3.2:latest");
    assert_eq!(asked["options"]["temperature"], 0.5);
    let report = ada.get("/api/v1/usage?group_by=model").await.json();
    let rows = report["rows"].as_array().unwrap();
    let failed: u64 = rows.iter().map(|row| row["failed"].as_u64().unwrap()).sum();
    let requests: u64 = rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
    assert_eq!((requests, failed), (2, 1), "{report}");
}
