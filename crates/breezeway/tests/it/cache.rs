//! Kept answers, through the API.

use std::time::Duration;

use breezeway::parts::chat::CacheConfig;
use breezeway_testkit::Reply;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestServer, Upstreams};

const KEPT: CacheConfig = CacheConfig { max_bytes: 1 << 20, time_to_live: Duration::from_secs(60) };

const CHAT: &str = "/api/chat/completions";

async fn keeping() -> (TestServer, Upstreams) {
    TestServer::with_upstreams_and(|config| config.cache = KEPT).await
}

fn cold(text: &str) -> Value {
    json!({"model": "gpt-small", "temperature": 0, "messages": [{"role": "user", "content": text}]})
}

fn cache(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-breezeway-cache")
}

#[tokio::test]
async fn a_cold_question_is_answered_from_what_is_kept_until_it_is_too_old() {
    let (server, upstreams) = keeping().await;
    let ada = server.sign_up("ada").await;

    let first = ada.post(CHAT, cold("hi")).await;
    let second = ada.post("/v1/chat/completions", cold("hi")).await;
    server.pass(60);
    let third = ada.post(CHAT, cold("hi")).await;

    assert_eq!((cache(&first), cache(&second), cache(&third)), ("miss", "hit", "miss"));
    assert_eq!(first.body, second.body);
    assert_eq!(upstreams.openai.received_at("/v1/chat/completions").len(), 2);
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_neither_looked_for_nor_kept() {
    let (server, upstreams) = keeping().await;
    let ada = server.sign_up("ada").await;
    let anew = ada.with_header("cache-control", "max-age=0, No-Store");
    assert_eq!(cache(&ada.post(CHAT, cold("hi")).await), "miss");

    assert_eq!(cache(&anew.post(CHAT, cold("hi")).await), "");
    assert_eq!(cache(&anew.post(CHAT, cold("ho")).await), "");

    assert_eq!(cache(&ada.post(CHAT, cold("ho")).await), "miss");
    assert_eq!(upstreams.openai.received_at("/v1/chat/completions").len(), 4);
}

#[tokio::test]
async fn nothing_is_kept_unless_that_was_asked_for() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;

    for _ in 0..2 {
        assert_eq!(cache(&ada.post(CHAT, cold("hi")).await), "");
    }

    assert_eq!(upstreams.openai.received_at("/v1/chat/completions").len(), 2);
}

#[tokio::test]
async fn every_account_is_answered_anew() {
    let (server, upstreams) = TestServer::with_upstreams_and(|config| {
        config.cache = KEPT;
        config.registry.open_to_all = true;
    })
    .await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let ask = async |client: &Client, number: u32| {
        let message = json!({"choices": [{"index": 0, "message": {"content": number.to_string()}}]});
        upstreams.openai.queue("/v1/chat/completions", Reply::json(200, &message));
        let answer = client.post(CHAT, cold("hi")).await;
        (cache(&answer).to_owned(), answer.json()["choices"][0]["message"]["content"].clone())
    };

    assert_eq!(ask(&ada, 1).await, ("miss".to_owned(), json!("1")));
    assert_eq!(ask(&eve, 2).await, ("miss".to_owned(), json!("2")));
    assert_eq!(ask(&ada, 3).await, ("hit".to_owned(), json!("1")));
    assert_eq!(ask(&eve, 4).await, ("hit".to_owned(), json!("2")));
}

#[tokio::test]
async fn embeddings_and_streams_are_kept_too() {
    let (server, upstreams) = keeping().await;
    let ada = server.sign_up("ada").await;
    let mut streamed = cold("hi");
    streamed["stream"] = true.into();
    let embed = json!({"model": "gpt-small", "input": ["a", "b"]});

    for (path, at, request) in [
        (CHAT, "/v1/chat/completions", streamed),
        ("/openai/chat/completions", "/v1/chat/completions", cold("other")),
        ("/api/embeddings", "/v1/embeddings", embed.clone()),
        ("/v1/embeddings", "/v1/embeddings", json!({"input": "other", "model": "gpt-small"})),
    ] {
        let before = upstreams.openai.received_at(at).len();
        let first = ada.post(path, request.clone()).await;
        let second = ada.post(path, request).await;

        assert_eq!((cache(&first), cache(&second)), ("miss", "hit"), "{path}");
        assert_eq!((first.body, upstreams.openai.received_at(at).len()), (second.body, before + 1));
    }
}

#[tokio::test]
async fn requests_of_a_key_count_although_they_are_answered_from_what_is_kept() {
    let (server, _upstreams) = keeping().await;
    let ada = server.sign_up("ada").await;
    let form = json!({"name": "ci", "requests_per_minute": 3});
    let key = ada.post("/api/v1/auths/api_keys", form).await.json();
    let program = ada.with_token(key["api_key"].as_str().unwrap());

    for expected in ["miss", "hit", "hit"] {
        assert_eq!(cache(&program.post(CHAT, cold("hi")).await), expected);
    }

    assert_eq!(program.post(CHAT, cold("hi")).await.status, 429);
}
