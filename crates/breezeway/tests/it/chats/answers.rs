//! What is asked and answered in a saved chat, as the documented flow of clients without a web page goes.

use breezeway::parts::chat::history::ChatStore;
use breezeway_testkit::{Reply, chat_chunk, sse_event};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{CHATS, id_of, titles};
use crate::{
    harness::{Client, TestServer, Upstreams},
    models::{overlay, public},
};

const CHAT: &str = "/api/chat/completions";
const UPSTREAM: &str = "/v1/chat/completions";

/// A chat with one question, `hello`, that nobody has answered.
async fn asked(who: &Client) -> String {
    let question =
        json!({"id": "u1", "parentId": null, "childrenIds": [], "role": "user", "content": "hello"});
    let history = json!({"currentId": "u1", "messages": {"u1": question}});
    let chat = json!({"title": "Trams", "models": ["gpt-small"], "messages": [question], "history": history});
    id_of(&who.post("/api/v1/chats/new", json!({"chat": chat})).await)
}

fn ask(chat: &str, answer: &str, text: &str) -> Value {
    json!({"model": "gpt-small", "chat_id": chat, "id": answer, "messages": [{"role": "user", "content": text}]})
}

async fn messages(who: &Client, chat: &str) -> Value {
    who.get(&format!("{CHATS}/{chat}")).await.json()["chat"]["history"]["messages"].clone()
}

async fn server() -> (TestServer, Upstreams, Client) {
    let (server, upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "gpt-small", Value::Null, public()).await;
    (server, upstreams, ada)
}

