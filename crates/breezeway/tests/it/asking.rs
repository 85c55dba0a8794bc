//! Asking about what was uploaded a moment ago.

use std::time::Duration;

use serde_json::json;

use crate::harness::TestServer;

/// Rounds of upload, add and ask. What they could meet is a race, so one would prove little.
const ROUNDS: usize = 60;

#[tokio::test]
async fn upload_add_ask_needs_no_polling() {
    let (mut server, upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let shelf = ada.post("/api/v1/knowledge/create", json!({"name": "Boats", "description": ""})).await;
    let shelf = shelf.json()["id"].as_str().unwrap().to_owned();

    for round in 0..ROUNDS {
        let text = format!("Ferry marker{round}x leaves at dawn.");
        let file = ada.upload(&format!("{round}.txt"), &text).await.json()["id"].as_str().unwrap().to_owned();
        let add = format!("/api/v1/knowledge/{shelf}/file/add");
        assert_eq!(ada.post(&add, json!({"file_id": file})).await.status, 200);
        // Each way of asking in turn.
        let item = match round % 2 {
            0 => json!({"type": "collection", "id": shelf}),
            _ => json!({"type": "file", "id": file}),
        };
        let question = json!({
            "model": "gpt-small", "files": [item],
            "messages": [{"role": "user", "content": format!("When does marker{round}x leave?")}],
        });
        let answer = ada.post("/api/chat/completions", question).await.json();
        let found = ada
            .post(
                "/api/v1/retrieval/query/doc",
                json!({"collection_name": format!("file-{file}"), "query": "ferry"}),
            )
            .await
            .json();

        assert!(answer["sources"].to_string().contains(&text), "round {round}: {answer}");
        assert!(found["documents"].to_string().contains(&text), "round {round}: {found}");
    }
    assert_eq!(upstreams.openai.received_at("/v1/chat/completions").len(), ROUNDS);
}

#[tokio::test]
async fn what_is_not_read_in_time_is_told_to_client_and_model() {
    // Nothing runs in the background, so nothing is ever read.
    let (server, upstreams) =
        TestServer::with_upstreams_and(|config| config.rag.file_wait = Duration::from_millis(1)).await;
    let ada = server.sign_up("ada").await;
    let file = ada.upload("late.txt", "Too late.").await.json()["id"].as_str().unwrap().to_owned();
    let question = json!({
        "model": "gpt-small", "files": [{"type": "file", "id": file}],
        "messages": [{"role": "user", "content": "What does it say?"}],
    });

    let answer = ada.post("/api/chat/completions", question).await.json();
    let queried = json!({"collection_names": [format!("file-{file}")], "query": "late"});
    let found = ada.post("/api/v1/retrieval/query/collection", queried).await.json();

    let left_out = json!([{"id": file, "name": "late.txt", "status": "pending"}]);
    assert_eq!(answer["sources"][0]["left_out"], left_out, "{answer}");
    assert_eq!((&found["left_out"], &found["documents"]), (&left_out, &json!([[]])));
    let prompt = upstreams.openai.last_at("/v1/chat/completions").json().to_string();
    assert!(prompt.contains("late.txt") && prompt.contains("not available yet"), "{prompt}");
}
