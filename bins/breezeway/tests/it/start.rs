//! Starting without a person at the terminal.

use std::{net::TcpListener, process::Output};

use breezeway_testkit::ScriptedUpstream;
use serde_json::json;

use crate::gateway::Setup;

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}

/// Assert that the command failed in words that hold all of `marks`.
fn assert_fails(output: &Output, marks: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("breezeway: "), "{said}");
    assert!(marks.iter().all(|mark| said.contains(mark)), "{marks:?} in: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn the_first_admin_can_be_given_by_settings() {
    let setup = Setup::new()
        .set("BREEZEWAY_ADMIN_EMAIL", "Root@Test.Example")
        .set("BREEZEWAY_ADMIN_PASSWORD", "a secret of the deployment");
    let gateway = setup.start().await;
    let form = json!({"email": "root@test.example", "password": "a secret of the deployment"});

    let session = gateway.client().post_json("/api/v1/auths/signin", &form).await;

    assert_eq!(session.status, 200, "{}", session.summary());
    assert_eq!(session.json()["role"], "admin");
    let new = json!({"name": "Eve", "email": "eve@test.example", "password": "me first please"});
    let stranger = gateway.client().post_json("/api/v1/auths/signup", &new).await;
    assert_ne!(stranger.json()["role"], "admin", "{}", stranger.summary());
    gateway.stop().await;
    let again = setup.start().await;
    assert_eq!(again.client().post_json("/api/v1/auths/signin", &form).await.status, 200);
}

#[tokio::test]
async fn accounts_and_keys_can_be_made_while_the_gateway_rests() {
    let setup = Setup::new();

    let made =
        setup.run(&["admin", "create-user", "--email", "Ada@Test.Example", "--role", "admin"], "first one\n");
    let taken = setup.run(&["admin", "create-user", "--email", "ada@test.example"], "another\n");
    let reset = setup.run(&["admin", "reset-password", "--email", "ada@test.example"], "second one\n");
    let key = setup.run(&["admin", "api-key", "--email", "ada@test.example"], "");
    let nobody = setup.run(&["admin", "api-key", "--email", "bob@test.example"], "");
    let empty = setup.run(&["admin", "create-user", "--email", "bob@test.example"], "\n");

    assert!(made.status.success(), "{}", said(&made));
    assert!(reset.status.success(), "{}", said(&reset));
    assert!(key.status.success(), "{}", said(&key));
    assert_fails(&taken, &["taken"]);
    assert_fails(&nobody, &["`bob@test.example`"]);
    assert_fails(&empty, &["password is empty"]);
    for output in [&made, &reset] {
        assert!(!said(output).contains(" one"), "{}", said(output));
    }
    let key = String::from_utf8_lossy(&key.stdout).trim().to_owned();
    assert!(key.starts_with("sk-"), "{key}");
    let gateway = setup.start().await;
    assert_eq!(gateway.client().bearer(&key).get("/api/models").await.status, 200);
    let mut form = json!({"email": "ada@test.example", "password": "first one"});
    assert_eq!(gateway.client().post_json("/api/v1/auths/signin", &form).await.status, 400);
    form["password"] = "second one".into();
    let session = gateway.client().post_json("/api/v1/auths/signin", &form).await;
    assert_eq!(session.json()["role"], "admin", "{}", session.summary());
}

#[tokio::test]
async fn a_data_folder_belongs_to_one_process_at_a_time() {
    let setup = Setup::new();
    let gateway = setup.start().await;

    let second = setup.run(&["serve"], "");
    let admin = setup.run(&["admin", "create-user", "--email", "ada@test.example"], "a password\n");

    for output in [&second, &admin] {
        assert_fails(output, &["in use", &setup.data().display().to_string()]);
    }
    gateway.kill();
    setup.start().await.stop().await;
}

#[tokio::test]
async fn without_accounts_nobody_is_asked_for_a_token() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Setup::openai(&upstream).set("WEBUI_AUTH", "false").start().await;
    let client = gateway.client();

    let models = client.get("/api/models").await;
    let file = client.upload("/api/v1/files/?process=false", "a.txt", "text/plain", b"text").await;

    assert_eq!(models.status, 200, "{}", models.summary());
    assert_eq!(file.status, 200, "{}", file.summary());
    assert!(gateway.address().ip().is_loopback());
    assert!(!gateway.log().contains("Whoever reaches this address"), "{}", gateway.log());
}

#[tokio::test]
async fn an_open_address_is_warned_about() {
    let single = Setup::new().set("WEBUI_AUTH", "false").set("HOST", "0.0.0.0").start().await;
    let empty = Setup::new().set("HOST", "0.0.0.0").set("LOG_FORMAT", "text").start().await;

    single.logs("Whoever reaches this address is admin").await;
    empty.logs("Whoever reaches this address first can sign up and become admin").await;
}

