//! The scripted upstream does what the script says.

use std::time::Duration;

use breezeway_testkit::{Client, Outcome, Reply, ScriptedUpstream, embedding_of};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_path_without_a_script_answers_plausibly() {
    let upstream = ScriptedUpstream::with_models(["m:latest"]).await;
    let client = Client::new(upstream.url());
    let asked = json!({"model": "m:latest", "messages": [{"role": "user", "content": "hi there"}]});

    let openai = client.post_json("/v1/chat/completions", &asked).await;
    let ollama = client.post_json("/api/chat", &asked).await;
    let embedded = client.post_json("/api/embed", &json!({"model": "m", "input": ["a b", ""]})).await;

    assert_eq!(openai.json()["choices"][0]["message"]["content"], "echo: hi there");
    let lines: Vec<_> = ollama.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[3].contains(r#""done":true"#));
    assert_eq!(embedded.json()["embeddings"][0], json!(embedding_of("a b")));
    assert_eq!(client.get("/v1/models").await.json()["data"][0]["id"], "m:latest");
}

#[tokio::test]
async fn a_cut_stream_hands_over_its_pieces_first() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/x", Reply::pieces("text/plain", ["one", "two", "three"]).cut_after(2));
    let client = Client::new(upstream.url());

    let mut answer = client.stream_request(Method::GET, "/x", None, "").await;
    let mut said = Vec::new();
    let broken = loop {
        match answer.piece().await {
            Some(Ok(piece)) => said.extend_from_slice(&piece),
            Some(Err(why)) => break why,
            None => panic!("the body ended as if it were complete"),
        }
    };

    assert_eq!(said, b"onetwo");
    assert!(!broken.is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/x", Reply::pieces("text/plain", ["one"]).then_stall());
    upstream.queue("/y", Reply::stall());
    let client = Client::new(upstream.url());

    let mut answer = client.stream_request(Method::GET, "/x", None, "").await;
    answer.piece().await.expect("there is a piece").expect("and it is whole");
    drop(answer);
    let unanswered = tokio::time::timeout(Duration::from_millis(50), client.get("/y")).await;

    assert!(unanswered.is_err());
    assert_eq!(upstream.last_at("/x").outcome().await, Outcome::ClientLeft);
    assert_eq!(upstream.last_at("/y").outcome().await, Outcome::ClientLeft);
}

#[tokio::test]
async fn a_cut_without_an_answer_is_an_error() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/x", Reply::cut());
    let client = Client::new(upstream.url());

    let answer = client.try_request(Method::GET, "/x", None, "").await;

    assert!(answer.is_err());
    assert_eq!(upstream.last_at("/x").outcome().await, Outcome::Finished);
}
