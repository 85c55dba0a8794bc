//! API keys: one for each account that is shown again, and many with names and limits of their own.

use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestServer},
    models::{overlay, public},
    sweeps::{Things, processed, rows},
};

const KEY: &str = "/api/v1/auths/api_key";
const KEYS: &str = "/api/v1/auths/api_keys";

/// A named key with these rules: what comes with it, and its id.
async fn named(client: &Client, mut form: Value) -> (Client, String) {
    form["name"] = "ci".into();
    let answer = client.post(KEYS, form).await;
    assert_eq!(answer.status, 200, "{}", answer.summary());
    let answer = answer.json();
    (client.with_token(answer["api_key"].as_str().unwrap()), answer["id"].as_str().unwrap().to_owned())
}

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

#[tokio::test]
async fn a_named_key_is_shown_once_and_listed_without_its_secret() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    ada.with_api_key().await;
    server.pass(1);
    let form = json!({
        "name": " ci ",
        "expires_at": 1_900_000_000,
        "allowed_endpoints": ["/api/models"],
        "allowed_models": ["gpt-small"],
        "allowed_collections": [],
        "read_only": true,
        "requests_per_minute": 60,
        "tokens_per_minute": 1000,
        "budget": {"amount": 2.5, "period": "month"},
    });

    let made = ada.post(KEYS, form).await;

    let ending = made.json()["last_four"].as_str().unwrap().to_owned();
    assert!(made.json()["api_key"].as_str().unwrap().ends_with(&ending));
    assert_eq!(made.header("cache-control"), "no-store");
    assert_snapshot!(made.summary().replace(&ending, "[end]"), @r#"
    200 OK
    {
      "api_key": "[key]",
      "id": "[id]",
      "user_id": "[id]",
      "name": "ci",
      "last_four": "[end]",
      "expires_at": 1900000000,
      "expired": false,
      "allowed_endpoints": [
        "/api/models"
      ],
      "allowed_models": [
        "gpt-small"
      ],
      "allowed_collections": [],
      "read_only": true,
      "requests_per_minute": 60,
      "tokens_per_minute": 1000,
      "budget": {
        "amount": 2.5,
        "period": "month"
      },
      "last_used_at": null,
      "created_at": 1800000002
    }
    "#);
    let program = ada.with_token(made.json()["api_key"].as_str().unwrap());
    assert_eq!(program.get("/api/models").await.status, 200);
    let list = ada.get(KEYS).await;
    assert_eq!(list.json().as_array().unwrap().len(), 2);
    assert_eq!(list.json()[0]["name"], json!(null));
    assert_eq!(list.json()[1]["last_used_at"], json!(server.clock.now().seconds()));
    assert!(!list.text().contains("sk-"), "{}", list.text());
    let one = ada.get(&format!("{KEYS}/{}", made.json()["id"].as_str().unwrap())).await;
    assert_eq!(one.json(), list.json()[1]);
}

