//! `/api/v1/users`: what admins do with accounts, and what everybody keeps about themselves.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn an_admin_lists_accounts() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    server.sign_up("eve").await;

    assert_snapshot!(ada.get("/api/v1/users/?query=EVE").await.summary(), @r#"
    200 OK
    {
      "users": [
        {
          "id": "[id]",
          "name": "eve",
          "role": "user",
          "email": "eve@example.org",
          "profile_image_url": "/api/v1/users/[id]/profile/image",
          "username": null,
          "bio": null,
          "gender": null,
          "date_of_birth": null,
          "status_emoji": null,
          "status_message": null,
          "status_expires_at": null,
          "is_active": true,
          "last_active_at": 1800000002,
          "updated_at": 1800000002,
          "created_at": 1800000002,
          "group_ids": []
        }
      ],
      "total": 1
    }
    "#);
    let names = async |path: &str| {
        let users = ada.get(path).await.json()["users"].clone();
        let names: Vec<_> = users.as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
        json!(names)
    };
    assert_eq!(names("/api/v1/users/").await, json!(["ada", "eve"]));
    assert_eq!(names("/api/v1/users/all").await, json!(["ada", "eve"]));
    assert_eq!(names("/api/v1/users/?order_by=name&direction=desc").await, json!(["eve", "ada"]));
    assert_eq!(names("/api/v1/users/?page=2").await, json!([]));
    assert_eq!(ada.get("/api/v1/users/?page=2").await.json()["total"], 2);
    assert_snapshot!(ada.get("/api/v1/users/?page=x").await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "value_error",
          "loc": [
            "query",
            "page"
          ],
          "msg": "invalid digit found in string",
          "input": null
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn an_admin_sees_one_account() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    assert_snapshot!(ada.get(&format!("/api/v1/users/{}", ada.id)).await.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "ada",
      "role": "admin",
      "email": "ada@example.org",
      "profile_image_url": "/api/v1/users/[id]/profile/image",
      "username": null,
      "bio": null,
      "gender": null,
      "date_of_birth": null,
      "status_emoji": null,
      "status_message": null,
      "status_expires_at": null,
      "is_active": true,
      "last_active_at": 1800000001,
      "updated_at": 1800000001,
      "created_at": 1800000001,
      "group_ids": [],
      "groups": []
    }
    "#);
    assert_snapshot!(ada.get("/api/v1/users/nobody").await.summary(), @r#"
    400 Bad Request
    {"detail":"We could not find what you're looking for :/"}
    "#);
}

#[tokio::test]
async fn an_admin_changes_an_account_and_it_counts_at_once() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let path = format!("/api/v1/users/{}/update", eve.id);

    let promoted = ada.post(&path, json!({"role": "admin", "name": "Eve", "email": "Eve@New.org"})).await;
    assert_snapshot!(promoted.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "Eve",
      "role": "admin",
      "email": "eve@new.org",
      "profile_image_url": "/api/v1/users/[id]/profile/image",
      "username": null,
      "bio": null,
      "gender": null,
      "date_of_birth": null,
      "status_emoji": null,
      "status_message": null,
      "status_expires_at": null,
      "is_active": true,
      "last_active_at": 1800000002,
      "updated_at": 1800000002,
      "created_at": 1800000002,
      "group_ids": []
    }
    "#);
    assert_eq!(eve.get("/api/v1/users/").await.status, 200);

    assert_eq!(ada.post(&path, json!({"role": "pending"})).await.status, 200);
    assert_eq!(eve.get("/api/models").await.status, 401);

    assert_eq!(ada.post(&path, json!({"role": "user", "password": "battery staple"})).await.status, 200);
    assert_snapshot!(eve.get("/api/models").await.summary(), @r#"
    401 Unauthorized
    {"detail":"Invalid token"}
    "#);

    assert_snapshot!(ada.post(&path, json!({"email": "ada@example.org"})).await.summary(), @r#"
    400 Bad Request
    {
      "detail": "Uh-oh! This email is already registered. Sign in with your existing account or choose another email to start anew."
    }
    "#);
    assert_snapshot!(ada.post(&path, json!({"role": "owner"})).await.summary(), @r#"
    400 Bad Request
    {"detail":"`owner` is no role; use `admin`, `user` or `pending`"}
    "#);
    assert_snapshot!(ada.post("/api/v1/users/nobody/update", json!({"role": "user"})).await.summary(), @r#"
    400 Bad Request
    {"detail":"We could not find what you're looking for :/"}
    "#);
}

#[tokio::test]
async fn a_deleted_account_is_gone_at_once_and_can_be_deleted_again() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    ada.post("/api/v1/users/default/permissions", json!({"features": {"api_keys": true}})).await;
    let program = eve.with_api_key().await;
    let path = format!("/api/v1/users/{}", eve.id);

    assert_snapshot!(ada.delete(&path).await.summary(), @r#"
    200 OK
    true
    "#);
    assert_snapshot!(ada.delete(&path).await.summary(), @r#"
    200 OK
    true
    "#);

    assert_eq!(eve.get("/api/models").await.status, 401);
    assert_eq!(program.get("/api/models").await.status, 401);
    assert_eq!(ada.get("/api/v1/users/").await.json()["total"], 1);
}

#[tokio::test]
async fn somebody_stays_in_charge() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let path = format!("/api/v1/users/{}", ada.id);

    assert_snapshot!(ada.delete(&path).await.summary(), @r#"
    403 Forbidden
    {"detail":"The last admin can be neither deleted nor demoted."}
    "#);
    assert_eq!(ada.post(&format!("{path}/update"), json!({"role": "user"})).await.status, 403);
}

#[tokio::test]
async fn everybody_finds_others_to_share_with() {
    let server = TestServer::start().await;
    server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    assert_snapshot!(eve.get("/api/v1/users/search?query=ad").await.summary(), @r#"
    200 OK
    {
      "users": [
        {
          "id": "[id]",
          "name": "ada",
          "role": "admin",
          "email": "ada@example.org",
          "profile_image_url": "/api/v1/users/[id]/profile/image"
        }
      ],
      "total": 1
    }
    "#);
}

#[tokio::test]
async fn everybody_sees_who_is_there() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    server.pass(600);
    let path = |what: &str| format!("/api/v1/users/{}/{what}", ada.id);

    assert_snapshot!(eve.get(&path("info")).await.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "ada",
      "role": "admin",
      "email": "ada@example.org",
      "profile_image_url": "/api/v1/users/[id]/profile/image",
      "bio": null,
      "status_emoji": null,
      "status_message": null,
      "status_expires_at": null,
      "timezone": null,
      "groups": [],
      "is_active": false,
      "last_active_at": 1800000001
    }
    "#);
    assert_snapshot!(eve.get(&path("active")).await.summary(), @r#"
    200 OK
    {"active":false}
    "#);

    ada.get("/api/models").await;
    server.breezeway.auth().flush().await.unwrap();
    assert_eq!(eve.get(&path("active")).await.json(), json!({"active": true}));
    assert_eq!(eve.get("/api/v1/users/nobody/info").await.status, 400);
}

#[tokio::test]
async fn the_default_permissions_are_read_and_changed() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let path = "/api/v1/users/default/permissions";

    let changed =
        ada.post(path, json!({"workspace": {"knowledge": true}, "future": {"teleport": true}})).await;

    assert_eq!(changed.status, 200);
    assert_eq!(changed.json(), ada.get(path).await.json());
    assert_eq!(changed.json()["future"]["teleport"], true);
    let own = eve.get("/api/v1/users/permissions").await.json();
    assert_eq!((&own["workspace"]["knowledge"], &own["workspace"]["models"]), (&json!(true), &json!(false)));
    let first = ada.get("/api/v1/users/default/permissions/defaults").await.json();
    assert_eq!(first["workspace"]["knowledge"], false);
    assert_snapshot!(ada.post(path, json!([])).await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "dict_type",
          "loc": [
            "body"
          ],
          "msg": "Input should be a valid dictionary",
          "input": null
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn pages_keep_settings_and_fields_for_the_caller() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    for (read, update) in [
        ("/api/v1/users/user/settings", "/api/v1/users/user/settings/update"),
        ("/api/v1/users/user/info", "/api/v1/users/user/info/update"),
    ] {
        assert_eq!(ada.get(read).await.text(), "null");
        ada.post(update, json!({"ui": {"theme": "dark"}, "a": 1})).await;
        let changed = ada.post(update, json!({"a": 2})).await;

        assert_eq!(changed.json(), json!({"ui": {"theme": "dark"}, "a": 2}));
        assert_eq!(ada.get(read).await.json(), changed.json());
        assert_eq!(eve.get(read).await.text(), "null");
        assert_eq!(ada.post(update, json!({"b": "x".repeat(300 << 10)})).await.status, 413);
    }
}

#[tokio::test]
async fn a_status_line_is_set_and_taken_away() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    let set = ada.post("/api/v1/users/user/status/update", json!({"status_message": "away"})).await;
    assert_eq!(set.json()["status_message"], "away");
    assert_eq!(ada.get("/api/v1/users/user/status").await.json(), set.json());

    let unset = ada.post("/api/v1/users/user/status/update", json!({})).await;
    assert_eq!(unset.json()["status_message"], json!(null));
}

#[tokio::test]
async fn a_picture_is_drawn_kept_or_elsewhere() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let path = format!("/api/v1/users/{}/profile/image", ada.id);
    let set = async |url: &str| {
        let form = json!({"name": "<script>", "profile_image_url": url});
        assert_eq!(ada.post("/api/v1/auths/update/profile", form).await.status, 200);
        ada.get(&path).await
    };

    assert_snapshot!(set("/user.png").await.summary(), @r##"
    200 OK
    image/svg+xml
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><circle cx="32" cy="32" r="32" fill="#4a6572"/><text x="32" y="42" font-family="sans-serif" font-size="30" text-anchor="middle" fill="#fff">S</text></svg>
    "##);
    let kept = set("data:image/png;base64,aGVsbG8=").await;
    assert_eq!((kept.header("content-type"), kept.text().as_str()), ("image/png", "hello"));
    let elsewhere = set("https://example.org/ada.png").await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (302, "https://example.org/ada.png"));
    // What no browser may run or follow is as good as none.
    for url in ["data:image/svg+xml;base64,aGVsbG8=", "javascript:alert(1)", "https://a.b/\r\nx: y", "data:"]
    {
        assert_eq!(set(url).await.header("content-type"), "image/svg+xml", "{url}");
    }
}
