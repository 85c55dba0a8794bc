use std::time::Duration;

use breezeway_testkit::{Outcome, Reply, ScriptedUpstream};
use http::Method;
use serde_json::{Value, json};

use crate::{connection, gateway::Gateway};

const MODEL: &str = "llama3.2:latest";

#[tokio::test]
async fn anybody_may_ask_whether_it_is_alive_and_nothing_else() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;

    let alive = gateway.stranger().get("/").await;
    let head = gateway.stranger().request(Method::HEAD, "/", None, "").await;
    let stranger = gateway.stranger().get("/api/tags").await;
    let pending = gateway.pending().get("/api/version").await;

    assert_eq!(alive.json(), json!({"status": true}));
    assert_eq!(head.status, 200);
    assert_eq!((stranger.status, stranger.json()), (401, json!({"detail": "Not authenticated"})));
    assert_eq!(pending.status, 401);
    assert!(pending.text().contains("You do not have permission to access this resource."));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_request_and_its_answer_pass_byte_for_byte() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let odd = "{ \"prompt\": \"\\u00fc\",\n  \"model\" : \"llama3.2:latest\", \"x\":1.0, \"stream\":false }";
    let answer = "{\"response\" : \"ok\",\"n\":1e2}\n";
    upstream.queue("/api/generate", Reply::bytes(200, "application/json; charset=utf-8", answer));

    let answered =
        gateway.admin().request(Method::POST, "/api/generate", Some("application/json"), odd).await;

    assert_eq!(upstream.last_at("/api/generate").body(), odd);
    assert_eq!((answered.status, answered.text().as_str()), (200, answer));
    assert_eq!(answered.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answered.header("content-length"), Some(answer.len().to_string().as_str()));
}

#[tokio::test]
async fn a_name_without_its_tag_is_completed_in_its_place() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let sent = "{\"a\": 1.0,  \"model\":\"llama3.2\" ,\"input\":\"x\"}";

    // No content type, as curl's `-d` examples send it.
    let answered = gateway.admin().request(Method::POST, "/api/embed", None, sent).await;

    assert_eq!(answered.status, 200, "{}", answered.text());
    let received = upstream.last_at("/api/embed");
    assert_eq!(received.body(), "{\"a\": 1.0,  \"model\":\"llama3.2:latest\" ,\"input\":\"x\"}");
    assert_eq!(received.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn credentials_of_the_caller_stay_here_and_those_of_the_connection_are_sent() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let client = gateway
        .admin()
        .bearer("sk-caller")
        .with_header("cookie", "token=secret")
        .with_header("x-api-key", "sk-caller")
        .with_header("x-own-key", "sk-caller");

    client.post_json("/api/show", &json!({"name": MODEL})).await;

    let received = upstream.last_at("/api/show");
    assert_eq!(received.header("authorization"), Some("Bearer sk-upstream"));
    for header in ["cookie", "x-api-key", "x-own-key", "x-test-role"] {
        assert_eq!(received.header(header), None, "{header}");
    }
}