#[tokio::test]
async fn a_port_in_use_is_said_and_ends_the_process() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let setup = Setup::new().set("PORT", &address.port().to_string());

    let output = setup.run(&["serve"], "");

    assert_fails(&output, &[&format!("`{address}`"), "in use"]);
}

#[test]
fn a_setting_that_makes_no_sense_is_named() {
    for (name, value) in [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("HOST", "nowhere.test.example"),
        ("ENABLE_SIGNUP", "perhaps"),
        ("BREEZEWAY_MAX_CONNECTIONS", "-1"),
        ("BREEZEWAY_DRAIN_SECONDS", "soon"),
        ("GLOBAL_LOG_LEVEL", "verbose"),
        ("RAG_EMBEDDING_ENGINE", "abacus"),
        ("OPENAI_API_CONFIGS", "{"),
        ("JWT_EXPIRES_IN", "a while"),
        ("DEFAULT_USER_ROLE", "emperor"),
        ("CORS_ALLOW_ORIGIN", "nowhere"),
    ] {
        let output = Setup::new().set(name, value).run(&["serve"], "");

        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{name}={value}: {said}");
        let names_it = said.contains(name) || said.contains(&format!("`{value}`"));
        assert!(said.contains("breezeway: ") && names_it, "{name}={value}: {said}");
    }
}

#[test]
fn a_data_folder_that_is_none_is_said() {
    let setup = Setup::new();
    std::fs::write(setup.data(), "a file where the folder should be").expect("it can be written");

    let output = setup.run(&["serve"], "");

    assert_fails(&output, &[&setup.data().display().to_string()]);
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let setup = Setup::new();
    std::fs::create_dir_all(setup.data()).expect("it can be made");
    let path = setup.data().join("breezeway.db");
    std::fs::write(&path, "these are somebody's notes, kept under an unlucky name")
        .expect("it can be written");

    let output = setup.run(&["serve"], "");

    assert_fails(&output, &["breezeway: "]);
    assert!(
        std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with("these are")),
        "it is as it was"
    );
}

#[test]
fn the_settings_check_shows_no_secret() {
    let secrets = [
        ("WEBUI_SECRET_KEY", "hush-webui-secret-key-000000000000000000"),
        ("WEBUI_SECRET_KEY_PREVIOUS", "hush-previous-key-00000000000000000000"),
        ("OPENAI_API_KEYS", "hush-one;hush-two"),
        ("RAG_OPENAI_API_KEY", "hush-embedding"),
        ("RAG_OLLAMA_API_KEY", "hush-ollama"),
        ("BREEZEWAY_ADMIN_PASSWORD", "hush-password"),
        ("OLLAMA_API_CONFIGS", "{\"0\":{\"key\":\"hush-config\"}}"),
        ("OPENAI_API_CONFIGS", "{\"0\":{\"headers\":{\"X-Token\":\"hush-header\"}}}"),
    ];
    let mut setup = Setup::new()
        .set("BREEZEWAY_ADMIN_EMAIL", "root@test.example")
        .set("OPENAI_API_BASE_URLS", "http://hush-user:hush-url@127.0.0.1:9/v1")
        .set("RAG_EMBEDDING_ENGINE", "openai")
        .set("RAG_EMBEDDING_MODEL", "m");
    for (name, value) in secrets {
        setup = setup.set(name, value);
    }

    let output = setup.run(&["config", "check"], "");

    let said = said(&output);
    assert!(output.status.success(), "{said}");
    for (name, _) in secrets {
        if name != "RAG_OLLAMA_API_KEY" {
            assert!(said.contains(name), "{name} is listed: {said}");
        }
    }
    let leaks: Vec<&str> = said.lines().filter(|line| line.contains("hush")).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[test]
fn a_local_model_that_is_not_here_is_said_to_be_ignored() {
    let check =
        |model: &str| said(&Setup::new().set("RAG_EMBEDDING_MODEL", model).run(&["config", "check"], ""));

    let other = check("BAAI/bge-m3");
    assert!(other.contains("warning: RAG_EMBEDDING_MODEL names `BAAI/bge-m3`"), "{other}");
    let same = check("sentence-transformers/all-MiniLM-L6-v2");
    assert!(!same.contains("warning"), "{same}");
}

#[tokio::test]
async fn a_secret_is_made_once_and_kept_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let setup = Setup::new();
    let gateway = setup.start().await;
    let token = gateway.token().await;
    gateway.stop().await;
    let path = setup.data().join("secret.key");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();

    let gateway = setup.start().await;

    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(gateway.client().bearer(&token).get("/api/models").await.status, 200);
    let secret = std::fs::read_to_string(&path).expect("it can be read");
    assert!(!gateway.log().contains(secret.trim()));
}
