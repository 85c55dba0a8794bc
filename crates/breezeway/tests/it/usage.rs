//! Usage: what calls of every dialect are counted as, who sees it, and what limited keys are told.

use breezeway::parts::usage::{Price, PriceTable};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Client, TestServer};

const USAGE: &str = "/api/v1/usage";

/// What the scripted upstreams say each chat took.
fn rows(report: &Value) -> Vec<String> {
    let rows = report["rows"].as_array().unwrap();
    let columns = ["model", "requests", "estimated", "failed", "input_tokens", "output_tokens"];
    rows.iter().map(|row| columns.map(|column| row[column].to_string()).join(" ")).collect()
}

fn says(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 100})
}

async fn limited(ada: &Client, more: Value) -> Client {
    let mut form = json!({"name": "limited"});
    form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = ada.post("/api/v1/auths/api_keys", form).await;
    assert_eq!(made.status, 200, "{}", made.text());
    ada.with_token(made.json()["api_key"].as_str().unwrap())
}

#[tokio::test]
async fn calls_of_every_dialect_are_counted() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let stream = |model: &str| {
        let mut body = says(model);
        body["stream"] = true.into();
        body
    };

    for (path, body) in [
        ("/api/chat/completions", says("gpt-small")),
        ("/api/v1/chat/completions", stream("gpt-small")),
        ("/openai/chat/completions", says("gpt-small")),
        ("/api/v1/messages", says("gpt-small")),
        ("/api/chat/completions", says("llama3.2:latest")),
        ("/ollama/api/chat", stream("llama3.2:latest")),
        ("/ollama/v1/chat/completions", says("llama3.2:latest")),
        ("/api/embeddings", json!({"model": "gpt-small", "input": "some words"})),
        ("/ollama/api/embed", json!({"model": "llama3.2:latest", "input": "some words"})),
    ] {
        let answer = ada.post(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }

    let report = ada.get(&format!("{USAGE}?group_by=model")).await.json();
    // OpenAI's dialect says nothing of a stream unless it is asked to, so one is an estimate.
    assert_snapshot!(rows(&report).join("\n"), @r#"
    "gpt-small" 5 1 0 39 17
    "llama3.2:latest" 4 0 0 35 15
    "#);
    let forwarded = ada.get("/ollama/api/tags").await;
    assert_eq!(forwarded.status, 200);
    assert_eq!(
        rows(&ada.get(&format!("{USAGE}?group_by=model")).await.json()),
        rows(&report),
        "lists are free"
    );
}

#[tokio::test]
async fn everybody_sees_their_own_and_admins_see_all() {
    let (server, _upstreams) = TestServer::with_upstreams_and(|config| {
        config.registry.open_to_all = true;
        let price = Price { input: 1_000_000, cached_input: 0, output: 2_000_000 };
        config.prices = PriceTable::new([("gpt-*".to_owned(), price)]);
    })
    .await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    ada.post("/api/chat/completions", says("gpt-small")).await;
    eve.post("/api/chat/completions", says("gpt-large")).await;

    let own = eve.get(USAGE).await.json();
    assert_eq!(own["rows"].as_array().unwrap().len(), 1);
    assert_eq!(own["rows"][0]["model"], "gpt-large");
    assert_eq!(own["rows"][0]["day"], "2027-01-15");
    assert!(own["rows"][0]["cost"].as_f64().unwrap() > 0.0);
    assert_eq!(eve.get("/api/v1/usage/all").await.status, 401);
    let all = ada.get("/api/v1/usage/all?group_by=account,model").await.json();
    assert_eq!(all["rows"].as_array().unwrap().len(), 2);
    let hers = ada.get(&format!("/api/v1/usage/all?user_id={}&group_by=account", eve.id)).await.json();
    assert_eq!(hers["rows"][0]["email"], "eve@example.org");
    assert_eq!(hers["rows"].as_array().unwrap().len(), 1);
    let csv = ada.get("/api/v1/usage/all?format=csv&group_by=model").await;
    // Without the two columns of times.
    let lines: Vec<String> =
        csv.text().lines().map(|line| line.rsplitn(3, ',').nth(2).unwrap().to_owned()).collect();
    assert_snapshot!(lines.join("\n"), @r"
    day,account_id,email,key_id,model,requests,estimated,failed,aborted,refused,input_tokens,output_tokens,cached_tokens,total_tokens,cost
    ,,,,gpt-large,1,0,0,0,0,11,5,0,16,0.000021
    ,,,,gpt-small,1,0,0,0,0,11,5,0,16,0.000021
    ");
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
}

#[tokio::test]
async fn nonsense_in_a_report_is_named() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    for (query, field) in [
        ("since=yesterday", "since"),
        ("group_by=week", "group_by"),
        ("format=xml", "format"),
        ("limit=x", "limit"),
    ] {
        let answer = ada.get(&format!("{USAGE}?{query}")).await;
        assert_eq!(answer.status, 422, "{query}");
        assert_eq!(answer.json()["detail"][0]["loc"][1], field, "{query}");
    }
}

#[tokio::test]
async fn a_key_that_has_had_its_requests_is_told_when_to_come_back() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let key = limited(&ada, json!({"requests_per_minute": 2})).await;

    assert_eq!(key.get("/api/models").await.headers["x-ratelimit-remaining-requests"], "1");
    assert_eq!(key.get("/ollama/api/tags").await.status, 200);
    for path in ["/api/models", "/ollama/api/tags"] {
        let refused = key.get(path).await;
        assert_eq!(refused.status, 429, "{path}");
        assert_eq!(refused.json()["detail"], "the key allows 2 requests a minute", "{path}");
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=65).contains(&wait), "{wait}");
        assert_eq!(refused.headers["ratelimit-policy"], "\"requests\";q=2;w=60");
        assert_eq!(refused.headers["x-ratelimit-remaining-requests"], "0");
    }
    assert_eq!(ada.get("/api/models").await.status, 200, "the account itself has no limit");
}

