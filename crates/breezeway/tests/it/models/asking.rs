//! What custom models bring into a chat, and collections that are asked like models.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{listed, overlay, public};
use crate::{
    harness::{Client, TestServer, Upstreams, eventually, grant},
    sweeps::processed,
};

const CHAT: &str = "/api/chat/completions";
const UPSTREAM: &str = "/v1/chat/completions";

/// A server that answers for collections with `gpt-small`, which nobody but the admin may use.
async fn server() -> (TestServer, Upstreams, Client, Client) {
    let (mut server, upstreams) = TestServer::with_upstreams_and(|config| {
        config.knowledge_model = Some("gpt-small".parse().unwrap());
    })
    .await;
    server.run();
    let (ada, eve) = (server.sign_up("ada").await, server.sign_up("eve").await);
    (server, upstreams, ada, eve)
}

/// A collection with one file; its id.
async fn collection(who: &Client, name: &str, text: &str, grants: Value) -> String {
    let form = json!({"name": name, "description": "d", "access_grants": grants});
    let made = who.post("/api/v1/knowledge/create", form).await;
    let id = made.json()["id"].as_str().unwrap_or_else(|| panic!("{}", made.summary())).to_owned();
    let file = who.upload(&format!("{name}.txt"), text).await.json()["id"].as_str().unwrap().to_owned();
    processed(who, &file).await;
    let added = who.post(&format!("/api/v1/knowledge/{id}/file/add"), json!({"file_id": file})).await;
    assert_eq!(added.status, 200, "{}", added.summary());
    id
}

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Why is the sky blue?"}]})
}

/// The texts that an answer was given.
fn given(answer: &Value) -> Vec<String> {
    let sources = answer["sources"].as_array().map_or(&[][..], Vec::as_slice);
    let texts = sources.iter().flat_map(|source| source["document"].as_array().unwrap());
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Wait until the caller's list is this.
async fn lists(who: &Client, expected: &[&str]) {
    eventually("a list of models", async || (listed(who).await == expected).then_some(())).await;
}

#[tokio::test]
async fn a_custom_model_fills_in_its_prompt_and_its_defaults() {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let form = json!({
        "id": "zed", "base_model_id": "gpt-small", "name": "Zed", "meta": {"capabilities": {"usage": true}},
        "params": {
            "system": "You help {{USER_NAME}} <{{USER_EMAIL}}> on {{CURRENT_WEEKDAY}}, {{CURRENT_DATE}}, at \
                       {{CURRENT_TIME}} {{CURRENT_TIMEZONE}} ({{CURRENT_DATETIME}}) in {{USER_LANGUAGE}}.",
            "temperature": 0.2,
            "top_p": 0.9,
        },
        "commit_message": "first",
    });
    assert_eq!(ada.post("/api/v1/models/create", form).await.status, 200);
    let body = json!({
        "model": "zed", "stream": true, "temperature": 0.7,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}],
        "variables": {"{{USER_LANGUAGE}}": "Danish", "{{USER_NAME}}": "Eve"},
    });

    ada.post(CHAT, body).await;

    let sent = upstreams.openai.last_at(UPSTREAM).json();
    assert_snapshot!(sent["messages"][0]["content"].as_str().unwrap(), @r"
    You help ada <ada@example.org> on Friday, 2027-01-15, at 08:00:01 AM UTC (2027-01-15 08:00:01 AM) in Danish.
    Be kind.
    ");
    assert_eq!(
        (&sent["model"], &sent["temperature"], &sent["top_p"]),
        (&json!("gpt-small"), &json!(0.7), &json!(0.9))
    );
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
    assert_eq!(sent["variables"], Value::Null);

    let toggle = "/api/v1/models/model/toggle?id=zed";
    assert_eq!(ada.post(toggle, ()).await.json()["is_active"], false);
    assert_eq!(ada.post(CHAT, ask("zed")).await.status, 400);
    assert_eq!(ada.post(toggle, ()).await.json()["is_active"], true);
    assert_eq!(ada.post(CHAT, ask("zed")).await.status, 200);
}

