//! A server for one person, who never signs in.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn nobody_has_to_sign_in() {
    let server = TestServer::with(|config| config.auth.single_user = true).await;
    let anybody = server.stranger();

    assert_eq!(anybody.get("/api/models").await.status, 200);
    let session = anybody.get("/api/v1/auths/").await.json();
    assert_eq!((&session["role"], &session["email"]), (&json!("admin"), &json!("admin@localhost")));
    let form = json!({"email": "", "password": ""});
    let signed_in = anybody.post("/api/v1/auths/signin", form).await.json();
    assert_eq!(signed_in["id"], session["id"]);
    assert_eq!(anybody.get("/api/config").await.json()["features"]["auth"], false);
    // A credential that is sent is looked at all the same.
    assert_eq!(anybody.with_token("nonsense").get("/api/models").await.status, 401);
}

#[tokio::test]
async fn there_is_no_second_account() {
    let server = TestServer::with(|config| config.auth.single_user = true).await;
    let anybody = server.stranger();
    let form = json!({"name": "eve", "email": "eve@example.org", "password": "x"});

    assert_snapshot!(anybody.post("/api/v1/auths/signup", form.clone()).await.summary(), @r#"
    403 Forbidden
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
    assert_snapshot!(anybody.post("/api/v1/auths/add", form).await.summary(), @r#"
    401 Unauthorized
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
}

#[tokio::test]
async fn a_page_of_another_site_is_nobody() {
    let server = TestServer::with(|config| config.auth.single_user = true).await;
    let page = server.stranger().with_header("origin", "https://evil.example");
    let rebound = server.stranger().with_header("host", "rebound.example");

    for client in [page, rebound] {
        assert_eq!(client.get("/api/models").await.status, 401);
        let form = json!({"email": "", "password": ""});
        assert_eq!(client.post("/api/v1/auths/signin", form).await.status, 403);
    }
}
