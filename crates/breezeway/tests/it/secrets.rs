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
use tempfile::TempDir;

use crate::{
    departure::kill::copy,
    harness::{Answer, PASSWORD, TestServer, Upstreams},
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

/// The body of `/embedding/update` for OpenAI's dialect.
fn embedding(url: &str, key: &str) -> serde_json::Value {
    json!({
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_EMBEDDING_MODEL": "text-embedding-3-small",
        "openai_config": {"url": url, "key": key},
    })
}

#[tokio::test]
async fn the_key_for_embeddings_is_shown_by_its_end_and_may_be_sent_back_so() {
    let (mut server, upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let (path, url) = ("/api/v1/retrieval/embedding/update", upstreams.openai.openai_url());
    let used = || upstreams.openai.last_at("/v1/embeddings").header("authorization").unwrap().to_owned();
    let shown = |answer: &Answer| answer.json()["openai_config"]["key"].as_str().unwrap().to_owned();

    let set = ada.post(path, embedding(&url, "sk-of-the-embedder")).await;
    assert_eq!((set.status, shown(&set)), (200, "••••dder".to_owned()), "{}", set.summary());
    assert_eq!(shown(&ada.get("/api/v1/retrieval/embedding").await), "••••dder");
    for sent in ["••••dder", ""] {
        let again = ada.post(path, embedding(&url, sent)).await;
        assert_eq!((again.status, shown(&again)), (200, "••••dder".to_owned()), "{sent}");
        assert_eq!(used(), "Bearer sk-of-the-embedder");
    }

    // Elsewhere, or of another key, it is no key.
    let elsewhere = format!("{url}/elsewhere");
    for (url, sent) in [(&elsewhere, "••••dder"), (&url, "••••else")] {
        let refused = ada.post(path, embedding(url, sent)).await;
        assert_eq!(refused.status, 422, "{}", refused.summary());
    }
    assert_eq!(used(), "Bearer sk-of-the-embedder");
}

#[tokio::test]
async fn keys_of_upstreams_are_sealed_anew_after_a_change_of_the_secret() {
    let upstreams = Upstreams::start().await;
    upstreams.openai.demand_key("sk-of-the-upstream");
    let opened = async |folder: TempDir, secret: &str, previous: &[&str]| {
        let server = TestServer::over_with(folder, |config| {
            config.auth.secret = Secret::new(secret);
            config.auth.previous_secrets = previous.iter().map(|&secret| Secret::new(secret)).collect();
        });
        server.await
    };
    let copied = |server: &TestServer| {
        let copied = TempDir::new().unwrap();
        copy(&server.breezeway.config().data_folder, copied.path());
        copied
    };
    let asks = async |server: &TestServer| {
        let failures = server.breezeway.registry().refresh(true).await;
        assert!(failures.is_empty(), "{failures:?}");
        upstreams.openai.reset();
        upstreams.openai.demand_key("sk-of-the-upstream");
        let body = embedding(&upstreams.openai.openai_url(), "");
        let answer = server.admin().post("/api/v1/retrieval/embedding/update", body).await;
        assert_eq!(answer.status, 200, "{}", answer.summary());
    };
    let first = opened(TempDir::new().unwrap(), "the first secret of the server", &[]).await;
    let ada = first.sign_up("ada").await;
    let url = upstreams.openai.openai_url();
    let form = json!({"OPENAI_API_BASE_URLS": [url], "OPENAI_API_KEYS": ["sk-of-the-upstream"]});
    assert_eq!(ada.post("/openai/config/update", form).await.status, 200);
    let set = ada.post("/api/v1/retrieval/embedding/update", embedding(&url, "sk-of-the-upstream")).await;
    assert_eq!(set.status, 200, "{}", set.summary());

    let second = opened(copied(&first), "a second secret of it", &["the first secret of the server"]).await;
    asks(&second).await;

    // Only the second secret is known any more, and whatever was sealed under the first would be lost.
    let third = opened(copied(&second), "a second secret of it", &[]).await;
    asks(&third).await;
}
