//! Signing in by the headers of a proxy.

use breezeway::parts::middleware::TrustedHeaders;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestServer};

const PROXY: &str = "10.0.0.2";

/// A server behind a proxy, with an admin `ada@example.org`.
async fn server() -> TestServer {
    let server = TestServer::with(|config| {
        config.middleware.trusted_headers = Some(TrustedHeaders {
            email: "x-email".into(),
            name: Some("x-name".into()),
            groups: Some("x-groups".into()),
            role: Some("x-role".into()),
            proxies: vec!["10.0.0.0/30".into()],
        });
    })
    .await;
    server.sign_up("ada").await;
    server
}

/// Somebody whom the proxy names.
fn person(server: &TestServer, email: &str) -> Client {
    server.stranger().at_address(PROXY).with_header("x-email", email)
}

async fn sign_in(client: &Client) -> Answer {
    client.post("/api/v1/auths/signin", json!({"email": "", "password": ""})).await
}

fn groups_of(server: &TestServer, id: &Value) -> Vec<String> {
    let groups = server.breezeway.auth().groups();
    let is_in = |member: &breezeway::parts::core::UserId| Some(member.as_str()) == id.as_str();
    groups.iter().filter(|group| group.members.iter().any(is_in)).map(|group| group.name.clone()).collect()
}

#[tokio::test]
async fn a_proxy_says_who_signs_in_whatever_the_body() {
    let server = server().await;
    let eve = person(&server, "Eve@example.org").with_header("x-name", "Eve%20%C3%89");

    for body in ["", "{}", "[", r#"{"email": "ada@example.org", "password": "x"}"#] {
        let answer = eve.send("POST".parse().unwrap(), "/api/v1/auths/signin", body.into()).await;

        let session = answer.json();
        assert_eq!((answer.status, &session["email"]), (200, &json!("eve@example.org")), "{body}");
        assert_eq!((&session["name"], &session["role"]), (&json!("Eve É"), &json!("pending")));
        assert!(answer.header("set-cookie").starts_with("token="));
    }
    assert_eq!(server.breezeway.auth().accounts().len(), 2);
}

#[tokio::test]
async fn somebody_who_is_known_signs_in_to_their_account() {
    let server = server().await;

    let session = sign_in(&person(&server, "ada@example.org")).await.json();

    assert_eq!((&session["name"], &session["role"]), (&json!("ada"), &json!("admin")));
}

#[tokio::test]
async fn the_headers_of_anybody_else_are_nothing() {
    let server = server().await;
    let headers = |client: Client| {
        client
            .with_header("x-email", "ada@example.org")
            .with_header("x-role", "admin")
            .with_header("x-forwarded-for", PROXY)
    };

    for client in [
        headers(server.stranger()),
        headers(server.stranger().at_address("10.0.0.4")),
        headers(server.stranger().at_address("127.0.0.1")),
        headers(server.stranger().at_address("::1")),
        server.stranger().at_address(PROXY),
    ] {
        let answer = sign_in(&client).await;
        let detail = "Your provider has not provided a trusted header. Please contact your administrator for assistance.";
        assert_eq!((answer.status, &answer.json()["detail"]), (400, &json!(detail)));
    }
    let ada = headers(server.admin().at_address("10.0.0.4")).with_header("x-email", "eve@example.org");
    assert_eq!(ada.get("/api/v1/auths/").await.status, 200, "a session is not measured by them either");
}

#[tokio::test]
async fn an_address_that_is_there_twice_is_nobodys() {
    let server = server().await;
    let twice = person(&server, "eve@example.org").with_header_too("x-email", "ada@example.org");
    let joined = person(&server, "eve@example.org,ada@example.org");
    let role =
        person(&server, "eve@example.org").with_header("x-role", "user").with_header_too("x-role", "admin");

    assert_snapshot!(sign_in(&twice).await.summary(), @r#"
    401 Unauthorized
    {"detail":"The headers of the proxy name more than one person."}
    "#);
    assert_eq!(sign_in(&joined).await.status, 400);
    assert_eq!(sign_in(&role).await.status, 401);
    assert_eq!(server.breezeway.auth().accounts().len(), 1);
}

#[tokio::test]
async fn a_session_of_somebody_else_than_the_proxy_names_is_refused() {
    let server = server().await;
    let session = sign_in(&person(&server, "eve@example.org")).await.json();
    let eve = server.stranger().signed_in(&session).at_address(PROXY);

    assert_eq!(eve.with_header("x-email", "EVE@example.org").get("/api/v1/auths/").await.status, 200);
    assert_eq!(eve.get("/api/v1/auths/").await.status, 200, "the proxy names nobody");
    assert_snapshot!(eve.with_header("x-email", "ada@example.org").get("/api/v1/auths/").await.summary(), @r#"
    401 Unauthorized
    {"detail":"User mismatch. Please sign in again."}
    "#);
    let twice = eve.with_header("x-email", "eve@example.org").with_header_too("x-email", "ada@example.org");
    assert_eq!(twice.get("/api/v1/auths/").await.status, 401);
    // Signing in again is what repairs it.
    let answer = sign_in(&eve.with_header("x-email", "ada@example.org")).await;
    assert_eq!(answer.json()["email"], "ada@example.org");
}

#[tokio::test]
async fn a_key_is_a_programs_and_not_measured_by_the_proxy() {
    let server = server().await;
    let program = server.admin().with_api_key().await.at_address(PROXY);

    let answer = program.with_header("x-email", "eve@example.org").get("/api/models").await;

    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn groups_and_roles_follow_the_headers() {
    let server = server().await;
    let form = json!({"name": "staff", "description": ""});
    assert_eq!(server.admin().post("/api/v1/groups/create", form).await.status, 200);
    let eve = person(&server, "eve@example.org");
    let came_with = async |groups: &str, role: &str| {
        let session = sign_in(&eve.with_header("x-groups", groups).with_header("x-role", role)).await.json();
        (groups_of(&server, &session["id"]).join(" "), session["role"].as_str().unwrap().to_owned())
    };
    let pair = |groups: &str, role: &str| (groups.to_owned(), role.to_owned());

    assert_eq!(came_with("staff, nowhere", "User").await, pair("staff", "user"));
    assert_eq!(came_with("", "").await, pair("staff", "user"), "what is not said changes nothing");
    assert_eq!(came_with("nowhere", "admin").await, pair("", "admin"));
    assert_eq!(came_with("staff", "owner").await, pair("staff", "admin"));
    assert_eq!(came_with("staff", "pending").await, pair("staff", "pending"));
    assert_eq!(server.breezeway.auth().groups().len(), 1, "no group is made");
}

#[tokio::test]
async fn the_last_admin_is_not_demoted_by_a_header() {
    let server = server().await;

    let session = sign_in(&person(&server, "ada@example.org").with_header("x-role", "user")).await.json();

    assert_eq!(session["role"], "admin");
}

#[tokio::test]
async fn a_page_of_another_site_gets_no_session() {
    let server = server().await;

    let answer =
        sign_in(&person(&server, "eve@example.org").with_header("origin", "https://evil.example")).await;

    assert_eq!(answer.status, 403);
    assert_eq!(server.breezeway.auth().accounts().len(), 1);
}

#[tokio::test]
async fn clients_are_told_that_a_proxy_signs_in() {
    let server = server().await;

    assert_eq!(server.stranger().get("/api/config").await.json()["features"]["auth_trusted_header"], true);
}
