//! What is secret stays so: in answers, whoever asks and whatever fails, and where a program is looked into.
//!
//! The log is read by `secrecy` among the binary's tests, which runs at its most talkative level.

use std::collections::BTreeMap;

use breezeway::{
    Config, Embedding,
    parts::{
        auth::NewAccount,
        core::{Role, Secret},
        registry::{Connection, ConnectionKind},
        upstream::EmbedderConfig,
    },
};
use serde_json::json;

use crate::{
    harness::{Answer, PASSWORD, TestServer},
    sweeps::{Things, rows},
};

/// In each secret of these tests, and nowhere else.
const MARK: &str = "hushword";

/// Where secrets belong: a session's token goes to who signs in or is signed in by an admin, a key to who
/// makes it and, of the unnamed ones, to its owner. No other secret is answered, not even there.
const HANDED_OUT: &[(&str, &str)] = &[
    ("POST", "/api/v1/auths/signup"),
    ("POST", "/api/v1/auths/signin"),
    ("POST", "/api/v1/auths/add"),
    ("GET", "/api/v1/auths/"),
    ("POST", "/api/v1/auths/api_key"),
    ("GET", "/api/v1/auths/api_key"),
    ("POST", "/api/v1/auths/api_keys"),
];

fn secretive(mut connection: Connection) -> Connection {
    connection.key = Some(Secret::new(format!("{MARK} upstream")));
    connection.headers = BTreeMap::from([("x-team".to_owned(), Secret::new(format!("{MARK} header")))]);
    connection
}

#[tokio::test]
async fn no_answer_tells_a_secret_but_to_whom_it_is_due() {
    let (mut server, upstreams) = TestServer::with_upstreams_and(|config| {
        config.auth.secret = Secret::new(format!("{MARK} of the server, which is long enough"));
        config.connections = std::mem::take(&mut config.connections).into_iter().map(secretive).collect();
    })
    .await;
    server.run();
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    ada.post("/api/v1/users/default/permissions", json!({"features": {"api_keys": true}})).await;
    let unnamed = eve.with_api_key().await.token;
    let named = eve.post("/api/v1/auths/api_keys", json!({"name": "ci"})).await.json();
    let named = named["api_key"].as_str().unwrap().to_owned();
    let never = [MARK, PASSWORD, "$argon2"];
    let credentials = [unnamed.as_str(), &named, &eve.token, &ada.token];
    let check = |answer: &Answer, secrets: &[&str], what: &str| {
        for secret in secrets {
            assert!(!answer.text().contains(secret), "{what}: {}", answer.text());
            let headers = format!("{:?}", answer.headers);
            assert!(!headers.contains(secret), "{what}: {headers}");
        }
    };

    for row in rows() {
        let name = format!("{} {}", row.method, row.path);
        let things = Things::make(&server, &upstreams, &row).await;
        let path = things.fill(&format!("{}{}", row.path, row.query));
        let (method, body) = (row.method.parse::<http::Method>().unwrap(), things.fill(&row.json()));
        // Sent back in a refusal, a caller's own body tells the caller nothing; here it has no secret.
        let broken = json!({"odd": true}).to_string();
        for client in [server.admin(), ada.clone(), eve.clone(), server.stranger()] {
            if row.path.ends_with("/signout") || row.path.ends_with("/update/password") {
                continue;
            }
            let hands_out = HANDED_OUT.contains(&(row.method, row.path));
            for body in [&broken, &body] {
                let answer = client.send(method.clone(), &path, body.clone().into()).await;
                check(&answer, &never, &name);
                if !hands_out {
                    check(&answer, &credentials, &name);
                    check(&answer, &["eyJ", "\"sk-"], &name);
                }
            }
        }
    }
}

#[tokio::test]
async fn nothing_shows_a_secret_to_who_looks_into_the_program() {
    let server = TestServer::start().await;
    server.sign_up("ada").await;
    let secret = |what: &str| Secret::new(format!("{MARK} {what}"));
    let mut config = Config::at("/nowhere", secret("server"));
    config.auth.previous_secrets = vec![secret("previous")];
    config.connections = vec![secretive(Connection::new(ConnectionKind::OpenAi, 0, "http://127.0.0.1:1"))];
    let service = EmbedderConfig { key: Some(secret("embedder")), ..config.embedding_service.clone() };
    config.embedding = Embedding::OpenAi(service.clone());
    config.embedding_service = service;
    let new = NewAccount {
        email: "eve@example.org".into(),
        name: "eve".into(),
        password: secret("password"),
        role: Role::User,
        profile_image_url: None,
    };
    let shown = format!("{config:?} {:?} {new:?}", config.auth);
    let session = server.breezeway.auth().add_account(new).await.unwrap();
    let principal = server.breezeway.auth().authenticate(session.token.expose()).unwrap();

    let shown = format!("{shown} {session:?} {principal:?} {:?}", server.breezeway.config());

    for secret in [MARK, "$argon2", session.token.expose(), "the secret of these tests"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