#[tokio::test]
async fn a_key_whose_budget_is_used_up_may_look_and_not_ask() {
    let (mut server, upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let key = limited(&ada, json!({"budget": {"tokens": 110, "period": "day"}})).await;

    let first = key.post("/api/chat/completions", says("gpt-small")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    for (path, body) in [
        ("/api/chat/completions", says("gpt-small")),
        ("/api/v1/messages", says("gpt-small")),
        ("/ollama/api/chat", says("llama3.2:latest")),
    ] {
        let refused = key.post(path, body).await;
        assert_eq!(refused.status, 429, "{path}: {}", refused.text());
        assert!(refused.text().contains("budget of 110 tokens"), "{path}: {}", refused.text());
    }
    assert_eq!(key.get("/api/models").await.status, 200);
    assert_eq!(upstreams.openai.received_at("/v1/chat/completions").len(), 1);
    let report = ada.get(&format!("{USAGE}?group_by=key")).await.json();
    assert_eq!(report["rows"][0]["refused"], 3);
    server.pass(86_400);
    let next_day = key.post("/api/chat/completions", says("gpt-small")).await;
    assert_eq!(next_day.status, 200, "{}", next_day.text());
}

#[tokio::test]
async fn a_search_is_counted_for_whoever_asks() {
    let mut server = TestServer::start().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let file = ada.upload("bell.txt", "The bell weighs 1733 kilos.").await.json();
    let id = file["id"].as_str().unwrap();
    let wait = format!("/api/v1/files/{id}/process/status?stream=true");
    assert_eq!(ada.get(&wait).await.status, 200);

    let query = json!({"collection_name": format!("file-{id}"), "query": "How heavy is the bell?"});
    let found = ada.post("/api/v1/retrieval/query/doc", query).await;

    assert_eq!(found.status, 200, "{}", found.text());
    let report = ada.get(&format!("{USAGE}?group_by=model")).await.json();
    assert_eq!(report["rows"][0]["requests"], 1, "{report}");
    assert_eq!(report["rows"][0]["input_tokens"], 6, "{report}");
}
