//! The audit log: what is written into it, who may read it, and what it never says.

use breezeway::parts::auth::{Action, AuditEvent};
use insta::assert_snapshot;
use serde_json::{Map, Value, json};

use crate::{
    harness::{Client, PASSWORD, TestServer, grant},
    sweeps::processed,
};

const AUDIT: &str = "/api/v1/audit";

/// The log as lines, earliest first: what, by whom, to what.
async fn log(admin: &Client, query: &str) -> Vec<String> {
    let page = admin.get(&format!("{AUDIT}?limit=1000{query}")).await;
    assert_eq!(page.status, 200, "{}", page.summary());
    let page = page.json();
    let line = |entry: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let (actor, target) = (text(&entry["actor"]["email"]), text(&entry["target"]["kind"]));
        format!("{} by {actor} to {target} {}", text(&entry["action"]), entry["detail"])
    };
    page["items"].as_array().unwrap().iter().rev().map(line).collect()
}

/// Ids differ from run to run.
fn without_ids(lines: &[String], ids: &[(&str, &str)]) -> String {
    let mut text = lines.join("\n");
    for (id, name) in ids {
        text = text.replace(id, name);
    }
    text
}

#[tokio::test]
async fn what_is_done_to_accounts_keys_groups_and_settings_is_written_down() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let form = json!({"email": " Eve@Example.org", "password": PASSWORD});
    let session = server.stranger().post("/api/v1/auths/signin", form).await;
    let eve_again = server.stranger().signed_in(&session.json());
    eve_again.post("/api/v1/auths/signout", ()).await;
    let change = json!({"password": PASSWORD, "new_password": "battery staple"});
    eve.post("/api/v1/auths/update/password", change).await;

    ada.post("/api/v1/auths/api_key", ()).await;
    ada.delete("/api/v1/auths/api_key").await;
    let key = ada.post("/api/v1/auths/api_keys", json!({"name": "ci", "read_only": true})).await.json();
    let key = format!("/api/v1/auths/api_keys/{}", key["id"].as_str().unwrap());
    ada.post(&format!("{key}/update"), json!({"requests_per_minute": 5})).await;
    ada.delete(&key).await;
    let user = format!("/api/v1/users/{}", eve.id);
    ada.post(&format!("{user}/update"), json!({"role": "admin", "password": "secret", "name": "Eva"})).await;
    ada.post(&format!("{user}/sessions/revoke"), ()).await;
    let group = ada.post("/api/v1/groups/create", json!({"name": "staff", "description": ""})).await.json();
    let group = format!("/api/v1/groups/id/{}", group["id"].as_str().unwrap());
    ada.post(&format!("{group}/users/add"), json!({"user_ids": [eve.id]})).await;
    ada.delete(&format!("{group}/delete")).await;
    ada.post("/api/v1/auths/admin/config", json!({"ENABLE_SIGNUP": false})).await;
    ada.post("/api/v1/users/default/permissions", json!({"chat": {"delete": true}})).await;
    ada.post("/api/v1/retrieval/config/update", json!({"TOP_K": 4})).await;
    let url = upstreams.openai.openai_url();
    let connections = json!({"OPENAI_API_BASE_URLS": [url], "OPENAI_API_KEYS": ["sk-of-the-upstream"]});
    ada.post("/openai/config/update", connections).await;
    ada.delete("/api/v1/files/all").await;
    ada.delete(&user).await;

    let lines = without_ids(&log(&ada, "").await, &[(&eve.id, "[eve]"), (&ada.id, "[ada]")]);
    assert_snapshot!(lines, @r#"
    sign_up by ada@example.org to account {"role":"admin"}
    account_created by ada@example.org to account {"email":"eve@example.org","role":"user"}
    sign_in by eve@example.org to account {"method":"password"}
    sign_out by eve@example.org to account {}
    password_changed by eve@example.org to account {}
    key_created by ada@example.org to api_key {}
    key_revoked by ada@example.org to api_key {}
    key_created by ada@example.org to api_key {"name":"ci","read_only":true}
    key_updated by ada@example.org to api_key {"name":"ci","read_only":true,"requests_per_minute":5}
    key_revoked by ada@example.org to api_key {"owner":"[ada]"}
    role_changed by ada@example.org to account {"from":"user","to":"admin"}
    password_changed by ada@example.org to account {}
    account_updated by ada@example.org to account {"email":"eve@example.org","former_email":"eve@example.org"}
    sessions_revoked by ada@example.org to account {}
    group_created by ada@example.org to group {"name":"staff","members_added":null,"members_removed":null}
    group_updated by ada@example.org to group {"name":"staff","members_added":["[eve]"],"members_removed":[]}
    group_deleted by ada@example.org to group {"name":"staff","members_added":null,"members_removed":null}
    settings_changed by ada@example.org to settings {"fields":["ENABLE_SIGNUP"]}
    settings_changed by ada@example.org to settings {}
    settings_changed by ada@example.org to settings {"fields":["TOP_K"]}
    connections_changed by ada@example.org to connections {"hosts":["127.0.0.1"]}
    reset by ada@example.org to file {}
    account_deleted by ada@example.org to account {"email":"eve@example.org","transferred_to":null}
    "#);
    for secret in [PASSWORD, "battery staple", "sk-", "secret", "eyJ", "argon2"] {
        assert!(!ada.get(AUDIT).await.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn sign_ins_that_fail_are_written_down_alike_whether_or_not_there_is_such_an_account() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let stranger = server.stranger().at_address("192.0.2.7").with_header("x-request-id", "req-1");
    let try_in = async |email: &str| {
        let form = json!({"email": email, "password": "wrong"});
        stranger.post("/api/v1/auths/signin", form).await.summary()
    };

    let (known, unknown) = (try_in("Ada@example.org").await, try_in("nobody@example.org").await);
    assert_eq!(known, unknown);
    for _ in 0..30 {
        try_in("ada@example.org").await;
    }

    let failures = ada.get(&format!("{AUDIT}?action=sign_in_failed&target=nobody@example.org")).await;
    assert_snapshot!(failures.summary(), @r#"
    200 OK
    {
      "items": [
        {
          "id": 3,
          "at": 1800000001,
          "action": "sign_in_failed",
          "actor": null,
          "target": {
            "kind": "email",
            "id": "nobody@example.org"
          },
          "address": "192.0.2.7",
          "request_id": "req-1",
          "detail": {}
        }
      ],
      "next": null
    }
    "#);
    let of_ada = log(&ada, "&target=ada@example.org").await;
    let throttled = of_ada.iter().filter(|line| line.starts_with("throttled")).count();
    assert_eq!((of_ada.len(), throttled), (16, 1), "a flood of refusals is one entry");
}

#[tokio::test]
async fn an_admin_who_looks_at_what_is_anothers_is_written_down() {
    let mut server = TestServer::start().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let tree = json!({"workspace": {"knowledge": true}, "sharing": {"knowledge": true}});
    ada.post("/api/v1/users/default/permissions", tree).await;
    let file = eve.upload("diary.txt", "Dear diary.").await.json()["id"].as_str().unwrap().to_owned();
    processed(&eve, &file).await;
    let form = json!({"name": "notes", "description": ""});
    let notes = eve.post("/api/v1/knowledge/create", form).await.json();
    let notes = notes["id"].as_str().unwrap().to_owned();
    let looks = async || {
        for path in [
            format!("/api/v1/files/{file}"),
            format!("/api/v1/files/{file}/content"),
            format!("/api/v1/files/{file}/data/content"),
            format!("/api/v1/knowledge/{notes}"),
        ] {
            for client in [&eve, &ada] {
                assert_eq!(client.get(&path).await.status, 200, "{path}");
            }
        }
        ada.get(&format!("/api/v1/knowledge/{notes}/export")).await;
        ada.get(&format!("/api/v1/knowledge/{notes}/files")).await;
        for collection in [&notes, &format!("file-{file}")] {
            let query = json!({"collection_names": [collection], "query": "diary"});
            assert_eq!(ada.post("/api/v1/retrieval/query/collection", query).await.status, 200);
            let query = json!({"collection_name": collection, "query": "diary"});
            assert_eq!(ada.post("/api/v1/retrieval/query/doc", query).await.status, 200);
        }
    };

    looks().await;
    let lines = log(&ada, "&action=foreign_read").await;
    assert_snapshot!(without_ids(&lines, &[(&eve.id, "[eve]")]), @r#"
    foreign_read by ada@example.org to file {"owner":"[eve]"}
    foreign_read by ada@example.org to file {"owner":"[eve]"}
    foreign_read by ada@example.org to file {"owner":"[eve]"}
    foreign_read by ada@example.org to knowledge {"owner":"[eve]"}
    foreign_read by ada@example.org to knowledge {"owner":"[eve]"}
    foreign_read by ada@example.org to knowledge {"owner":"[eve]"}
    foreign_read by ada@example.org to knowledge {"owner":"[eve]"}
    foreign_read by ada@example.org to knowledge {"owner":"[eve]"}
    foreign_read by ada@example.org to file {"owner":"[eve]"}
    foreign_read by ada@example.org to file {"owner":"[eve]"}
    "#);

    // Knowledge that is shared with her is hers to read.
    let share = json!({"access_grants": [grant("user", &ada.id, "read")]});
    let shared = eve.post(&format!("/api/v1/knowledge/{notes}/access/update"), share).await;
    assert_eq!(shared.status, 200, "{}", shared.summary());
    looks().await;
    let lines = log(&ada, "&action=foreign_read").await;
    assert_eq!(lines.iter().filter(|line| line.contains("knowledge")).count(), 5);
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_exported_whole_by_admins_alone() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let event = AuditEvent {
        at: server.clock.now(),
        action: Action::SignOut,
        actor: None,
        target: None,
        address: None,
        request_id: None,
        detail: Map::new(),
    };
    for _ in 0..1100 {
        server.breezeway.audit().report(event.clone()).await;
    }

    let first = ada.get(&format!("{AUDIT}?limit=2")).await.json();
    let next = ada.get(&format!("{AUDIT}?limit=2&before={}", first["next"])).await.json();
    let export = ada.get(&format!("{AUDIT}/export")).await;

    let ids = |page: &Value| -> Vec<u64> {
        page["items"].as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect()
    };
    let lines: Vec<Value> = export.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap()["id"].as_u64().unwrap();
    assert_eq!((ids(&first), ids(&next)), (vec![last, last - 1], vec![last - 2, last - 3]));
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    assert!(lines.windows(2).all(|pair| pair[0]["id"].as_u64() < pair[1]["id"].as_u64()));
    assert_eq!(lines[0]["action"], "sign_up");
    let sign_up = ada.get(&format!("{AUDIT}/export?action=sign_up")).await;
    assert_eq!(sign_up.text().lines().count(), 1);
    for path in [AUDIT.to_owned(), format!("{AUDIT}/export")] {
        assert_eq!(eve.get(&path).await.summary(), eve.get("/api/v1/users/").await.summary(), "{path}");
    }
    assert_snapshot!(ada.get(&format!("{AUDIT}?action=dance")).await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "value_error",
          "loc": [
            "query",
            "action"
          ],
          "msg": "`dance` is no action of the audit log",
          "input": "…"
        }
      ]
    }
    "#);
    assert_eq!(ada.get(&format!("{AUDIT}?since=soon")).await.status, 422);
    assert_eq!(ada.get(&format!("{AUDIT}?limit=0")).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_chat_that_looks_into_what_is_anothers_is_written_down_once_in_a_while() {
    let (mut server, _upstreams) = TestServer::with_upstreams().await;
    server.run();
    let (ada, eve) = (server.sign_up("ada").await, server.sign_up("eve").await);
    ada.post("/api/v1/users/default/permissions", json!({"workspace": {"knowledge": true}})).await;
    let made = eve.post("/api/v1/knowledge/create", json!({"name": "notes", "description": ""})).await;
    let notes = made.json()["id"].as_str().unwrap().to_owned();
    let ask = async || {
        let body = json!({
            "model": "gpt-small",
            "messages": [{"role": "user", "content": "What is new?"}],
            "files": [{"type": "collection", "id": notes}],
        });
        assert_eq!(ada.post("/api/chat/completions", body).await.status, 200);
    };

    ask().await;
    ask().await;
    server.pass(600);
    ask().await;

    let lines = log(&ada, "&action=foreign_read").await;
    assert_snapshot!(without_ids(&lines, &[(&eve.id, "[eve]")]), @r#"
    foreign_read by ada@example.org to knowledge {"owner":"[eve]","by":"chat"}
    foreign_read by ada@example.org to knowledge {"owner":"[eve]","by":"chat"}
    "#);
}

#[tokio::test]
async fn what_is_deleted_or_shared_is_written_down() {
    let (mut server, _upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let id = |answer: crate::harness::Answer| answer.json()["id"].as_str().unwrap().to_owned();
    let file = id(ada.upload("a.txt", "Some text.").await);
    let notes = id(ada.post("/api/v1/knowledge/create", json!({"name": "n", "description": ""})).await);
    let overlay =
        json!({"id": "mine", "name": "Mine", "base_model_id": "gpt-small", "meta": {}, "params": {}});
    ada.post("/api/v1/models/create", overlay).await;
    let folder = id(ada.post("/api/v1/folders/", json!({"name": "letters"})).await);
    let store = id(ada.post("/v1/vector_stores", json!({"name": "s"})).await);
    let other = id(ada.upload("b.txt", "Other text.").await);
    let chat = id(ada.post("/api/v1/chats/new", json!({"chat": {"title": "t"}})).await);
    let steps = [
        (http::Method::POST, format!("/api/v1/chats/{chat}/share")),
        (http::Method::DELETE, format!("/api/v1/chats/{chat}/share")),
        (http::Method::DELETE, format!("/api/v1/chats/{chat}")),
        (http::Method::DELETE, format!("/api/v1/chats/{chat}")),
        (http::Method::DELETE, "/api/v1/chats/".to_owned()),
        (http::Method::DELETE, format!("/api/v1/folders/{folder}")),
        (http::Method::POST, format!("/api/v1/knowledge/{notes}/reset")),
        (http::Method::DELETE, format!("/api/v1/knowledge/{notes}/delete")),
        (http::Method::DELETE, format!("/api/v1/files/{file}")),
        (http::Method::DELETE, format!("/v1/vector_stores/{store}")),
        (http::Method::DELETE, format!("/v1/files/{other}")),
    ];

    for (method, path) in steps {
        ada.send(method, &path, bytes::Bytes::new()).await;
    }
    ada.post("/api/v1/models/model/delete", json!({"id": "mine"})).await;

    assert_snapshot!(log(&ada, "").await[1..].join("\n"), @r#"
    shared by ada@example.org to chat {}
    unshared by ada@example.org to chat {}
    deleted by ada@example.org to chat {}
    deleted by ada@example.org to chat {}
    deleted by ada@example.org to folder {"with_chats":true}
    reset by ada@example.org to knowledge {}
    deleted by ada@example.org to knowledge {}
    deleted by ada@example.org to file {}
    deleted by ada@example.org to knowledge {}
    deleted by ada@example.org to file {}
    deleted by ada@example.org to model {}
    "#);
}

#[tokio::test]
async fn the_address_is_the_one_that_the_trusted_proxy_has_seen() {
    let server = TestServer::with(|config| config.middleware.proxies = vec!["10.0.0.0/8".into()]).await;
    let ada = server.sign_up("ada").await;
    let try_in = async |peer: &str, forwarded: &str| {
        let stranger = server.stranger().at_address(peer).with_header("x-forwarded-for", forwarded);
        let form = json!({"email": format!("{peer}@example.org"), "password": "wrong"});
        stranger.post("/api/v1/auths/signin", form).await;
        let entry = ada.get(&format!("{AUDIT}?limit=1&action=sign_in_failed")).await.json();
        entry["items"][0]["address"].as_str().unwrap().to_owned()
    };

    assert_eq!(try_in("10.0.0.1", "127.0.0.1, 198.51.100.1").await, "198.51.100.1");
    assert_eq!(try_in("192.0.2.7", "198.51.100.1").await, "192.0.2.7");
}

#[tokio::test]
async fn entries_older_than_they_are_to_be_kept_go_and_that_is_written_down() {
    let mut server = TestServer::with(|config| config.audit_days = Some(7)).await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    server.breezeway.audit().flush().await.unwrap();
    server.pass(8 * 86_400);
    let now = json!({"role": "admin"});
    ada.post(&format!("/api/v1/users/{}/update", eve.id), now).await;
    server.breezeway.audit().flush().await.unwrap();

    server.run();

    let lines = crate::harness::eventually("the end of old entries", async || {
        let lines = log(&ada, "").await;
        lines.iter().any(|line| line.starts_with("log_trimmed")).then_some(lines)
    })
    .await;
    assert_snapshot!(lines.join("\n"), @r#"
    role_changed by ada@example.org to account {"from":"user","to":"admin"}
    log_trimmed by - to audit {"entries":2,"before":1800086402}
    "#);
}
