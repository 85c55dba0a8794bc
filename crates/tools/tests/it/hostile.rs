use breezeway_testkit::{Outcome, Reply};

use super::*;

async fn refused(upstream: &ScriptedUpstream) -> String {
    let server = server(ToolServerKind::OpenApi, upstream.url());
    let asked = ToolServers::new(HttpClient::default()).inspect(&server).await;
    asked.expect_err("the description is refused").to_string()
}

#[tokio::test]
async fn descriptions_that_are_none_are_refused_with_a_reason() {
    let check = async |reply: Reply, expected: &str| {
        let upstream = ScriptedUpstream::start().await;
        upstream.queue("/openapi.json", reply);
        let why = refused(&upstream).await;
        assert!(why.contains(expected), "{why}");
        assert!(!why.contains(KEY), "{why}");
    };

    check(Reply::bytes(200, "text/html; charset=utf-8", "<html>"), "it is a web page").await;
    check(Reply::bytes(200, "application/json", "{"), "it is no JSON").await;
    check(Reply::json(200, &json!({"a": 1})), "it has no `paths`").await;
    check(Reply::bytes(200, "application/json", vec![b' '; 5 << 20]), "longer than").await;
    check(Reply::bytes(302, "", "").header("location", "http://127.0.0.1:1/"), "neither success").await;
    check(Reply::json(401, &json!({"error": KEY})), "answered 401").await;
    check(Reply::cut(), "broke off").await;
}

#[tokio::test]
async fn a_description_without_end_is_given_up() {
    let upstream = ScriptedUpstream::start().await;
    let piece = vec![b'['; 1 << 20];
    upstream.queue("/openapi.json", Reply::pieces("application/json", vec![piece; 64]).then_stall());

    let why = refused(&upstream).await;

    assert!(why.contains("longer than"), "{why}");
    assert_eq!(upstream.last_at("/openapi.json").outcome().await, Outcome::ClientLeft);
}

#[tokio::test]
async fn a_description_that_stalls_is_given_up() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue("/openapi.json", Reply::pieces("application/json", ["{"]).then_stall());

    let (why, ()) = tokio::join!(refused(&upstream), async {
        upstream.wait_for("/openapi.json").await;
        tokio::time::pause();
    });

    assert!(why.contains("took longer than 10s"), "{why}");
}

#[tokio::test]
async fn results_are_bounded_and_hold_no_secret() {
    let paths = ["/endless", "/page", "/moved", "/binary", "/echo", "/fails", "/gone", "/stalls"];
    let upstream = described(&document(&paths)).await;
    let many = Reply::pieces("text/plain", vec![vec![b'x'; 1 << 20]; 64]).then_stall();
    upstream.queue("/endless", many);
    upstream.queue("/page", Reply::bytes(200, "text/html", "<html>sign in</html>"));
    upstream.queue("/moved", Reply::bytes(307, "", "").header("location", &upstream.openai_url()));
    upstream.queue("/binary", Reply::bytes(200, "image/png", vec![0x89, 0, 1]));
    upstream.queue("/echo", Reply::json(200, &json!({"authorization": format!("Bearer {KEY}")})));
    upstream.queue("/fails", Reply::json(400, &json!({"detail": format!("bad key {KEY}")})));
    upstream.queue("/gone", Reply::cut());
    upstream.queue("/stalls", Reply::stall());
    let servers = servers(vec![server(ToolServerKind::OpenApi, upstream.url())]);
    let tools = tools(&servers, "server:0").await;
    let ask = async |name: &str| call(&tools, name, json!({})).await.map_err(|failure| failure.0);

    let endless = ask("endless").await.unwrap();
    assert!(endless.len() < (1 << 20) + 100 && endless.ends_with("[the rest was not read]"));
    assert_eq!(upstream.last_at("/endless").outcome().await, Outcome::ClientLeft);
    let failures = [
        ("page", "it answered with a web page instead of data"),
        ("moved", "its server gave no proper answer"),
        ("fails", "it answered 400: bad key [secret]"),
        ("gone", "its server broke off"),
    ];
    for (name, expected) in failures {
        assert_eq!(ask(name).await, Err(expected.to_owned()), "{name}");
    }
    assert_eq!(ask("binary").await.unwrap(), "(3 bytes of \"image/png\", which is no text)");
    assert_eq!(ask("echo").await.unwrap(), r#"{"authorization":"Bearer [secret]"}"#);
    assert_eq!(upstream.received_at("/v1").len(), 0);

    let (stalled, ()) = tokio::join!(ask("stalls"), async {
        upstream.wait_for("/stalls").await;
        tokio::time::pause();
    });
    assert_eq!(stalled, Err("it took too long".to_owned()));
}

#[tokio::test]
async fn a_call_that_is_given_up_closes_its_connection() {
    let upstream = described(&document(&["/stalls"])).await;
    upstream.queue("/stalls", Reply::stall());
    let servers = servers(vec![server(ToolServerKind::OpenApi, upstream.url())]);
    let tools = tools(&servers, "server:0").await;

    tokio::select! {
        _ = call(&tools, "stalls", json!({})) => panic!("it stalls"),
        _ = upstream.wait_for("/stalls") => {}
    }

    assert_eq!(upstream.last_at("/stalls").outcome().await, Outcome::ClientLeft);
}

#[tokio::test]
async fn a_path_cannot_leave_the_server() {
    let mut document = document(&[]);
    document["paths"]["/files/{name}"] = json!({"get": {"operationId": "file",
        "parameters": [{"name": "name", "in": "path", "schema": {}}]}});
    let upstream = described(&document).await;
    let servers = servers(vec![server(ToolServerKind::OpenApi, format!("{}/base", upstream.url()))]);
    upstream.always("/base/openapi.json", Reply::json(200, &document));
    let tools = tools(&servers, "server:0").await;

    for name in ["..", "../x", "..%2f", "a/../../b"] {
        let _ = call(&tools, "file", json!({"name": name})).await;
    }

    let paths: Vec<_> = upstream.received().iter().map(|received| received.path.clone()).collect();
    let stays = |path: &String| path.starts_with("/base/") && path.split('/').all(|part| part != "..");
    assert!(paths.len() > 1 && paths.iter().all(stays), "{paths:?}");
}

#[tokio::test]
async fn servers_that_cannot_be_used_are_refused_and_change_nothing() {
    let upstream = described(&document(&["/weather"])).await;
    let servers = servers(vec![server(ToolServerKind::OpenApi, upstream.url())]);

    for url in ["", "weather", "ftp://x", "http://", "http://ada:pw@x"] {
        let refused = servers.set(vec![server(ToolServerKind::Mcp, url.to_owned())]);
        let why = refused.expect_err(url).to_string();
        assert!(!why.contains("pw@"), "{why}");
    }

    assert_eq!(servers.all().len(), 1);
    assert_eq!(tools(&servers, "server:0").await.len(), 1);
}
