//! Nothing secret is in the log, however much is logged.

use breezeway_testkit::{Reply, ScriptedUpstream};
use http::Method;
use serde_json::json;

use crate::gateway::{MODEL, Setup, chat, eventually, id_of, processed};

/// In every secret and every text of this test, and nowhere else.
const MARK: &str = "hushword";

#[tokio::test]
async fn the_log_holds_no_token_key_password_prompt_answer_or_text() {
    let upstream = ScriptedUpstream::start().await;
    upstream.demand_key(&format!("{MARK}-upstream-key"));
    let gateway = Setup::openai(&upstream)
        .set("GLOBAL_LOG_LEVEL", "trace")
        .set("OPENAI_API_KEYS", &format!("{MARK}-upstream-key"))
        .set("RAG_OPENAI_API_KEY", &format!("{MARK}-upstream-key"))
        .set("WEBUI_SECRET_KEY", &format!("{MARK}-0123456789-0123456789-0123456789"))
        .set("BREEZEWAY_ADMIN_EMAIL", "root@test.example")
        .set("BREEZEWAY_ADMIN_PASSWORD", &format!("{MARK} admin password"))
        .set("ENABLE_SIGNUP", "true")
        .start()
        .await;
    let stranger = gateway.client();
    let form = json!({"email": "root@test.example", "password": format!("{MARK} admin password")});
    let session = stranger.post_json("/api/v1/auths/signin", &form).await;
    let token = session.json()["token"].as_str().expect("signed in").to_owned();
    let client = stranger.bearer(&token);
    eventually("the model is known", async || {
        client.get("/api/models").await.text().contains(MODEL).then_some(())
    })
    .await;
    let key = client.post_json("/api/v1/auths/api_key", &json!({})).await.json();
    let key = key["api_key"].as_str().expect("a key").to_owned();

    // Accounts, rightly and wrongly.
    let wrong = json!({"email": "root@test.example", "password": format!("{MARK} wrong")});
    stranger.post_json("/api/v1/auths/signin", &wrong).await;
    stranger.post_json("/api/v1/auths/signin", &json!({"email": {"a": MARK}, "password": MARK})).await;
    let new = json!({"name": "Eve", "email": "eve@test.example", "password": format!("{MARK} new")});
    client.post_json("/api/v1/auths/add", &new).await;
    stranger.post_json("/api/v1/auths/signup", &new).await;
    let change = json!({"password": format!("{MARK} no"), "new_password": format!("{MARK} next")});
    client.post_json("/api/v1/auths/update/password", &change).await;
    stranger.bearer(&format!("sk-{MARK}")).get("/api/models").await;
    stranger.bearer(&format!("eyJ.{MARK}.{MARK}")).get("/api/models").await;
    stranger.bearer(&key).get(&format!("/api/models?token={MARK}")).await;
    stranger.with_header("x-api-key", &key).get("/api/models").await;
    stranger.with_header("cookie", &format!("token={token}")).get("/api/v1/auths/").await;

    // Chats that go well, go wrong, break off and are left.
    let prompt = format!("{MARK} prompt");
    for stream in [true, false] {
        client.post_json("/api/chat/completions", &chat(&prompt, stream)).await;
        let mut message = chat(&prompt, stream);
        message["max_tokens"] = 10.into();
        assert_eq!(client.post_json("/api/v1/messages", &message).await.status, 200);
        for reply in [
            Reply::json(500, &json!({"error": {"message": format!("you said {MARK}")}})),
            Reply::bytes(200, "application/json", format!("{{\"broken\": \"{MARK}")),
            Reply::sse([format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{MARK}\"}}}}]}}\n\n")])
                .cut_after(1),
            Reply::sse([format!("data: {MARK} no json\n\n")]),
            Reply::cut(),
        ] {
            upstream.queue("/v1/chat/completions", reply.clone());
            let body = chat(&prompt, stream).to_string();
            let json = Some("application/json");
            let _ = client.try_request(Method::POST, "/api/chat/completions", json, body).await;
        }
    }
    client.request(Method::POST, "/api/chat/completions", None, format!("{{\"{MARK}\": ")).await;
    client.post_json("/api/chat/completions", &json!({"model": MARK, "messages": MARK})).await;
    let mut left = gateway.connect().await;
    upstream.reset();
    upstream.queue("/v1/chat/completions", Reply::stall());
    left.post("/api/chat/completions", &token, &chat(&prompt, true)).await;
    upstream.wait_for("/v1/chat/completions").await;
    drop(left);

    // Files and searches.
    let text = format!("A document about the {MARK} of the lighthouse.");
    let file = id_of(&client.upload("/api/v1/files/", "plain.txt", "text/plain", text.as_bytes()).await);
    assert_eq!(processed(&client, &file).await, "completed");
    let broken = client.upload("/api/v1/files/", "broken.pdf", "application/pdf", text.as_bytes()).await;
    processed(&client, &id_of(&broken)).await;
    let search = json!({"collection_name": format!("file-{file}"), "query": format!("{MARK} query")});
    client.post_json("/api/v1/retrieval/query/doc", &search).await;
    let mut asked = chat(&prompt, true);
    asked["files"] = json!([{"type": "file", "id": file}]);
    client.post_json("/api/chat/completions", &asked).await;
    client.post_json(&format!("/api/v1/files/{file}/data/content/update"), &json!({"content": text})).await;

    // Connections with keys of their own.
    let url = upstream.openai_url();
    let config = json!({"OPENAI_API_BASE_URLS": [url], "OPENAI_API_KEYS": [format!("{MARK}-upstream-key")], "ENABLE_OPENAI_API": true, "OPENAI_API_CONFIGS": {}});
    client.post_json("/openai/config/update", &config).await;
    client.post_json("/openai/verify", &json!({"url": url, "key": format!("{MARK}-verify")})).await;
    client.get("/openai/config").await;
    client.post_json("/api/v1/auths/signout", &json!({})).await;
    eventually("the abandoned chat is told", async || gateway.log().contains("Abandoned").then_some(()))
        .await;

    let log = gateway.log();
    for secret in [MARK, token.as_str(), key.as_str(), token.rsplit('.').next().expect("a signature")] {
        let leaks: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
    assert!(log.lines().count() > 50, "there was something to look at");
    assert!(!log.contains("panicked"), "{log}");
}
