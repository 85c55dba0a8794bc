//! Upstreams that are not there.

use std::{net::TcpListener, time::Duration};

use breezeway_testkit::{Reply, ScriptedUpstream};
use serde_json::json;
use tokio::time::Instant;

use crate::gateway::{MODEL, Setup, chat, eventually};

/// Takes connections and never says a word.
struct BlackHole(TcpListener);

impl BlackHole {
    fn open() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).expect("a port is free"))
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("it has an address"))
    }
}

#[tokio::test]
async fn a_start_waits_for_no_upstream() {
    let hole = BlackHole::open();
    let begun = Instant::now();
    let gateway = Setup::new()
        .set("OPENAI_API_BASE_URLS", &format!("{url}/v1;{url}/two", url = hole.url()))
        .set("ENABLE_OLLAMA_API", "true")
        .set("OLLAMA_BASE_URLS", &hole.url())
        .set("RAG_EMBEDDING_ENGINE", "openai")
        .set("RAG_EMBEDDING_MODEL", "m")
        .start()
        .await;
    let started = begun.elapsed();
    let client = gateway.admin().await;

    let asked = Instant::now();
    let models = client.get("/api/models").await;
    let answered = asked.elapsed();

    assert!(started < Duration::from_secs(8), "{started:?}");
    assert_eq!(models.json(), json!({"data": []}));
    assert!(answered < Duration::from_millis(500), "{answered:?}");
    assert_eq!(client.get("/ready").await.status, 200);
    let upload = client.upload("/api/v1/files/", "a.txt", "text/plain", b"text").await;
    assert_eq!(upload.status, 200, "{}", upload.summary());
    gateway.stop().await;
}

#[tokio::test]
async fn a_dead_upstream_takes_no_models_of_others_away() {
    let upstream = ScriptedUpstream::start().await;
    let hole = BlackHole::open();
    let urls = format!("{}/v1;{}", hole.url(), upstream.openai_url());
    let gateway = Setup::new().set("OPENAI_API_BASE_URLS", &urls).start().await;

    let client = gateway.admin_with_model().await;
    let asked = Instant::now();
    let models = client.get("/api/models").await;
    let answered = asked.elapsed();
    let answer = client.post_json("/api/chat/completions", &chat("hi", false)).await;

    assert!(models.text().contains(MODEL));
    assert!(answered < Duration::from_millis(500), "{answered:?}");
    assert_eq!(answer.status, 200, "{}", answer.summary());
}

#[tokio::test]
async fn models_of_an_upstream_that_comes_later_are_found_without_a_restart() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/v1/models", Reply::json(503, &json!({"error": {"message": "starting"}})));
    let gateway = Setup::openai(&upstream).set("MODELS_CACHE_TTL", "5").start().await;
    let client = gateway.admin().await;

    assert_eq!(client.get("/api/models").await.json(), json!({"data": []}));

    eventually("the model is known", async || {
        client.get("/api/models").await.text().contains(MODEL).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_an_error_in_words() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).start().await;
    let client = gateway.admin_with_model().await;
    drop(upstream);

    for stream in [true, false] {
        let answer = client.post_json("/api/chat/completions", &chat("hi", stream)).await;

        assert!((500..600).contains(&answer.status), "{}", answer.summary());
        assert!(answer.json()["detail"].is_string(), "{}", answer.summary());
    }
}
