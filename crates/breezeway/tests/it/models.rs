//! `/api/models`, and custom models under `/api/v1/models`.

mod asking;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Client, TestServer, grant};

/// Make a custom model, or an override if `base` is `null`.
pub(crate) async fn overlay(client: &Client, id: &str, base: Value, grants: Value) -> Value {
    let form = json!({
        "id": id,
        "base_model_id": base,
        "name": id,
        "meta": {"description": "d"},
        "params": {"system": "You are Zed."},
        "access_grants": grants,
    });
    let answer = client.post("/api/v1/models/create", form).await;
    assert_eq!(answer.status, 200, "{}", answer.summary());
    answer.json()
}

pub(crate) fn public() -> Value {
    json!([grant("user", "*", "read")])
}

pub(crate) async fn listed(client: &Client) -> Vec<String> {
    let list = client.get("/api/models").await.json();
    let ids = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test]
async fn the_list_has_openai_then_ollama_then_custom_models() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "zed", json!("gpt-small"), json!([])).await;

    let list = ada.get("/api/models").await;

    assert_snapshot!(list.summary(), @r#"
    200 OK
    {
      "data": [
        {
          "id": "gpt-small",
          "name": "gpt-small",
          "object": "model",
          "created": 1700000000,
          "owned_by": "openai",
          "connection_type": "external",
          "openai": {
            "id": "gpt-small",
            "object": "model",
            "created": 1700000000,
            "owned_by": "scripted",
            "connection_type": "external"
          },
          "provider": "",
          "urlIdx": 0,
          "actions": [],
          "filters": [],
          "tags": []
        },
        {
          "id": "gpt-large",
          "name": "gpt-large",
          "object": "model",
          "created": 1700000000,
          "owned_by": "openai",
          "connection_type": "external",
          "openai": {
            "id": "gpt-large",
            "object": "model",
            "created": 1700000000,
            "owned_by": "scripted",
            "connection_type": "external"
          },
          "provider": "",
          "urlIdx": 0,
          "actions": [],
          "filters": [],
          "tags": []
        },
        {
          "id": "llama3.2:latest",
          "name": "llama3.2:latest",
          "object": "model",
          "created": 0,
          "owned_by": "ollama",
          "connection_type": "local",
          "ollama": {
            "name": "llama3.2:latest",
            "model": "llama3.2:latest",
            "modified_at": "2025-01-01T00:00:00Z",
            "size": 1024,
            "digest": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
            "details": {
              "format": "gguf",
              "family": "llama",
              "parameter_size": "1B",
              "quantization_level": "Q4_0"
            },
            "connection_type": "local",
            "urls": [
              0
            ],
            "expires_at": 4070908800
          },
          "loaded": true,
          "actions": [],
          "filters": [],
          "tags": []
        },
        {
          "id": "zed",
          "name": "zed",
          "object": "model",
          "created": 1800000001,
          "owned_by": "openai",
          "connection_type": "external",
          "preset": true,
          "info": {
            "id": "zed",
            "user_id": "[id]",
            "base_model_id": "gpt-small",
            "name": "zed",
            "params": {},
            "meta": {
              "description": "d",
              "capabilities": null,
              "knowledge": null
            },
            "access_grants": [],
            "is_active": true,
            "updated_at": 1800000001,
            "created_at": 1800000001
          },
          "actions": [],
          "filters": [],
          "tags": []
        }
      ]
    }
    "#);
    assert_eq!(ada.get("/api/v1/models").await.body, list.body);
}

#[tokio::test]
async fn the_base_list_is_without_custom_models() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "zed", json!("gpt-small"), json!([])).await;

    let list = ada.get("/api/models/base").await.json();

    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(json!(ids), json!(["gpt-small", "gpt-large", "llama3.2:latest"]));
}

#[tokio::test]
async fn a_plain_user_sees_what_is_granted_and_nothing_else() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    assert_eq!(eve.get("/api/models").await.text(), r#"{"data":[]}"#);
    overlay(&ada, "gpt-small", Value::Null, public()).await;
    // Readable itself, but its base is not.
    overlay(&ada, "zed", json!("gpt-large"), public()).await;
    overlay(&ada, "yak", json!("gpt-small"), public()).await;

    assert_eq!(listed(&eve).await, ["gpt-small", "yak"]);
}

