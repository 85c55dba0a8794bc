use std::time::Duration;

use breezeway_embedding::{EmbedError, EmbeddingModel, Purpose, conformance};
use breezeway_testkit::{Reply, ScriptedUpstream, embedding_of};
use breezeway_upstream::{EmbedderConfig, HttpClient, OpenAiEmbedder};
use serde_json::{Value, json};

const EMBEDDINGS: &str = "/v1/embeddings";

fn embedder(upstream: &ScriptedUpstream, change: impl FnOnce(&mut EmbedderConfig)) -> OpenAiEmbedder {
    let mut config = EmbedderConfig::new(upstream.openai_url(), "m");
    config.key = Some("sk-embed".into());
    change(&mut config);
    OpenAiEmbedder::new(config, HttpClient::default()).expect("the settings can be used")
}

fn inputs(upstream: &ScriptedUpstream) -> Vec<Value> {
    upstream.received_at(EMBEDDINGS).iter().map(|received| received.json()["input"].clone()).collect()
}

#[tokio::test]
async fn it_keeps_the_ports_contract() {
    let upstream = ScriptedUpstream::start().await;

    conformance::embedding_model(&embedder(&upstream, |_| {})).await;
}

#[tokio::test]
async fn it_asks_with_model_input_and_key() {
    let upstream = ScriptedUpstream::start().await;

    embedder(&upstream, |_| {}).embed(Purpose::Query, &["one thing"]).await.expect("it embeds");

    let sent = upstream.last_at(EMBEDDINGS);
    assert_eq!(sent.json(), json!({"model": "m", "input": ["one thing"]}));
    assert_eq!(sent.header("authorization"), Some("Bearer sk-embed"));
}

#[tokio::test]
async fn many_texts_go_in_batches_and_come_back_in_order() {
    let upstream = ScriptedUpstream::start().await;
    let texts: Vec<String> = (0..10).map(|n| format!("{} {n}", "word ".repeat(n % 3))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let vectors =
        embedder(&upstream, |config| config.batch = 4).embed(Purpose::Passage, &texts).await.unwrap();

    for (text, vector) in texts.iter().zip(&vectors) {
        let expected = breezeway_embedding::Vector::normalized(embedding_of(text)).unwrap();
        assert!(vector.cosine(&expected) > 0.999, "{text}");
    }
    assert_eq!(inputs(&upstream).len(), 3);
}

#[tokio::test]
async fn prefixes_are_put_before_the_texts_and_into_the_fingerprint() {
    let upstream = ScriptedUpstream::start().await;
    let plain = embedder(&upstream, |_| {});
    let prefixed = embedder(&upstream, |config| {
        config.query_prefix = "query: ".into();
        config.passage_prefix = "passage: ".into();
    });

    prefixed.embed(Purpose::Query, &["a"]).await.expect("it embeds");
    prefixed.embed(Purpose::Passage, &["a"]).await.expect("it embeds");

    assert_eq!(inputs(&upstream), [json!(["query: a"]), json!(["passage: a"])]);
    assert_ne!(plain.fingerprint(), prefixed.fingerprint());
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved() {
    let upstream = ScriptedUpstream::start().await;
    for _ in 0..3 {
        let too_many = |body: &Value| body["input"].as_array().is_some_and(|texts| texts.len() > 2);
        upstream.queue_when(EMBEDDINGS, too_many, Reply::bytes(413, "text/plain", "too large"));
    }
    let texts = ["a", "b", "c", "d", "e"];

    let vectors = embedder(&upstream, |_| {}).embed(Purpose::Passage, &texts).await.expect("it embeds");

    assert_eq!(vectors.len(), 5);
    let sizes: Vec<usize> = inputs(&upstream).iter().map(|input| input.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [5, 2, 3, 1, 2]);
}

#[tokio::test]
async fn one_text_that_is_too_large_is_refused() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(EMBEDDINGS, Reply::bytes(413, "text/plain", "too large"));

    let error = embedder(&upstream, |_| {}).embed(Purpose::Passage, &["a"]).await.unwrap_err();

    assert!(matches!(&error, EmbedError::Refused(why) if why.contains("too large")), "{error:?}");
}

#[tokio::test]
async fn a_busy_service_is_waited_for_once() {
    let upstream = ScriptedUpstream::start().await;
    let busy = Reply::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", "0");
    upstream.queue(EMBEDDINGS, busy.clone());
    let embedder = embedder(&upstream, |_| {});

    let once = embedder.embed(Purpose::Query, &["a"]).await;
    upstream.queue(EMBEDDINGS, busy.clone());
    upstream.queue(EMBEDDINGS, busy);
    let twice = embedder.embed(Purpose::Query, &["a"]).await;

    assert!(once.is_ok());
    assert!(matches!(&twice, Err(EmbedError::Transient(why)) if why.contains("slow down")), "{twice:?}");
}

#[tokio::test]
async fn a_service_that_asks_for_too_long_a_wait_is_not_waited_for() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(EMBEDDINGS, Reply::bytes(503, "text/plain", "later").header("retry-after", "86400"));

    let error = embedder(&upstream, |_| {}).embed(Purpose::Query, &["a"]).await.unwrap_err();

    assert!(error.is_transient(), "{error:?}");
    assert_eq!(inputs(&upstream).len(), 1);
}

#[tokio::test]
async fn faults_of_the_service_are_transient_and_refusals_are_not() {
    let upstream = ScriptedUpstream::start().await;
    let embedder = embedder(&upstream, |config| config.timeout = Duration::from_millis(200));
    for (reply, transient) in [
        (Reply::bytes(500, "text/plain", ""), true),
        (Reply::cut(), true),
        (Reply::stall(), true),
        (Reply::json(400, &json!({"error": {"message": "no"}})), false),
        (Reply::json(404, &json!({"detail": "no"})), false),
        (Reply::bytes(200, "text/html", "<html>"), false),
    ] {
        upstream.queue(EMBEDDINGS, reply.clone());

        let error = embedder.embed(Purpose::Query, &["a"]).await.unwrap_err();

        assert_eq!(error.is_transient(), transient, "{reply:?}: {error:?}");
    }
    drop(upstream);
    assert!(embedder.embed(Purpose::Query, &["a"]).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_key_that_a_service_repeats_is_taken_out() {
    let upstream = ScriptedUpstream::start().await;
    let message = "Incorrect API key provided: sk-embed.";
    upstream.queue(EMBEDDINGS, Reply::json(401, &json!({"error": {"message": message}})));

    let error = embedder(&upstream, |_| {}).embed(Purpose::Query, &["a"]).await.unwrap_err().to_string();

    assert!(error.contains("Incorrect API key") && !error.contains("sk-embed"), "{error}");
}

#[tokio::test]
async fn vectors_that_break_the_contract_are_refused() {
    let upstream = ScriptedUpstream::start().await;
    let embedder = embedder(&upstream, |_| {});
    embedder.embed(Purpose::Query, &["a"]).await.expect("it learns its dimensions");
    for data in [
        json!([]),
        json!([{"index": 0, "embedding": [1.0, 2.0]}]),
        json!([{"index": 0, "embedding": []}]),
        json!([{"index": 0, "embedding": [1e300]}]),
    ] {
        upstream.queue(EMBEDDINGS, Reply::json(200, &json!({ "data": data })));

        let read = embedder.embed(Purpose::Query, &["a"]).await;

        assert!(matches!(read, Err(EmbedError::Malformed(_))), "{data}: {read:?}");
    }
    assert_eq!(embedder.dimensions(), Some(embedding_of("a").len()));
}
