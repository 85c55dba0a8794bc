//! How the server is, which version it is, and what a client may expect of it.

use http::Method;
use insta::assert_snapshot;
use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn a_well_server_says_so_to_everybody() {
    let server = TestServer::start().await;
    let stranger = server.stranger();

    for path in ["/health", "/health/db", "/ready"] {
        assert_eq!(stranger.get(path).await.summary(), "200 OK\n{\"status\":true}", "{path}");
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_api() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    let version = server.stranger().get("/api/version").await.json();

    assert_eq!((&version["version"], &version["deployment_id"]), (&json!("0.12.4"), &json!("")));
    assert_snapshot!(ada.get("/api/version/updates").await.summary(), @r#"
    200 OK
    {"current":"0.12.4","latest":"0.12.4"}
    "#);
}

#[tokio::test]
async fn the_configuration_says_more_to_those_who_are_signed_in() {
    let server = TestServer::start().await;
    let stranger = server.stranger();

    assert_eq!(stranger.get("/api/config").await.json()["onboarding"], true);
    let ada = server.sign_up("ada").await;
    let anonymous = stranger.get("/api/config").await;

    assert_snapshot!(anonymous.summary(), @r#"
    200 OK
    {
      "status": true,
      "name": "Breezeway",
      "version": "0.12.4",
      "default_locale": "",
      "i18n": {},
      "oauth": {
        "providers": {},
        "auto_redirect": false
      },
      "features": {
        "auth": true,
        "auth_trusted_header": false,
        "enable_signup_password_confirmation": false,
        "enable_ldap": false,
        "enable_api_keys": true,
        "enable_signup": false,
        "enable_login_form": true,
        "enable_websocket": false,
        "enable_version_update_check": false
      }
    }
    "#);
    for client in [ada.with_api_key().await, stranger.with_token("nonsense")] {
        assert_eq!(client.get("/api/config").await.json(), anonymous.json());
    }
    let mut signed_in = ada.get("/api/config").await;
    let mut body = signed_in.json();
    body.as_object_mut().unwrap().shift_remove("permissions");
    signed_in.body = body.to_string().into();
    assert_snapshot!(signed_in.summary(), @r#"
    200 OK
    {
      "status": true,
      "name": "Breezeway",
      "version": "0.12.4",
      "default_locale": "",
      "i18n": {},
      "oauth": {
        "providers": {},
        "auto_redirect": false
      },
      "default_models": "",
      "file": {
        "max_size": null,
        "max_count": null
      },
      "features": {
        "auth": true,
        "auth_trusted_header": false,
        "enable_signup_password_confirmation": false,
        "enable_ldap": false,
        "enable_api_keys": true,
        "enable_signup": false,
        "enable_login_form": true,
        "enable_websocket": false,
        "enable_version_update_check": false,
        "enable_direct_connections": false,
        "enable_folders": false,
        "enable_channels": false,
        "enable_notes": false,
        "enable_web_search": false
      }
    }
    "#);
}

#[tokio::test]
async fn an_unknown_path_is_json_and_a_wrong_method_names_the_right_ones() {
    let server = TestServer::start().await;
    let stranger = server.stranger();

    assert_snapshot!(stranger.get("/api/v1/nothing").await.summary(), @r#"
    404 Not Found
    {"detail":"There is no `/api/v1/nothing` here."}
    "#);
    let wrong = stranger.post("/health", ()).await;
    assert_snapshot!(wrong.summary(), @r#"
    405 Method Not Allowed
    {"detail":"Method Not Allowed"}
    "#);
    assert_eq!(wrong.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn every_answer_has_the_common_headers() {
    let server = TestServer::start().await;
    let page = server.stranger().with_header("origin", "https://page.example");

    for path in ["/health", "/api/models", "/api/nothing", "/ollama/api/tags"] {
        let answer = page.get(path).await;

        assert!(answer.header("x-process-time").parse::<f64>().is_ok(), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "https://page.example", "{path}");
        assert!(answer.header("vary").to_lowercase().contains("origin"), "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
    let preflight = page.with_header("access-control-request-method", "POST");
    let preflight = preflight.send(Method::OPTIONS, "/api/chat/completions", Default::default()).await;
    assert_eq!(preflight.status, 200);
}

#[tokio::test]
async fn the_documentation_is_there_when_it_is_wanted() {
    let server = TestServer::with(|config| config.api.docs = true).await;
    let closed = TestServer::start().await;

    let page = server.stranger().get("/docs").await;
    let document = server.stranger().get("/openapi.json").await.json();

    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text().contains("Swagger UI"));
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/chat/completions"].is_object());
    for path in ["/docs", "/openapi.json"] {
        assert_eq!(closed.stranger().get(path).await.status, 404);
    }
}