#[tokio::test]
async fn attached_knowledge_is_searched_with_the_rights_of_whoever_asks() {
    let (_server, upstreams, ada, eve) = server().await;
    let open = collection(&ada, "open", "The sky is blue because of air.", public()).await;
    let hidden = collection(&ada, "hidden", "The sky is blue because we say so.", json!([])).await;
    overlay(&ada, "gpt-small", Value::Null, public()).await;
    let form = json!({
        "id": "zed", "base_model_id": "gpt-small", "name": "Zed", "params": {}, "access_grants": public(),
        "meta": {"knowledge": [{"type": "collection", "id": open}, {"type": "collection", "id": hidden}]},
    });
    assert_eq!(ada.post("/api/v1/models/create", form).await.status, 200);

    let for_ada = given(&ada.post(CHAT, ask("zed")).await.json());
    let for_eve = given(&eve.post(CHAT, ask("zed")).await.json());

    assert_eq!(for_ada.len(), 2, "{for_ada:?}");
    assert_eq!(for_eve, ["The sky is blue because of air."], "to share a model shares no collection");
    let prompt = upstreams.openai.last_at(UPSTREAM).json()["messages"].to_string();
    assert!(prompt.contains("because of air") && !prompt.contains("we say so"), "{prompt}");
}

#[tokio::test]
async fn no_collection_is_a_model_unless_one_is_to_answer_for_it() {
    let (mut server, _upstreams) = TestServer::with_upstreams().await;
    server.run();
    let ada = server.sign_up("ada").await;
    collection(&ada, "notes", "The sky is blue.", json!([])).await;

    assert!(listed(&ada).await.iter().all(|model| !model.starts_with("knowledge:")));
    assert_eq!(ada.post(CHAT, ask("knowledge:notes")).await.status, 400);
}