#[tokio::test]
async fn an_upstream_sets_no_cookies_here() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let reply =
        Reply::json(200, &json!({})).header("set-cookie", "token=evil").header("cache-control", "no-cache");
    upstream.queue("/api/show", reply);

    let answered = gateway.admin().post_json("/api/show", &json!({"model": MODEL})).await;

    assert_eq!(answered.header("set-cookie"), None);
    assert_eq!(answered.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn lines_arrive_while_the_model_still_talks() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    upstream.queue(
        "/api/generate",
        Reply::ndjson([json!({"response": "a"}), json!({"response": "b"})]).then_stall(),
    );

    let mut answer = gateway.admin().stream("/api/generate", &json!({"model": MODEL, "prompt": "x"})).await;

    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    assert_eq!(answer.line().await.as_deref(), Some(r#"{"response":"a"}"#));
    assert_eq!(answer.line().await.as_deref(), Some(r#"{"response":"b"}"#));
    assert_eq!(upstream.last_at("/api/generate").outcome_now(), None);
}

#[tokio::test]
async fn the_openai_routes_pass_through_too() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let question =
        json!({"model": "llama3.2", "stream": true, "messages": [{"role": "user", "content": "hi"}]});

    let streamed = gateway.admin().post_json("/v1/chat/completions", &question).await;
    let responded = gateway.admin().post_json("/v1/responses", &json!({"model": MODEL, "input": "x"})).await;

    assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    assert_eq!(upstream.last_at("/v1/chat/completions").json()["model"], MODEL);
    assert_eq!(responded.json()["output"][0]["content"][0]["text"], "scripted response");
}

#[tokio::test]
async fn errors_of_the_upstream_keep_their_status_and_text() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let connection_error = "Open WebUI: Server Connection Error";
    for (reply, status, body) in [
        (
            Reply::json(404, &json!({"error": "model requires more memory"})),
            404,
            json!({"error": "model requires more memory", "detail": "model requires more memory"}),
        ),
        (Reply::json(400, &json!({"error": {"message": "no"}})), 400, json!({"error": {"message": "no"}})),
        (
            Reply::bytes(404, "text/plain", "404 page not found"),
            404,
            json!({"error": "404 page not found", "detail": "404 page not found"}),
        ),
        (
            Reply::bytes(502, "text/html", "<html>"),
            502,
            json!({"error": connection_error, "detail": connection_error}),
        ),
        (Reply::cut(), 502, json!({"error": connection_error, "detail": connection_error})),
    ] {
        upstream.queue("/api/chat", reply);

        let answered = gateway.admin().post_json("/api/chat", &json!({"model": MODEL, "messages": []})).await;

        assert_eq!((answered.status, answered.json()), (status, body));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_not_made_to_look_complete() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    upstream.queue("/api/generate", Reply::ndjson([json!({"response": "a"}), json!({})]).cut_after(1));

    let mut answer = gateway.admin().stream("/api/generate", &json!({"model": MODEL, "prompt": "x"})).await;

    assert_eq!(answer.piece().await.expect("a line comes").expect("and whole"), "{\"response\":\"a\"}\n");
    assert!(answer.piece().await.expect("and then").is_err());
}

#[tokio::test]
async fn an_upstream_that_is_too_slow_is_a_gateway_timeout() {
    let upstream = ScriptedUpstream::start().await;
    let mut slow = connection(&upstream, 0);
    slow.timeout = Some(Duration::from_millis(300));
    let gateway = Gateway::start(vec![slow], &[]).await;
    upstream.queue("/api/show", Reply::stall());

    let answered = gateway.admin().post_json("/api/show", &json!({"model": MODEL})).await;

    assert_eq!(answered.status, 504);
    assert_eq!(upstream.last_at("/api/show").outcome().await, Outcome::ClientLeft);
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused_before_the_upstream() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let too_long = format!("{{\"model\":\"{MODEL}\",\"prompt\":\"{}\"}}", "x".repeat(5000));
    for (body, status, kind) in [
        ("{broken", 422, "json_invalid"),
        ("[1]", 422, "dict_type"),
        ("", 422, "missing"),
        ("{}", 422, "missing"),
        ("{\"model\":7}", 422, "string_type"),
        ("{\"model\":\"llama3.2:latest\",\"MODEL\":\"other\"}", 422, "value_error"),
        (&too_long, 413, ""),
    ] {
        let answered = gateway
            .admin()
            .request(Method::POST, "/api/generate", Some("application/json"), body.to_owned())
            .await;

        assert_eq!(answered.status, status, "{body}");
        assert_eq!(answered.json()["detail"][0]["type"].as_str().unwrap_or_default(), kind, "{body}");
    }
    assert!(upstream.received_at("/api/generate").is_empty());
}

#[tokio::test]
async fn only_the_known_routes_are_open() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;

    let unknown = gateway.admin().get("/api/experimental").await;
    let wrong = gateway.admin().get("/api/generate").await;
    let outside = gateway.admin().get("/api/blobs/..%2f..%2fapi%2fdelete").await;

    assert_eq!((unknown.status, unknown.json()), (404, json!({"detail": "Not Found"})));
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    assert_eq!(outside.status, 404);
}

#[tokio::test]
async fn without_a_connection_the_api_is_off() {
    let upstream = ScriptedUpstream::start().await;
    let mut off = connection(&upstream, 0);
    off.enabled = false;
    let gateway = Gateway::start(vec![off], &[]).await;

    let answered = gateway.admin().get("/api/tags").await;

    let text = "The Ollama API is disabled. Please enable it to use this feature.";
    assert_eq!((answered.status, answered.json()), (503, json!({ "detail": text })));
}

#[tokio::test]
async fn everything_that_changes_models_is_for_admins() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::start(vec![connection(&upstream, 0)], &[MODEL]).await;
    let body = json!({"model": MODEL, "source": MODEL, "destination": "copy"}).to_string();
    for (method, path) in [
        (Method::GET, "/api/ps"),
        (Method::POST, "/api/pull"),
        (Method::POST, "/api/create"),
        (Method::POST, "/api/push"),
        (Method::DELETE, "/api/push"),
        (Method::POST, "/api/copy"),
        (Method::DELETE, "/api/delete"),
        (Method::POST, "/api/unload"),
        (Method::POST, "/api/blobs/sha256:abc"),
    ] {
        let json = Some("application/json");

        let user = gateway.user().request(method.clone(), path, json, body.clone()).await;
        let admin = gateway.admin().request(method.clone(), path, json, body.clone()).await;

        assert_eq!(user.status, 401, "{method} {path}");
        assert!(admin.status < 300, "{method} {path}: {}", admin.summary());
    }
    assert_eq!(upstream.received_at("/api/push")[1].method, Method::POST);
    let unload = upstream.last_at("/api/generate").json();
    assert_eq!((&unload["model"], &unload["keep_alive"]), (&json!(MODEL), &json!(0)));
}

#[tokio::test]
async fn a_model_that_was_just_pulled_is_found() {
    let upstream = ScriptedUpstream::with_models(["old:latest"]).await;
    let gateway = Gateway::over(&upstream).await;
    let question = json!({"model": "new", "prompt": "x", "stream": false});
    let before = gateway.admin().post_json("/api/generate", &question).await;
    upstream.set_models(["old:latest", "new:latest"]);

    let pulled = gateway.admin().post_json("/api/pull", &json!({"model": "new"})).await;
    let after = gateway.admin().post_json("/api/generate", &question).await;
    upstream.set_models(["old:latest"]);
    let body = json!({"model": "new"}).to_string();
    let deleted =
        gateway.admin().request(Method::DELETE, "/api/delete", Some("application/json"), body).await;
    let gone = gateway.admin().post_json("/api/generate", &question).await;

    assert_eq!(before.status, 400);
    assert!(pulled.text().ends_with("{\"status\":\"success\"}\n"));
    assert_eq!(after.status, 200, "{}", after.text());
    assert_eq!(deleted.json(), Value::Bool(true));
    assert_eq!(upstream.last_at("/api/delete").json(), json!({"model": "new:latest"}));
    assert_eq!(gone.status, 400);
}