#[tokio::test]
async fn the_single_key_routes_leave_named_keys_alone() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let (program, id) = named(&ada, json!({})).await;

    assert_eq!(ada.get(KEY).await.status, 404);
    let single = ada.with_api_key().await;
    ada.with_api_key().await;
    assert_eq!(single.get("/api/models").await.status, 401);
    assert_eq!(ada.delete(KEY).await.status, 200);

    assert_eq!(program.get("/api/models").await.status, 200);
    // A key that is not narrowed does what its account does.
    assert_eq!(program.get(KEYS).await.json().as_array().unwrap().len(), 1);
    assert_snapshot!(ada.delete(&format!("{KEYS}/{id}")).await.summary(), @r#"
    200 OK
    true
    "#);
    assert_snapshot!(program.get("/api/models").await.summary(), @r#"
    401 Unauthorized
    {"detail":"Your session has expired or the token is invalid. Please sign in again."}
    "#);
    assert_snapshot!(ada.delete(&format!("{KEYS}/{id}")).await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
}

#[tokio::test]
async fn a_key_ends_when_its_time_has_come() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let end = server.clock.now().seconds() + 60;
    let (program, id) = named(&ada, json!({"expires_at": end})).await;
    server.pass(59);
    assert_eq!(program.get("/api/models").await.status, 200);

    server.pass(1);

    let unknown = ada.with_token("sk-0123456789abcdef0123456789abcdef");
    let answers = [program.get("/api/models").await.summary(), unknown.get("/api/models").await.summary()];
    assert_eq!(answers[0], answers[1]);
    assert_eq!(program.get("/api/models").await.status, 401);
    assert_eq!(ada.get(&format!("{KEYS}/{id}")).await.json()["expired"], json!(true));
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused_in_words() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let mut answers = String::new();

    for form in [
        json!({}),
        json!({"name": ""}),
        json!({"name": 7}),
        json!({"name": "x".repeat(101)}),
        json!({"name": "a", "expires_at": 1_800_000_001}),
        json!({"name": "a", "expires_at": "soon"}),
        json!({"name": "a", "allowed_endpoints": ["api"]}),
        json!({"name": "a", "allowed_models": vec!["m"; 201]}),
        json!({"name": "a", "requests_per_minute": 0}),
        json!({"name": "a", "requests_per_minute": -1}),
        json!({"name": "a", "tokens_per_minute": 0}),
        json!({"name": "a", "budget": {"tokens": 0, "period": "day"}}),
        json!({"name": "a", "budget": {"tokens": 1, "period": "year"}}),
        json!({"name": "a", "budget": {"tokens": 1, "amount": 1, "period": "day"}}),
        json!({"name": "a", "budget": {"amount": -1, "period": "day"}}),
        json!({"name": "a", "budget": {"period": "day"}}),
    ] {
        let answer = ada.post(KEYS, form.clone()).await;
        assert_eq!(answer.status, 422, "{form}: {}", answer.summary());
        let fault = &answer.json()["detail"][0];
        answers += &format!("{} {}\n", fault["loc"], fault["msg"]);
    }

    assert_snapshot!(answers, @r#"
    ["body","name"] "Field required"
    ["body","name"] "a name has between 1 and 100 printable characters"
    ["body"] "invalid type: integer `7`, expected a string"
    ["body","name"] "a name has between 1 and 100 printable characters"
    ["body","expires_at"] "the time is not in the future"
    ["body"] "invalid type: string \"soon\", expected i64"
    ["body","allowed_endpoints"] "an endpoint is a path such as `/api/models`"
    ["body","allowed_models"] "a list has at most 200 entries"
    ["body","requests_per_minute"] "a limit of zero allows nothing; leave it out or revoke the key"
    ["body"] "invalid value: integer `-1`, expected u32"
    ["body","tokens_per_minute"] "a limit of zero allows nothing; leave it out or revoke the key"
    ["body","budget"] "a budget of zero allows nothing"
    ["body","budget"] "`period` is `day` or `month`"
    ["body","budget"] "a budget has either `tokens` or `amount`"
    ["body","budget"] "`amount` is between 0 and 1000000000"
    ["body","budget"] "a budget has either `tokens` or `amount`"
    "#);
    assert_eq!(ada.get(KEYS).await.json(), json!([]));
}

#[tokio::test]
async fn a_key_is_changed_by_its_owner_and_read_by_nobody_else() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let tree = json!({"features": {"api_keys": true}});
    ada.post("/api/v1/users/default/permissions", tree).await;
    let (program, id) = named(&eve, json!({"read_only": true, "requests_per_minute": 5})).await;
    let path = format!("{KEYS}/{id}");

    assert_eq!(ada.get(&path).await.status, 404);
    assert_eq!(ada.post(&format!("{path}/update"), json!({"read_only": false})).await.status, 404);
    assert_eq!(eve.get(&format!("{KEYS}/all")).await.status, 401);
    let changed = eve.post(&format!("{path}/update"), json!({"name": "cron", "read_only": false})).await;
    assert_eq!((&changed.json()["name"], &changed.json()["read_only"]), (&json!("cron"), &json!(false)));
    assert_eq!(changed.json()["requests_per_minute"], json!(5), "what is not said stays");
    let changed = eve.post(&format!("{path}/update"), json!({"requests_per_minute": null})).await;
    assert_eq!(changed.json()["requests_per_minute"], json!(null));
    let all = ada.get(&format!("{KEYS}/all?user_id={}", eve.id)).await;
    assert_eq!(all.json()[0]["id"], json!(id));
    assert_eq!(ada.get(&format!("{KEYS}/all?user_id={}", ada.id)).await.json(), json!([]));
    assert_eq!(program.get("/api/models").await.status, 200);
    assert_eq!(ada.delete(&path).await.status, 200);
    assert_eq!(program.get("/api/models").await.status, 401);
}

#[tokio::test]
async fn a_narrowed_key_cannot_free_itself() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let (_, other) = named(&ada, json!({})).await;
    let expected = {
        let (program, _) = named(&ada, json!({"allowed_models": []})).await;
        program.post(KEY, ()).await.summary()
    };
    assert_snapshot!(expected, @r#"
    403 Forbidden
    {"detail":"An API key with limits of its own may not manage API keys or accounts."}
    "#);

    for rules in [
        json!({"read_only": true}),
        json!({"expires_at": 1_900_000_000}),
        json!({"allowed_endpoints": ["/api"]}),
        json!({"allowed_models": ["gpt-small"]}),
        json!({"allowed_collections": ["notes"]}),
        json!({"requests_per_minute": 1000}),
        json!({"budget": {"tokens": 1, "period": "day"}}),
    ] {
        let (program, own) = named(&ada, rules.clone()).await;
        let user = json!({"name": "x", "email": "x@new.org", "password": "p", "role": "admin"});
        for (method, path, body) in [
            (Method::POST, KEY.to_owned(), Value::Null),
            (Method::GET, KEY.to_owned(), Value::Null),
            (Method::DELETE, KEY.to_owned(), Value::Null),
            (Method::POST, KEYS.to_owned(), json!({"name": "wide"})),
            (Method::GET, KEYS.to_owned(), Value::Null),
            (Method::GET, format!("{KEYS}/all"), Value::Null),
            (Method::GET, format!("{KEYS}/{own}"), Value::Null),
            (Method::POST, format!("{KEYS}/{own}/update"), json!({"read_only": false})),
            (Method::DELETE, format!("{KEYS}/{other}"), Value::Null),
            (Method::POST, "/api/v1/auths/add".to_owned(), user),
            (Method::POST, format!("/api/v1/users/{}/update", eve.id), json!({"password": "mine"})),
        ] {
            let answer = program.send(method.clone(), &path, body.to_string().into()).await.summary();
            assert_eq!(answer, expected, "{rules}: {method} {path}");
        }
    }
}

#[tokio::test]
async fn a_read_only_key_can_call_what_reads_and_nothing_else() {
    let (mut server, upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let (program, _) = named(&ada, json!({"read_only": true})).await;
    let mut reading = Vec::new();

    for row in rows().iter().filter(|row| row.method != "GET") {
        let things = Things::make(&server, &upstreams, row).await;
        let path = things.fill(&format!("{}{}", row.path, row.query));
        let answer = program.send(row.method.parse().unwrap(), &path, things.fill(&row.json()).into()).await;
        let refused = answer.status == 403 && answer.text().contains("API key");
        // Who signs in or out is not who the key is.
        let is_open = ["/signin", "/signup", "/signout"].iter().any(|end| row.path.ends_with(end));
        if !refused && !is_open {
            assert_eq!(answer.status, row.status, "{} {path}: {}", row.method, answer.summary());
            reading.push(format!("{} {}", row.method, row.path));
        }
    }

    assert_snapshot!(reading.join("\n"), @"
    POST /api/chat/completions
    POST /api/v1/chat/completions
    POST /api/chat/completed
    POST /api/v1/messages
    POST /api/message
    POST /api/v1/messages/count_tokens
    POST /api/message/count_tokens
    POST /api/embeddings
    POST /api/v1/embeddings
    POST /v1/chat/completions
    POST /v1/completions
    POST /v1/embeddings
    POST /v1/responses
    POST /api/v1/responses
    POST /v1/messages
    POST /v1/messages/count_tokens
    POST /openai/chat/completions
    POST /openai/responses
    POST /api/v1/retrieval/query/doc
    POST /api/v1/retrieval/query/collection
    ");
    assert_snapshot!(program.upload("sky.txt", "The sky is blue.").await.summary(), @r#"
    403 Forbidden
    {"detail":"This API key is read-only."}
    "#);
    for (path, body, status) in [
        ("/ollama/api/chat", json!({"model": "llama3.2"}), 200),
        ("/ollama/api/pull", json!({"model": "llama3.2"}), 403),
    ] {
        assert_eq!(program.post(path, body).await.status, status, "{path}");
    }
    assert_eq!(program.send(Method::DELETE, "/ollama/api/delete", "{}".into()).await.status, 403);
}

#[tokio::test]
async fn a_key_with_endpoints_reaches_those_and_what_is_below_them() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let (program, _) = named(&ada, json!({"allowed_endpoints": ["/api/models", "/ollama/"]})).await;
    let check = async |path: &str, expected: u16| {
        assert_eq!(program.get(path).await.status, expected, "{path}");
    };

    check("/api/models", 200).await;
    check("/api/models/base", 200).await;
    check("/ollama/api/tags", 200).await;
    check("/api/v1/files/", 403).await;
    check("/api/v1/models", 403).await;
    check("/openai/models", 403).await;

    // Both lists must allow it.
    let limits = json!({
        "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": true,
        "API_KEYS_ALLOWED_ENDPOINTS": "/api/models,/api/v1/files",
    });
    ada.post("/api/v1/auths/admin/config", limits).await;
    check("/api/models", 200).await;
    check("/ollama/api/tags", 403).await;
    check("/api/v1/files/", 403).await;
}

#[tokio::test]
async fn a_key_for_certain_models_finds_no_trace_of_others() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "gpt-large", Value::Null, public()).await;
    let (program, _) = named(&ada, json!({"allowed_models": ["gpt-small", "llama3.2"]})).await;
    let ids = |answer: Answer, list: &str, id: &str| -> Vec<String> {
        let answer = answer.json();
        let list = if list.is_empty() { &answer } else { &answer[list] };
        list.as_array().unwrap().iter().map(|entry| entry[id].as_str().unwrap().to_owned()).collect()
    };

    for (path, list, id, expected) in [
        ("/api/models", "data", "id", vec!["gpt-small", "llama3.2:latest"]),
        ("/api/v1/models", "data", "id", vec!["gpt-small", "llama3.2:latest"]),
        ("/api/models/base", "data", "id", vec!["gpt-small", "llama3.2:latest"]),
        ("/v1/models", "data", "id", vec!["gpt-small", "llama3.2:latest"]),
        ("/openai/models", "data", "id", vec!["gpt-small"]),
        ("/openai/models/0", "data", "id", vec!["gpt-small"]),
        ("/ollama/api/tags", "models", "model", vec!["llama3.2:latest"]),
        ("/ollama/v1/models", "data", "id", vec!["llama3.2:latest"]),
        ("/api/v1/models/base", "", "id", vec![]),
    ] {
        let found = ids(program.get(path).await, list, id);
        assert!(!found.contains(&"gpt-large".to_owned()), "{path}: {found:?}");
        assert!(expected.iter().all(|id| found.iter().any(|found| found == id)), "{path}: {found:?}");
    }

    let ask = |model: &str| {
        json!({"model": model, "max_tokens": 9, "input": "hello", "prompt": "hello",
               "messages": [{"role": "user", "content": "hello"}]})
    };
    for (path, allowed, forbidden) in [
        ("/api/chat/completions", "gpt-small", "gpt-large"),
        ("/api/v1/messages", "gpt-small", "gpt-large"),
        ("/v1/chat/completions", "gpt-small", "gpt-large"),
        ("/v1/completions", "gpt-small", "gpt-large"),
        ("/v1/messages", "gpt-small", "gpt-large"),
        ("/api/embeddings", "gpt-small", "gpt-large"),
        ("/openai/chat/completions", "gpt-small", "gpt-large"),
        ("/openai/responses", "gpt-small", "gpt-large"),
        ("/ollama/api/chat", "llama3.2", "qwen"),
        ("/ollama/api/show", "llama3.2", "qwen"),
    ] {
        let is = program.post(path, ask(allowed)).await;
        assert_eq!(is.status, 200, "{path}: {}", is.summary());
        let unknown = program.post(path, ask("no-such-model")).await.summary();
        let found = program.post(path, ask(forbidden)).await.summary();
        assert_eq!(found.replace(forbidden, "no-such-model"), unknown, "{path}");
    }
    assert_eq!(program.get("/ollama/api/ps").await.status, 401);
    let zed = json!({"id": "gpt-small", "name": "Z", "base_model_id": "gpt-large", "meta": {}, "params": {}});
    assert_eq!(program.post("/api/v1/models/create", zed).await.status, 401);
}

#[tokio::test]
async fn a_key_for_certain_collections_finds_no_trace_of_others() {
    let (mut server, _upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let (open, open_file) = collection(&ada, "open").await;
    let (closed, closed_file) = collection(&ada, "closed").await;
    let (program, _) = named(&ada, json!({"allowed_collections": [open]})).await;

    let total = async |path: &str| program.get(path).await.json()["total"].clone();
    assert_eq!(total("/api/v1/knowledge/").await, json!(1));
    assert_eq!(total("/api/v1/knowledge/search").await, json!(1));
    assert_eq!(program.get("/api/v1/files/count").await.json(), json!(1));
    let listed = program.get("/api/v1/files/").await.text();
    assert!(listed.contains(&open_file) && !listed.contains(&closed_file), "{listed}");

    for (path, unknown) in [
        ("/api/v1/knowledge/{c}", "/api/v1/knowledge/unknown"),
        ("/api/v1/knowledge/{c}/files", "/api/v1/knowledge/unknown/files"),
        ("/api/v1/files/{f}", "/api/v1/files/unknown"),
        ("/api/v1/files/{f}/content", "/api/v1/files/unknown/content"),
        ("/api/v1/files/{f}/data/content", "/api/v1/files/unknown/data/content"),
    ] {
        let at = |collection: &str, file: &str| path.replace("{c}", collection).replace("{f}", file);
        assert_eq!(program.get(&at(&open, &open_file)).await.status, 200, "{path}");
        let (found, unknown) = (program.get(&at(&closed, &closed_file)).await, program.get(unknown).await);
        assert_eq!(found.summary(), unknown.summary(), "{path}");
    }
    for (path, query, field) in [
        ("/api/v1/retrieval/query/collection", json!({"collection_names": ["$"], "query": "sky"}), "open"),
        ("/api/v1/retrieval/query/doc", json!({"collection_name": "$", "query": "sky"}), "open"),
        ("/api/v1/retrieval/query/doc", json!({"collection_name": "file-$", "query": "sky"}), "file"),
    ] {
        let ask = async |id: &str| {
            let query: Value = serde_json::from_str(&query.to_string().replace('$', id)).unwrap();
            program.post(path, query).await
        };
        let (is, is_not) = if field == "file" { (&open_file, &closed_file) } else { (&open, &closed) };
        let found = ask(is).await;
        assert!(found.text().contains("sky is blue"), "{query}: {}", found.summary());
        assert_eq!(ask(is_not).await.summary(), ask("unknown").await.summary(), "{query}");
    }
    for (kind, is, is_not) in [("collection", &open, &closed), ("file", &open_file, &closed_file)] {
        let chat = async |id: &str| {
            let body = json!({
                "model": "gpt-small",
                "messages": [{"role": "user", "content": "Why is the sky blue?"}],
                "files": [{"type": kind, "id": id}],
            });
            program.post("/api/chat/completions", body).await.json()["sources"].is_array()
        };
        assert_eq!((chat(is).await, chat(is_not).await), (true, false), "{kind}");
    }
    for (method, path, body) in [
        (Method::POST, "/api/v1/knowledge/create", json!({"name": "n", "description": ""})),
        (Method::DELETE, "/api/v1/files/all", Value::Null),
        (Method::POST, "/api/v1/retrieval/reset/db", Value::Null),
        (
            Method::POST,
            "/api/v1/retrieval/process/text",
            json!({"name": "n", "content": "x", "collection_name": "new"}),
        ),
    ] {
        let answer = program.send(method, path, body.to_string().into()).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.summary());
    }
    assert_eq!(ada.get("/api/v1/files/count").await.json(), json!(2));
}

#[tokio::test]
async fn a_key_for_certain_collections_uploads_into_one_of_them_or_not_at_all() {
    let mut server = TestServer::start().await;
    server.run();
    let ada = server.sign_up("ada").await;
    let (open, _) = collection(&ada, "open").await;
    let (closed, _) = collection(&ada, "closed").await;
    let (program, _) = named(&ada, json!({"allowed_collections": [open]})).await;
    let upload = async |metadata: &str| {
        let body = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"new.txt\"\r\n\r\nNew.\r\n\
             --edge\r\ncontent-disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n--edge--\r\n"
        );
        let client = program.with_header("content-type", "multipart/form-data; boundary=edge");
        client.send(Method::POST, "/api/v1/files/", body.into()).await
    };

    assert_snapshot!(program.upload("loose.txt", "Loose.").await.summary(), @r#"
    403 Forbidden
    {
      "detail": "This API key is limited to certain collections. Name one of them as `knowledge_id` in the upload's `metadata`."
    }
    "#);
    assert_eq!(upload("{}").await.status, 403);
    assert_eq!(program.upload_to("/v1/files", "loose.txt", "Loose.").await.status, 403);
    let (foreign, unknown) = (json!({"knowledge_id": closed}), json!({"knowledge_id": "unknown"}));
    let refused = upload(&foreign.to_string()).await;
    assert_eq!(refused.summary(), upload(&unknown.to_string()).await.summary());
    assert_ne!(refused.status, 200);

    let into = upload(&json!({"knowledge_id": open}).to_string()).await;

    assert_eq!(into.status, 200, "{}", into.summary());
    let path = format!("/api/v1/files/{}", into.json()["id"].as_str().unwrap());
    assert_eq!(program.get(&path).await.status, 200, "it sees what it has uploaded");
    assert_eq!(ada.get("/api/v1/files/count").await.json(), json!(3), "nothing was kept of the others");
}

/// A collection with one file.
async fn collection(client: &Client, name: &str) -> (String, String) {
    let id = |answer: Answer| answer.json()["id"].as_str().unwrap().to_owned();
    let file = id(client.upload(&format!("{name}.txt"), &format!("In {name} the sky is blue.")).await);
    processed(client, &file).await;
    let made = client.post("/api/v1/knowledge/create", json!({"name": name, "description": ""})).await;
    let collection = id(made);
    let add = format!("/api/v1/knowledge/{collection}/file/add");
    assert_eq!(client.post(&add, json!({"file_id": file})).await.status, 200);
    (collection, file)
}
