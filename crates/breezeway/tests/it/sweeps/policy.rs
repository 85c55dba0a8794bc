//! Everybody asks for everything, and each operation answers as its policy says.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Access, Things, call, rows, server, table::Row};
use crate::{
    harness::{Client, TestServer},
    models::{overlay, public},
};

/// Let plain users do all that a permission can allow, and use all models.
pub(super) async fn widened(server: &TestServer) {
    let admin = server.admin();
    let path = "/api/v1/users/default/permissions";
    let mut tree = admin.get(path).await.json();
    for section in ["workspace", "sharing", "features"] {
        for value in tree[section].as_object_mut().unwrap().values_mut() {
            *value = true.into();
        }
    }
    assert_eq!(admin.post(path, tree).await.status, 200);
    for model in ["gpt-small", "llama3.2:latest"] {
        overlay(&admin, model, Value::Null, public()).await;
    }
}

/// What is said to who has no right to an operation at all.
async fn prohibition(plain: &Client) -> String {
    plain.get("/api/v1/users/").await.summary()
}

/// An account for one row: some rows end its sessions.
pub(super) async fn somebody(server: &TestServer) -> Client {
    server.pass(1);
    server.sign_up(&format!("somebody{}", server.clock.now())).await
}

#[tokio::test]
async fn every_operation_answers_a_plain_user_as_its_policy_says() {
    let (server, upstreams) = server().await;
    widened(&server).await;
    let prohibited = prohibition(&somebody(&server).await).await;
    let mut faults = Vec::new();

    for row in rows() {
        let plain = somebody(&server).await;
        let things =
            Things::made_by(&plain, &format!("zed{}", server.clock.now()), &server, &upstreams, &row).await;
        let answer = call(&plain, &row, &things).await;

        let fits = match row.access {
            Access::Admin => answer.summary() == prohibited,
            _ if row.plain > 0 => answer.status == row.plain,
            _ => answer.status == row.status,
        };
        if !fits {
            faults.push(format!("{} {}: {}", row.method, row.path, answer.summary()));
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn every_operation_with_a_permission_wants_that_one() {
    let (server, upstreams) = server().await;
    let admin = server.admin();
    overlay(&admin, "gpt-small", Value::Null, public()).await;
    let mut refusals: BTreeMap<String, String> = BTreeMap::new();

    for row in rows() {
        let Access::Permitted(permission) = row.access else { continue };
        let plain = somebody(&server).await;
        let name = format!("{} {}", row.method, row.path);
        let without = call(&plain, &row, &Things::unknown()).await;
        assert!((401..=403).contains(&without.status), "{name}: {}", without.summary());
        let (section, leaf) = permission.split_once('.').unwrap();
        refusals.insert(format!("{permission}: {}", without.summary()), name.clone());

        let form = json!({
            "name": permission,
            "description": "",
            "permissions": {section: {leaf: true}},
            "user_ids": [plain.id],
        });
        assert_eq!(admin.post("/api/v1/groups/create", form).await.status, 200);
        let things = Things::made_by(&plain, "zed", &server, &upstreams, &row).await;
        let with = call(&plain, &row, &things).await;
        assert_eq!(with.status, row.status, "{name} with `{permission}`: {}", with.summary());
    }

    let refusals: Vec<String> = refusals.into_keys().collect();
    assert_snapshot!(refusals.join("\n"), @r#"
    features.api_keys: 403 Forbidden
    {"detail":"API key creation is not allowed in the environment."}
    workspace.knowledge: 401 Unauthorized
    {"detail":"401 Unauthorized"}
    workspace.knowledge: 403 Forbidden
    {
      "error": {
        "message": "You do not have permission to access this resource. Please contact your administrator for assistance.",
        "type": "permission_error",
        "param": null,
        "code": null
      },
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    workspace.models: 401 Unauthorized
    {"detail":"401 Unauthorized"}
    workspace.models_export: 401 Unauthorized
    {"detail":"401 Unauthorized"}
    workspace.models_import: 401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
}

#[tokio::test]
async fn a_key_for_one_endpoint_reaches_no_other_operation() {
    let (server, upstreams) = server().await;
    let admin = server.admin();
    let named = json!({"name": "narrow", "allowed_endpoints": ["/api/models"]});
    let own = admin.post("/api/v1/auths/api_keys", named).await.json();
    let plain = admin.with_api_key().await;
    let limits = |on: bool| json!({"ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": on, "API_KEYS_ALLOWED_ENDPOINTS": "/api/models"});

    for (program, restricted) in [(admin.with_token(own["api_key"].as_str().unwrap()), false), (plain, true)]
    {
        assert_eq!(admin.post("/api/v1/auths/admin/config", limits(restricted)).await.status, 200);
        let is_below = |row: &Row| row.path == "/api/models" || row.path.starts_with("/api/models/");
        for row in rows().iter().filter(|row| row.access != Access::Open) {
            let things =
                if is_below(row) { Things::make(&server, &upstreams, row).await } else { Things::unknown() };
            let answer = call(&program, row, &things).await;

            let name = format!("{} {}, for all keys: {restricted}", row.method, row.path);
            if is_below(row) {
                assert_eq!(answer.status, row.status, "{name}");
            } else {
                let expected = "403 Forbidden\n{\n  \"detail\": \"You do not have permission to access this \
                                resource. Please contact your administrator for assistance.\"\n}";
                assert_eq!(answer.refusal(), expected, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_wants_a_person_refuses_every_key() {
    let (server, _upstreams) = server().await;
    let program = server.admin().with_api_key().await;

    for row in rows().iter().filter(|row| row.access == Access::Human) {
        let answer = call(&program, row, &Things::unknown()).await;

        let expected = "403 Forbidden\n{\"detail\":\"A human session is required.\"}";
        assert_eq!(answer.summary(), expected, "{} {}", row.method, row.path);
    }
}