#[tokio::test]
async fn a_collection_is_asked_like_a_model_in_every_dialect() {
    let (_server, upstreams, ada, eve) = server().await;
    let grants = json!([grant("user", &eve.id, "read")]);
    let id = collection(&ada, "notes", "The sky is blue because of air.", grants).await;
    lists(&eve, &["knowledge:notes"]).await;

    assert_snapshot!(eve.get("/api/models").await.summary(), @r#"
    200 OK
    {
      "data": [
        {
          "id": "knowledge:notes",
          "name": "notes",
          "object": "model",
          "created": 1800000002,
          "owned_by": "openai",
          "connection_type": "external",
          "preset": true,
          "info": {
            "id": "knowledge:[id]",
            "user_id": "[id]",
            "base_model_id": "gpt-small",
            "name": "notes",
            "params": {},
            "meta": {
              "description": "d",
              "capabilities": null,
              "knowledge": [
                {
                  "type": "collection",
                  "id": "[id]",
                  "name": "notes"
                }
              ]
            },
            "access_grants": [],
            "is_active": true,
            "updated_at": 1800000002,
            "created_at": 1800000002
          },
          "actions": [],
          "filters": [],
          "tags": []
        }
      ]
    }
    "#);
    for name in ["knowledge:notes".to_owned(), format!("knowledge:{id}")] {
        let answer = eve.post(CHAT, ask(&name)).await.json();
        assert_eq!(given(&answer), ["The sky is blue because of air."], "{answer}");
        assert_eq!(upstreams.openai.last_at(UPSTREAM).json()["model"], "gpt-small");
    }
    let v1 = eve.get("/v1/models").await.json();
    assert_eq!(v1["data"][0]["id"], "knowledge:notes");
    assert_eq!(given(&eve.post("/v1/chat/completions", ask("knowledge:notes")).await.json()).len(), 1);
    let messages = json!({"model": "knowledge:notes", "max_tokens": 9, "messages": [{"role": "user", "content": "Why is the sky blue?"}]});
    assert_eq!(eve.post("/v1/messages", messages).await.status, 200);
    let tags = eve.get("/ollama/api/tags").await.json();
    assert_eq!(tags["models"][0]["model"], "knowledge:notes", "{tags}");
    let native = json!({"model": "knowledge:notes", "stream": false, "messages": [{"role": "user", "content": "Why is the sky blue?"}]});
    let native = eve.post("/ollama/api/chat", native).await;
    assert_eq!(native.status, 200, "{}", native.summary());
    let prompts = upstreams.openai.received_at(UPSTREAM);
    assert!(
        prompts.len() >= 5 && prompts.iter().all(|sent| sent.json().to_string().contains("because of air"))
    );
}

#[tokio::test]
async fn a_collections_model_follows_it_and_the_rights_to_it() {
    let (_server, _upstreams, ada, eve) = server().await;
    let id = collection(&ada, "notes", "The sky is blue.", json!([grant("user", &eve.id, "read")])).await;
    lists(&eve, &["knowledge:notes"]).await;

    let update = json!({"name": "Field notes", "description": ""});
    ada.post(&format!("/api/v1/knowledge/{id}/update"), update).await;
    lists(&eve, &["knowledge:Field notes"]).await;
    assert_eq!(eve.post(CHAT, ask("knowledge:notes")).await.status, 400);

    let path = format!("/api/v1/knowledge/{id}/access/update");
    ada.post(&path, json!({"access_grants": []})).await;
    lists(&eve, &[]).await;
    let refused = eve.post(CHAT, ask(&format!("knowledge:{id}"))).await;
    assert_eq!(refused.summary(), eve.post(CHAT, ask("knowledge:imagined")).await.summary());
    assert_eq!(refused.json()["detail"], "Model not found");

    ada.delete(&format!("/api/v1/knowledge/{id}/delete")).await;
    lists(&ada, &["gpt-small", "gpt-large", "llama3.2:latest"]).await;
}

#[tokio::test]
async fn a_key_needs_both_the_model_and_the_collection() {
    let (_server, _upstreams, ada, _eve) = server().await;
    let id = collection(&ada, "notes", "The sky is blue.", json!([])).await;
    lists(&ada, &["gpt-small", "gpt-large", "llama3.2:latest", "knowledge:notes"]).await;
    let check = async |models: Value, collections: Value, expected: &[&str]| {
        let form = json!({"name": format!("{models}{collections}"), "allowed_models": models, "allowed_collections": collections});
        let made = ada.post("/api/v1/auths/api_keys", form).await.json();
        let program = ada.with_token(made["api_key"].as_str().unwrap());
        assert_eq!(listed(&program).await, expected);
        let status = program.post(CHAT, ask("knowledge:notes")).await.status;
        assert_eq!(status == 200, expected.contains(&"knowledge:notes"));
    };

    check(json!(["knowledge:notes"]), Value::Null, &["knowledge:notes"]).await;
    check(json!([format!("knowledge:{id}")]), json!([id]), &["knowledge:notes"]).await;
    check(json!(["gpt-small"]), Value::Null, &["gpt-small"]).await;
    check(json!(["knowledge:notes"]), json!(["other"]), &[]).await;
}

#[tokio::test]
async fn a_saved_chat_with_a_collection_keeps_what_it_was_given() {
    let (_server, _upstreams, ada, _eve) = server().await;
    collection(&ada, "notes", "The sky is blue because of air.", json!([])).await;
    lists(&ada, &["gpt-small", "gpt-large", "llama3.2:latest", "knowledge:notes"]).await;
    let chat = ada.post("/api/v1/chats/new", json!({"chat": {}})).await.json()["id"].clone();
    let mut body = ask("knowledge:notes");
    body["chat_id"] = chat.clone();
    body["id"] = "a1".into();
    body["stream"] = true.into();

    assert_eq!(ada.post(CHAT, body).await.status, 200);

    let kept = ada.get(&format!("/api/v1/chats/{}", chat.as_str().unwrap())).await.json();
    let answer = &kept["chat"]["history"]["messages"]["a1"];
    assert_eq!(given(answer), ["The sky is blue because of air."]);
    assert_eq!((&answer["model"], &answer["done"]), (&json!("knowledge:notes"), &json!(true)));
}