#[tokio::test]
async fn open_models_are_for_everybody() {
    let (server, _upstreams) =
        TestServer::with_upstreams_and(|config| config.registry.open_to_all = true).await;
    server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;

    assert_eq!(listed(&eve).await, ["gpt-small", "gpt-large", "llama3.2:latest"]);
}

#[tokio::test]
async fn the_configured_order_wins() {
    let order = vec!["llama3.2:latest".to_owned(), "gpt-large".to_owned()];
    let (server, _upstreams) = TestServer::with_upstreams_and(|config| config.registry.order = order).await;
    let ada = server.sign_up("ada").await;

    assert_eq!(listed(&ada).await, ["llama3.2:latest", "gpt-large", "gpt-small"]);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_left_out() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    drop(upstreams.openai);

    let list = ada.get("/api/models?refresh=true").await;

    assert_eq!(list.status, 200);
    assert_eq!(listed(&ada).await, ["llama3.2:latest"]);
    assert_snapshot!(ada.get("/api/models?refresh=maybe").await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "value_error",
          "loc": [
            "query",
            "refresh"
          ],
          "msg": "provided string was not `true` or `false`",
          "input": null
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_custom_model_is_made_shown_changed_and_deleted() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let form = json!({
        "id": "zed",
        "base_model_id": "gpt-small",
        "name": "Zed",
        "meta": {"description": "d", "tags": [{"name": "odd"}]},
        "params": {"system": "You are Zed.", "temperature": 0.2},
    });

    let made = ada.post("/api/v1/models/create", form.clone()).await;
    assert_snapshot!(made.summary(), @r#"
    200 OK
    {
      "version_id": "zed-1800000001",
      "id": "zed",
      "user_id": "[id]",
      "base_model_id": "gpt-small",
      "name": "Zed",
      "params": {
        "system": "You are Zed.",
        "temperature": 0.2
      },
      "meta": {
        "profile_image_url": "/static/favicon.png",
        "description": "d",
        "capabilities": null,
        "knowledge": null,
        "background_image_url": null,
        "i18n": null,
        "voice": null,
        "voice_avatar": null,
        "tags": [
          {
            "name": "odd"
          }
        ]
      },
      "access_grants": [],
      "is_active": true,
      "updated_at": 1800000001,
      "created_at": 1800000001
    }
    "#);
    assert_snapshot!(ada.post("/api/v1/models/create", form.clone()).await.summary(), @r#"
    401 Unauthorized
    {"detail":"Uh-oh! This model id is already registered. Please choose another model id string."}
    "#);
    assert_snapshot!(ada.get("/api/v1/models/model?id=zed").await.summary(), @r#"
    200 OK
    {
      "version_id": "zed-1800000001",
      "id": "zed",
      "user_id": "[id]",
      "base_model_id": "gpt-small",
      "name": "Zed",
      "params": {
        "system": "You are Zed.",
        "temperature": 0.2
      },
      "meta": {
        "profile_image_url": "/static/favicon.png",
        "description": "d",
        "capabilities": null,
        "knowledge": null,
        "background_image_url": null,
        "i18n": null,
        "voice": null,
        "voice_avatar": null,
        "tags": [
          {
            "name": "odd"
          }
        ]
      },
      "access_grants": [],
      "is_active": true,
      "updated_at": 1800000001,
      "created_at": 1800000001,
      "user": {
        "id": "[id]",
        "name": "ada",
        "role": "admin",
        "email": "ada@example.org",
        "profile_image_url": "/api/v1/users/[id]/profile/image"
      },
      "write_access": true
    }
    "#);

    server.pass(5);
    let mut change = form;
    change["name"] = "Zed II".into();
    let changed = ada.post("/api/v1/models/model/update", change).await.json();
    assert_eq!(changed["name"], "Zed II");
    assert!(changed["updated_at"].as_i64() > changed["created_at"].as_i64());
    assert_ne!(changed["version_id"], made.json()["version_id"]);

    let off = ada.post("/api/v1/models/model/toggle?id=zed", ()).await;
    assert_eq!(off.json()["is_active"], false);
    assert!(!listed(&ada).await.contains(&"zed".to_owned()));
    assert_eq!(ada.post("/api/v1/models/model/toggle?id=zed", ()).await.json()["is_active"], true);

    assert_snapshot!(ada.post("/api/v1/models/model/delete", json!({"id": "zed"})).await.summary(), @r#"
    200 OK
    true
    "#);
    assert_eq!(ada.get("/api/v1/models/model?id=zed").await.status, 404);
}

#[tokio::test]
async fn an_unknown_custom_model_is_refused_as_clients_know_it() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let whole = json!({"id": "zed", "name": "Zed", "meta": {}, "params": {}});

    assert_snapshot!(ada.get("/api/v1/models/model?id=zed").await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.post("/api/v1/models/model/update", whole).await.summary(), @r#"
    401 Unauthorized
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.post("/api/v1/models/model/delete", json!({"id": "zed"})).await.summary(), @r#"
    401 Unauthorized
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.post("/api/v1/models/model/toggle?id=zed", ()).await.summary(), @r#"
    401 Unauthorized
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.get("/api/v1/models/model").await.summary(), @r#"
    422 Unprocessable Entity
    {"detail":[{"type":"missing","loc":["query","id"],"msg":"Field required","input":null}]}
    "#);
    let missing = ada.post("/api/v1/models/create", json!({"id": "zed", "name": "Zed", "meta": {}})).await;
    assert_snapshot!(missing.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "missing",
          "loc": [
            "body",
            "params"
          ],
          "msg": "Field required",
          "input": {
            "id": "zed",
            "name": "Zed",
            "meta": "…"
          }
        }
      ]
    }
    "#);
    let access = ada.post("/api/v1/models/model/access/update", json!({"id": "zed"})).await;
    assert_snapshot!(access.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "missing",
          "loc": [
            "body",
            "access_grants"
          ],
          "msg": "Field required",
          "input": {
            "id": "zed"
          }
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_foreign_custom_model_is_not_for_changing() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    overlay(&ada, "hidden", json!("gpt-small"), json!([])).await;
    overlay(&ada, "shown", json!("gpt-small"), public()).await;

    assert_snapshot!(eve.get("/api/v1/models/model?id=hidden").await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_eq!(eve.get("/api/v1/models/model?id=shown").await.json()["write_access"], false);
    assert_snapshot!(eve.post("/api/v1/models/model/delete", json!({"id": "shown"})).await.summary(), @r#"
    401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
    let create = json!({"id": "mine", "name": "m", "meta": {}, "params": {}, "base_model_id": "gpt-small"});
    assert_snapshot!(eve.post("/api/v1/models/create", create).await.summary(), @r#"
    401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
    assert_snapshot!(eve.get("/api/v1/models/export").await.summary(), @r#"
    401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
}

#[tokio::test]
async fn custom_models_are_listed_found_and_sorted() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "yak", json!("gpt-small"), json!([])).await;
    server.pass(1);
    overlay(&ada, "ape", json!("gpt-small"), public()).await;
    overlay(&ada, "gpt-small", Value::Null, public()).await;
    let names = async |query: &str| {
        let list = ada.get(&format!("/api/v1/models/list{query}")).await.json();
        let names: Vec<_> =
            list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
        json!(names)
    };

    assert_eq!(names("").await, json!(["yak", "ape"]));
    assert_eq!(names("?query=AP").await, json!(["ape"]));
    assert_eq!(names("?order_by=name").await, json!(["ape", "yak"]));
    assert_eq!(names("?order_by=created_at&direction=desc").await, json!(["ape", "yak"]));
    assert_eq!(names("?view_option=created").await, json!(["yak", "ape"]));
    assert_eq!(names("?view_option=shared").await, json!([]));
    assert_eq!(names("?page=2").await, json!([]));
    let item = ada.get("/api/v1/models/list?query=ape").await.json()["items"][0].clone();
    assert_eq!((&item["user"]["name"], &item["write_access"]), (&json!("ada"), &json!(true)));
    assert_eq!(ada.get("/api/v1/models/all").await.json().as_array().unwrap().len(), 2);
    assert_eq!(ada.get("/api/v1/models/base").await.json()[0]["id"], "gpt-small");
}

#[tokio::test]
async fn tags_are_collected() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    for (id, base) in [("yak", json!("gpt-small")), ("ape", json!("gpt-small")), ("gpt-small", Value::Null)] {
        let meta = json!({"tags": [{"name": format!("tag of {id}")}, {"name": "shared"}]});
        let form = json!({"id": id, "base_model_id": base, "name": id, "meta": meta, "params": {}});
        ada.post("/api/v1/models/create", form).await;
    }

    let tags = ada.get("/api/v1/models/tags").await;
    let of_bases = ada.get("/api/v1/models/base/tags").await;

    assert_eq!(tags.json(), json!(["shared", "tag of ape", "tag of yak"]));
    assert_eq!(of_bases.json(), json!(["shared", "tag of gpt-small"]));
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "yak", json!("gpt-small"), public()).await;
    overlay(&ada, "ape", json!("gpt-small"), json!([])).await;
    let exported = ada.get("/api/v1/models/export").await.json();

    assert_eq!(ada.delete("/api/v1/models/delete/all").await.text(), "true");
    assert_eq!(ada.get("/api/v1/models/all").await.json(), json!([]));
    let imported = ada.post("/api/v1/models/import", json!({"models": exported})).await;

    assert_eq!(imported.text(), "true");
    assert_eq!(ada.get("/api/v1/models/export").await.json(), exported);
    let synced = ada.post("/api/v1/models/sync", json!({"models": [exported[0]]})).await;
    let mut stored = exported[0].clone();
    assert_eq!(stored.as_object_mut().unwrap().remove("background_image_data"), Some(Value::Null));
    assert_eq!(synced.json(), json!([stored]));
    assert_eq!(ada.get("/api/v1/models/export").await.json(), json!([exported[0]]));
}

#[tokio::test]
async fn access_is_changed_alone() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    overlay(&ada, "gpt-small", Value::Null, json!([])).await;
    let path = "/api/v1/models/model/access/update";

    // A line of an unknown kind is dropped without a word.
    let lines = json!([grant("user", &eve.id, "read"), grant("planet", "mars", "read")]);
    let changed = ada.post(path, json!({"id": "gpt-small", "access_grants": lines})).await;

    assert_snapshot!(changed.summary(), @r#"
    200 OK
    {
      "version_id": "gpt-small-1800000002",
      "id": "gpt-small",
      "user_id": "[id]",
      "base_model_id": null,
      "name": "gpt-small",
      "params": {
        "system": "You are Zed."
      },
      "meta": {
        "profile_image_url": "/static/favicon.png",
        "description": "d",
        "capabilities": null,
        "knowledge": null,
        "background_image_url": null,
        "i18n": null,
        "voice": null,
        "voice_avatar": null
      },
      "access_grants": [
        {
          "id": "gpt-small:user:[id]:read",
          "resource_type": "model",
          "resource_id": "gpt-small",
          "principal_type": "user",
          "principal_id": "[id]",
          "permission": "read",
          "created_at": 1800000002
        }
      ],
      "is_active": true,
      "updated_at": 1800000002,
      "created_at": 1800000002
    }
    "#);
    assert_eq!(listed(&eve).await, ["gpt-small"]);
    assert_eq!(changed.json()["params"]["system"], "You are Zed.");
}

#[tokio::test]
async fn who_may_make_models_may_not_share_them_without_permission() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let permit = async |tree: Value| {
        ada.post("/api/v1/users/default/permissions", tree).await;
    };
    let make = async |id: &str, grants: Value| {
        let form = json!({"id": id, "name": id, "meta": {}, "params": {}, "base_model_id": "gpt-small", "access_grants": grants});
        eve.post("/api/v1/models/create", form).await
    };

    permit(json!({"workspace": {"models": true}})).await;
    assert_eq!(make("own", json!([])).await.status, 200);
    assert_snapshot!(make("told", json!([grant("user", &ada.id, "read")])).await.summary(), @r#"
    403 Forbidden
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);

    permit(json!({"workspace": {"models": true}, "sharing": {"models": true}})).await;
    assert_eq!(make("told", json!([grant("user", &ada.id, "read")])).await.status, 200);
    assert_eq!(make("public", public()).await.status, 403);

    permit(json!({"workspace": {"models": true}, "sharing": {"public_models": true}})).await;
    assert_eq!(make("public", public()).await.status, 200);
}

#[tokio::test]
async fn a_models_picture_tells_nothing_of_hidden_ones() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let meta = json!({"profile_image_url": "data:image/png;base64,aGVsbG8="});
    let form =
        json!({"id": "hidden", "base_model_id": "gpt-small", "name": "Zed", "meta": meta, "params": {}});
    ada.post("/api/v1/models/create", form).await;
    let path = |id: &str| format!("/api/v1/models/model/profile/image?id={id}");

    assert_eq!(ada.get(&path("hidden")).await.text(), "hello");
    assert_eq!(eve.get(&path("hidden")).await.summary(), eve.get(&path("hat")).await.summary());
}
