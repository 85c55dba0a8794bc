//! API keys: one for each account, shown again, limited to paths, and switched off.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::TestServer;

const KEY: &str = "/api/v1/auths/api_key";

#[tokio::test]
async fn an_account_has_one_key_that_it_can_see_again() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    assert_snapshot!(ada.get(KEY).await.summary(), @r#"
    404 Not Found
    {
      "detail": "Oops! It looks like there's a hiccup. The API key is missing. Please make sure to provide a valid API key to access this feature."
    }
    "#);
    let first = ada.post(KEY, ()).await;
    assert_snapshot!(first.summary(), @r#"
    200 OK
    {"api_key":"[key]"}
    "#);
    assert_eq!(ada.get(KEY).await.json(), first.json());

    let second = ada.with_api_key().await;
    let first = ada.with_token(first.json()["api_key"].as_str().unwrap());
    assert_eq!(second.get("/api/models").await.status, 200);
    assert_snapshot!(first.get("/api/models").await.summary(), @r#"
    401 Unauthorized
    {"detail":"Your session has expired or the token is invalid. Please sign in again."}
    "#);

    assert_snapshot!(second.delete(KEY).await.summary(), @r#"
    200 OK
    true
    "#);
    assert_eq!(second.get("/api/models").await.status, 401);
    assert_eq!(ada.get(KEY).await.status, 404);
}

#[tokio::test]
async fn keys_that_are_switched_off_open_nothing() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let program = ada.with_api_key().await;

    ada.post("/api/v1/auths/admin/config", json!({"ENABLE_API_KEYS": false})).await;

    assert_snapshot!(program.get("/api/models").await.summary(), @r#"
    403 Forbidden
    {"detail":"Use of API key is not enabled in the environment."}
    "#);
    assert_snapshot!(ada.post(KEY, ()).await.summary(), @r#"
    403 Forbidden
    {"detail":"API key creation is not allowed in the environment."}
    "#);

    ada.post("/api/v1/auths/admin/config", json!({"ENABLE_API_KEYS": true})).await;
    assert_eq!(program.get("/api/models").await.status, 200);
}

#[tokio::test]
async fn an_account_without_the_permission_has_no_keys() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let permit = async |given: bool| {
        let tree = json!({"features": {"api_keys": given}});
        ada.post("/api/v1/users/default/permissions", tree).await;
    };

    permit(false).await;
    assert_snapshot!(eve.post(KEY, ()).await.summary(), @r#"
    403 Forbidden
    {"detail":"API key creation is not allowed in the environment."}
    "#);

    permit(true).await;
    let program = eve.with_api_key().await;
    assert_eq!(program.get("/api/models").await.status, 200);

    permit(false).await;
    assert_eq!(program.get("/api/models").await.status, 403);
}

#[tokio::test]
async fn a_key_may_use_the_allowed_paths_and_what_is_below_them() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let program = ada.with_api_key().await;
    let limits = json!({
        "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": true,
        "API_KEYS_ALLOWED_ENDPOINTS": "/api/models, /api/v1/files, /api/v1/user",
    });

    ada.post("/api/v1/auths/admin/config", limits).await;

    for path in ["/api/models", "/api/models/base", "/api/v1/files/"] {
        assert_eq!(program.get(path).await.status, 200, "{path}");
    }
    for path in ["/api/v1/users/", "/api/v1/models", "/api/v1/knowledge/", "/ollama/api/tags"] {
        assert_eq!(program.get(path).await.status, 403, "{path}");
    }
    assert_snapshot!(program.get("/api/v1/users/").await.summary(), @r#"
    403 Forbidden
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
    assert_eq!(ada.get("/api/v1/users/").await.status, 200);
}
