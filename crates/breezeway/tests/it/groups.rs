//! `/api/v1/groups`: named sets of accounts, with permissions of their own.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{Client, TestServer};

async fn made(admin: &Client, name: &str) -> String {
    let answer = admin.post("/api/v1/groups/create", json!({"name": name, "description": ""})).await;
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_admin_makes_changes_and_deletes_a_group() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    let form = json!({"name": "staff", "description": "who works here"});
    let made = ada.post("/api/v1/groups/create", form).await;
    assert_snapshot!(made.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "user_id": "[id]",
      "name": "staff",
      "description": "who works here",
      "data": null,
      "meta": null,
      "permissions": null,
      "member_count": 0,
      "user_ids": [],
      "created_at": 1800000001,
      "updated_at": 1800000001
    }
    "#);
    let path = format!("/api/v1/groups/id/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.json(), made.json());
    assert_eq!(ada.get("/api/v1/groups/").await.json(), json!([made.json()]));
    assert_eq!(ada.get(&format!("{path}/export")).await.json(), made.json());

    let form = json!({"name": "crew", "description": "", "permissions": {"workspace": {"models": true}}});
    let changed = ada.post(&format!("{path}/update"), form).await.json();
    assert_eq!(changed["name"], "crew");
    assert_eq!(changed["permissions"], json!({"workspace": {"models": true}}));

    assert_snapshot!(ada.delete(&format!("{path}/delete")).await.summary(), @r#"
    200 OK
    true
    "#);
    assert_snapshot!(ada.get(&path).await.summary(), @r#"
    401 Unauthorized
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_eq!(ada.delete(&format!("{path}/delete")).await.status, 401);
    assert_snapshot!(ada.post("/api/v1/groups/create", json!({"name": "x"})).await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "missing",
          "loc": [
            "body",
            "description"
          ],
          "msg": "Field required",
          "input": {
            "name": "x"
          }
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn members_come_and_go() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let group = made(&ada, "staff").await;
    let path = format!("/api/v1/groups/id/{group}");

    let added = ada.post(&format!("{path}/users/add"), json!({"user_ids": [eve.id, "nobody"]})).await.json();
    assert_eq!((&added["user_ids"], &added["member_count"]), (&json!([eve.id]), &json!(1)));
    assert_snapshot!(ada.post(&format!("{path}/users"), ()).await.summary(), @r#"
    200 OK
    [
      {
        "id": "[id]",
        "name": "eve",
        "role": "user",
        "email": "eve@example.org",
        "profile_image_url": "/api/v1/users/[id]/profile/image",
        "bio": null,
        "status_emoji": null,
        "status_message": null,
        "status_expires_at": null,
        "timezone": null,
        "groups": [
          {
            "id": "[id]",
            "name": "staff"
          }
        ],
        "is_active": true,
        "last_active_at": 1800000002
      }
    ]
    "#);
    assert_eq!(eve.get("/api/v1/users/groups").await.json(), json!([{"id": group, "name": "staff"}]));
    assert_eq!(ada.get(&format!("/api/v1/users/{}/groups", eve.id)).await.json()[0]["name"], "staff");
    assert_eq!(eve.get("/api/v1/groups/").await.json().as_array().unwrap().len(), 1);
    assert_snapshot!(eve.get(&format!("{path}/info")).await.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "user_id": "[id]",
      "name": "staff",
      "description": "",
      "member_count": 1,
      "created_at": 1800000002,
      "updated_at": 1800000002
    }
    "#);

    let removed = ada.post(&format!("{path}/users/remove"), json!({"user_ids": [eve.id]})).await.json();
    assert_eq!(removed["member_count"], 0);
    assert_eq!(eve.get("/api/v1/groups/").await.json(), json!([]));
}

#[tokio::test]
async fn a_group_is_no_trace_to_others() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let group = made(&ada, "secret").await;

    let foreign = eve.get(&format!("/api/v1/groups/id/{group}/info")).await;
    let unknown = eve.get("/api/v1/groups/id/nothing/info").await;

    assert_eq!(foreign.summary(), unknown.summary());
    assert_eq!(eve.get("/api/v1/groups/").await.json(), json!([]));
}

#[tokio::test]
async fn a_group_adds_permissions_for_as_long_as_one_is_in_it() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let group = made(&ada, "authors").await;
    let path = format!("/api/v1/groups/id/{group}");
    let form = json!({
        "name": "authors",
        "description": "",
        "permissions": {"workspace": {"knowledge": true}},
        "user_ids": [eve.id],
    });
    let create =
        async || eve.post("/api/v1/knowledge/create", json!({"name": "n", "description": ""})).await.status;

    assert_eq!(create().await, 401);
    ada.post(&format!("{path}/update"), form).await;
    assert_eq!(create().await, 200);
    ada.delete(&format!("{path}/delete")).await;
    assert_eq!(create().await, 401);
}