#[tokio::test]
async fn the_documented_flow_ends_with_the_answer_in_the_chat() {
    let (_server, _upstreams, ada) = server().await;
    let chat = asked(&ada).await;

    let answer = ada.post(CHAT, ask(&chat, "a1", "hello")).await;
    let completed = json!({"chat_id": chat, "id": "a1", "model": "gpt-small", "messages": []});
    assert_eq!(ada.post("/api/chat/completed", completed.clone()).await.json(), completed);

    assert_eq!(answer.json()["choices"][0]["message"]["content"], "echo: hello");
    let kept = ada.get(&format!("{CHATS}/{chat}")).await.json();
    assert_snapshot!(format!("{:#}", kept["chat"]["history"]), @r#"
    {
      "currentId": "a1",
      "messages": {
        "u1": {
          "id": "u1",
          "parentId": null,
          "childrenIds": [
            "a1"
          ],
          "role": "user",
          "content": "hello"
        },
        "a1": {
          "id": "a1",
          "parentId": "u1",
          "childrenIds": [],
          "role": "assistant",
          "content": "echo: hello",
          "model": "gpt-small",
          "timestamp": 1800000001,
          "done": true,
          "usage": {
            "prompt_tokens": 11,
            "completion_tokens": 5,
            "total_tokens": 16
          }
        }
      }
    }
    "#);
    assert_eq!(kept["current_message_id"], "a1");
    assert_eq!(kept["chat"]["messages"][1]["content"], "echo: hello");
    assert_eq!(titles(&ada, "/search?text=echo").await, ["Trams"]);
}

#[tokio::test]
async fn a_streamed_answer_is_kept_and_its_bytes_are_the_upstreams_all_the_same() {
    let (_server, upstreams, ada) = server().await;
    let chat = asked(&ada).await;
    let events = [
        sse_event(&chat_chunk("gpt-small", &json!({"content": "so "}), None)),
        sse_event(&chat_chunk("gpt-small", &json!({"content": "blue"}), Some("stop"))),
        "data: [DONE]\n\n".to_owned(),
    ];
    upstreams.openai.queue(UPSTREAM, Reply::sse(events.clone()));
    let mut body = ask(&chat, "a1", "hello");
    body["stream"] = true.into();

    assert_eq!(ada.post(CHAT, body).await.text(), events.concat());

    let answer = messages(&ada, &chat).await["a1"].clone();
    assert_eq!((&answer["content"], &answer["done"]), (&json!("so blue"), &json!(true)));
}

#[tokio::test]
async fn an_answer_that_broke_off_or_never_came_is_kept_as_far_as_it_came() {
    let (_server, upstreams, ada) = server().await;
    let chat = asked(&ada).await;
    let events = [sse_event(&chat_chunk("gpt-small", &json!({"content": "so"}), None)), "unsent".to_owned()];
    upstreams.openai.queue(UPSTREAM, Reply::sse(events).cut_after(1));
    upstreams.openai.queue(UPSTREAM, Reply::json(429, &json!({"error": {"message": "slow down"}})));
    let mut body = ask(&chat, "a1", "hello");
    body["stream"] = true.into();

    ada.post(CHAT, body).await;
    assert_eq!(ada.post(CHAT, ask(&chat, "a2", "hello")).await.status, 429);
    let refused = json!({"model": "nothing", "chat_id": chat, "id": "a3", "messages": []});
    assert_eq!(ada.post(CHAT, refused).await.status, 400);

    let messages = messages(&ada, &chat).await;
    assert_eq!(messages["a1"]["content"], "so");
    assert!(messages["a1"]["error"]["content"].is_string() && messages["a2"]["error"]["content"].is_string());
    assert_eq!(messages["a3"], Value::Null, "what was refused has not taken place");
}

#[tokio::test]
async fn a_chat_goes_on_turn_by_turn() {
    let (server, _upstreams, ada) = server().await;
    let chat = asked(&ada).await;
    ada.post(CHAT, ask(&chat, "a1", "hello")).await;
    server.pass(60);

    ada.post(CHAT, ask(&chat, "a2", "and now?")).await;

    let kept = ada.get(&format!("{CHATS}/{chat}")).await.json();
    assert_eq!(kept["updated_at"], 1_800_000_061);
    let messages = kept["chat"]["history"]["messages"].as_object().unwrap().clone();
    let texts: Vec<_> = messages.values().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(texts, ["hello", "echo: hello", "and now?", "echo: and now?"]);
    let asked = &messages["a2"]["parentId"];
    assert_eq!(messages[asked.as_str().unwrap()]["parentId"], "a1");
}

#[tokio::test]
async fn a_chat_that_is_not_the_callers_is_not_found_and_nothing_is_asked() {
    let (server, upstreams, ada) = server().await;
    let eve = server.sign_up("eve").await;
    let chat = asked(&ada).await;

    let foreign = eve.post(CHAT, ask(&chat, "a1", "hello")).await;

    assert_snapshot!(foreign.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_eq!(eve.post(CHAT, ask("unknown", "a1", "hello")).await.summary(), foreign.summary());
    assert!(upstreams.openai.received_at(UPSTREAM).is_empty());
    assert_eq!(ada.post(CHAT, ask("local:1", "a1", "hello")).await.status, 200);
}

#[tokio::test]
async fn keys_that_are_narrowed_write_no_more_than_they_may() {
    let (_server, _upstreams, ada) = server().await;
    let chat = asked(&ada).await;
    let key = async |rules: Value| {
        let made = ada.post("/api/v1/auths/api_keys", rules).await.json();
        ada.with_token(made["api_key"].as_str().unwrap())
    };
    let reader = key(json!({"name": "reader", "read_only": true})).await;
    let narrow = key(json!({"name": "narrow", "allowed_collections": ["x"]})).await;

    assert_eq!(reader.get(&format!("{CHATS}/{chat}")).await.status, 200);
    assert_snapshot!(reader.post(CHAT, ask(&chat, "a1", "hello")).await.summary(), @r#"
    403 Forbidden
    {"detail":"This API key is read-only."}
    "#);
    assert_snapshot!(narrow.get(&format!("{CHATS}/{chat}")).await.summary(), @r#"
    403 Forbidden
    {"detail":"this API key is limited to certain collections and cannot use saved chats"}
    "#);
    assert_eq!(narrow.post(CHAT, ask(&chat, "a1", "hello")).await.status, 403);
    assert_eq!(messages(&ada, &chat).await["a1"], Value::Null);
}

#[tokio::test]
async fn what_was_answered_last_is_written_before_the_end() {
    let (mut server, _upstreams, ada) = server().await;
    server.run();
    let chat = asked(&ada).await;
    ada.post(CHAT, ask(&chat, "a1", "hello")).await;

    let breezeway = server.breezeway.clone();
    server.stop().await;

    let owner = ada.id.parse().unwrap();
    let kept = ChatStore::chat(breezeway.store(), &owner, &chat.parse().unwrap()).await;
    let body = kept.unwrap().unwrap().body;
    assert_eq!(body["history"]["messages"]["a1"]["content"], "echo: hello");
}

#[tokio::test]
async fn a_question_is_in_the_chat_before_there_is_an_answer() {
    let (server, upstreams, ada) = server().await;
    let chat = asked(&ada).await;
    upstreams.openai.queue(UPSTREAM, Reply::stall());
    let mut asking = Box::pin(ada.post(CHAT, ask(&chat, "a1", "hello")));
    tokio::select! {
        _ = &mut asking => panic!("nothing answers"),
        _ = upstreams.openai.wait_for(UPSTREAM) => {}
    }

    // What the store has now is what a process that is killed leaves behind.
    let owner = ada.id.parse().unwrap();
    let kept = ChatStore::chat(server.breezeway.store(), &owner, &chat.parse().unwrap()).await;

    let messages = kept.unwrap().unwrap().body["history"]["messages"].clone();
    let question = messages.as_object().unwrap().values().find(|message| message["role"] == "user");
    assert_eq!(question.unwrap()["content"], "hello");
    assert_eq!(messages["a1"]["done"], false);
}
