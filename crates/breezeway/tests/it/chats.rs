//! `/api/v1/chats` and `/api/v1/folders`: what is kept, who sees it, and what was answered in it.

mod answers;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestServer};

const CHATS: &str = "/api/v1/chats";

fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.summary())).to_owned()
}

/// A chat that says `text`, a second after the one before.
async fn chat(server: &TestServer, who: &Client, title: &str, text: &str) -> String {
    server.pass(1);
    let message = json!({"id": "m", "parentId": null, "childrenIds": [], "role": "user", "content": text});
    let body = json!({"title": title, "history": {"messages": {"m": message}, "currentId": "m"}});
    id_of(&who.post(&format!("{CHATS}/new"), json!({"chat": body})).await)
}

async fn titles(who: &Client, path: &str) -> Vec<String> {
    let answer = who.get(&format!("{CHATS}{path}")).await;
    assert_eq!(answer.status, 200, "{}", answer.summary());
    titles_of(&answer.json())
}

fn titles_of(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|chat| chat["title"].as_str().unwrap().to_owned()).collect()
}

async fn ok(who: &Client, path: &str, body: Value) -> Value {
    let answer = who.post(&format!("{CHATS}/{path}"), body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.summary());
    answer.json()
}

#[tokio::test]
async fn a_chat_is_kept_as_its_client_wrote_it() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    let made = ada.post("/api/v1/chats/new", json!({"chat": {"title": "Trams", "odd": [1.50, null]}})).await;

    assert_snapshot!(made.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "user_id": "[id]",
      "title": "Trams",
      "chat": {
        "title": "Trams",
        "odd": [
          1.5,
          null
        ]
      },
      "updated_at": 1800000001,
      "created_at": 1800000001,
      "share_id": null,
      "archived": false,
      "pinned": false,
      "meta": {},
      "variables": {},
      "folder_id": null,
      "tasks": null,
      "summary": null,
      "current_message_id": null,
      "context_usage": null
    }
    "#);
    let id = id_of(&made);
    assert_eq!(ada.get(&format!("{CHATS}/{id}")).await.json(), made.json());
    server.pass(5);
    let changed = ok(&ada, &id, json!({"chat": {"title": "Buses", "more": 1}})).await;
    assert_eq!(changed["chat"], json!({"title": "Buses", "odd": [1.5, null], "more": 1}));
    assert_eq!((&changed["title"], &changed["updated_at"]), (&json!("Buses"), &json!(1_800_000_006)));
    assert_snapshot!(ada.get("/api/v1/chats/").await.summary(), @r#"
    200 OK
    [
      {
        "id": "[id]",
        "title": "Buses",
        "updated_at": 1800000006,
        "created_at": 1800000001,
        "last_read_at": null,
        "snippet": null,
        "active": false,
        "archived": false
      }
    ]
    "#);
    assert_eq!(ada.delete(&format!("{CHATS}/{id}")).await.text(), "true");
    assert_eq!(titles(&ada, "/").await, [""; 0]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_as_clients_know_it() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    assert_snapshot!(ada.post("/api/v1/chats/new", json!({})).await.summary(), @r#"
    422 Unprocessable Entity
    {"detail":[{"type":"missing","loc":["body","chat"],"msg":"Field required","input":{}}]}
    "#);
    assert_snapshot!(ada.get("/api/v1/chats/unknown").await.summary(), @r#"
    401 Unauthorized
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.delete("/api/v1/chats/unknown").await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.post("/api/v1/chats/new", json!({"chat": {}, "folder_id": "unknown"})).await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_snapshot!(ada.get("/api/v1/chats/list?page=0").await.summary(), @r#"
    422 Unprocessable Entity
    {
      "detail": [
        {
          "type": "greater_than_equal",
          "loc": [
            "query",
            "page"
          ],
          "msg": "Input should be greater than or equal to 1",
          "input": 0
        }
      ]
    }
    "#);
    let large = json!({"chat": {"much": "x".repeat(17 << 20)}});
    assert_snapshot!(ada.post("/api/v1/chats/new", large).await.summary(), @r#"
    413 Payload Too Large
    {"detail":"a saved chat cannot have more than 16 MB"}
    "#);
}

#[tokio::test]
async fn chats_are_their_owners_alone_and_admins_see_no_more() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let id = chat(&server, &eve, "Secrets", "marmalade").await;
    let unknown = ada.get("/api/v1/chats/unknown").await.summary();

    assert_eq!(ada.get(&format!("{CHATS}/{id}")).await.summary(), unknown);
    assert_eq!(ada.post(&format!("{CHATS}/{id}"), json!({"chat": {"title": "x"}})).await.summary(), unknown);
    assert_eq!(ada.delete(&format!("{CHATS}/{id}")).await.status, 404);
    ada.delete("/api/v1/chats/").await;
    for path in ["/", "/search?text=marmalade", "/pinned", "/archived"] {
        assert_eq!(titles(&ada, path).await, [""; 0], "{path}");
    }
    assert_eq!(ada.get("/api/v1/chats/all").await.text(), "");
    assert_eq!(titles(&eve, "/").await, ["Secrets"]);
}

#[tokio::test]
async fn lists_show_what_they_are_for_a_page_at_a_time() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let folder = id_of(&ada.post("/api/v1/folders/", json!({"name": "Rails"})).await);
    let [a, b, c, d] = ["Ant", "Bee", "Cat", "Dog"].map(str::to_owned);
    let mut ids = Vec::new();
    for title in [&a, &b, &c, &d] {
        ids.push(chat(&server, &ada, title, "x").await);
    }
    assert_eq!(ok(&ada, &format!("{}/pin", ids[0]), json!({})).await["pinned"], true);
    assert_eq!(ok(&ada, &format!("{}/archive", ids[1]), json!({})).await["archived"], true);
    let moved = ok(&ada, &format!("{}/folder", ids[2]), json!({"folder_id": folder})).await;
    assert_eq!(moved["folder_id"], folder);

    assert_eq!(titles(&ada, "/").await, [&*d]);
    assert_eq!(titles(&ada, "").await, [&*d], "the slash is easily forgotten");
    assert_eq!(titles(&ada, "/list?include_pinned=true&include_folders=true").await, [&*d, &c, &a]);
    assert_eq!(titles(&ada, "/pinned").await, [&*a]);
    assert_eq!(titles(&ada, "/archived").await, [&*b]);
    assert_eq!(titles(&ada, &format!("/folder/{folder}/list")).await, [&*c]);
    assert_eq!(titles(&ada, "/list?page=2").await, [""; 0]);
    assert_eq!(ada.get(&format!("{CHATS}/{}/pinned", ids[0])).await.text(), "true");
    assert_eq!(ok(&ada, "archive/all", json!({})).await, true);
    assert_eq!(titles(&ada, "/archived?order_by=title&direction=asc").await, [&*a, &b, &c, &d]);
    assert_eq!(titles(&ada, "/archived?query=bee").await, ["Bee"]);
    assert_eq!(ok(&ada, "unarchive/all", json!({})).await, true);
    assert_eq!(titles(&ada, "/archived").await, [""; 0]);
}

#[tokio::test]
async fn chats_are_found_by_words_in_title_and_messages() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    chat(&server, &ada, "Trams", "They run on electricity.").await;
    chat(&server, &ada, "Buses", "東京のバスは速い").await;

    assert_eq!(titles(&ada, "/search?text=TRAM").await, ["Trams"]);
    assert_eq!(titles(&ada, "/search?text=electric%20they").await, ["Trams"]);
    assert_eq!(titles(&ada, "/search?text=%E3%83%90%E3%82%B9").await, ["Buses"]);
    assert_eq!(titles(&ada, "/search?text=%22%20OR%20*").await, [""; 0]);
    assert_eq!(titles(&ada, "/search?text=&page=1").await, ["Buses", "Trams"]);
    assert_eq!(titles(&ada, "/search?text=tram&page=2").await, [""; 0]);
}

#[tokio::test]
async fn tags_are_given_listed_asked_for_and_taken_away() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let id = chat(&server, &ada, "Trams", "x").await;
    let tags = format!("{CHATS}/{id}/tags");

    assert_snapshot!(ada.post(&tags, json!({"name": "Long Reads"})).await.summary(), @r#"
    200 OK
    [
      {
        "id": "long_reads",
        "name": "Long Reads",
        "user_id": "[id]",
        "meta": null
      }
    ]
    "#);
    let listed = ada.get(&tags).await.json();
    assert_eq!(ada.get("/api/v1/chats/all/tags").await.json(), listed);
    assert_eq!(ada.get("/api/v1/chats/tags").await.json(), listed);
    assert_eq!(titles_of(&ok(&ada, "tags", json!({"name": "long reads"})).await), ["Trams"]);
    assert_eq!(titles_of(&ok(&ada, "tags", json!({"name": "long reads", "skip": 1})).await), [""; 0]);
    assert_eq!(ada.get(&format!("{CHATS}/{id}")).await.json()["meta"], json!({"tags": ["long_reads"]}));
    let untag = json!({"name": "LONG READS"}).to_string();
    assert_eq!(ada.send(http::Method::DELETE, &tags, untag.into()).await.text(), "[]");
    ada.post(&tags, json!({"name": "x"})).await;
    assert_eq!(ada.delete(&format!("{tags}/all")).await.text(), "true");
    assert_eq!(ada.get("/api/v1/chats/all/tags").await.text(), "[]");
    assert_eq!(ada.post(&tags, json!({"name": " "})).await.status, 422);
}

#[tokio::test]
async fn a_shared_chat_is_a_copy_for_whoever_knows_its_id() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let id = chat(&server, &eve, "Trams", "x").await;

    let shared = ok(&eve, &format!("{id}/share"), json!({})).await;
    let share = shared["share_id"].as_str().unwrap();
    ok(&eve, &id, json!({"chat": {"title": "Trams and secrets"}})).await;

    let seen = ada.get(&format!("{CHATS}/share/{share}")).await.json();
    assert_eq!(
        (&seen["id"], &seen["title"], &seen["chat"]["title"]),
        (&json!(share), &json!("Trams"), &json!("Trams"))
    );
    assert_eq!(ada.get(&format!("{CHATS}/{id}")).await.status, 401);
    let copy = ok(&ada, &format!("{share}/clone/shared"), json!({})).await;
    assert_eq!((&copy["title"], &copy["user_id"]), (&json!("Clone of Trams"), &json!(ada.id)));
    assert_eq!(copy["chat"]["originalChatId"], share);

    assert_eq!(eve.delete(&format!("{CHATS}/{id}/share")).await.text(), "true");
    assert_eq!(eve.delete(&format!("{CHATS}/{id}/share")).await.text(), "false");
    assert_snapshot!(ada.get(&format!("{CHATS}/share/{share}")).await.summary(), @r#"
    401 Unauthorized
    {"detail":"We could not find what you're looking for :/"}
    "#);
}

#[tokio::test]
async fn a_copy_of_ones_own_chat_tells_where_it_comes_from() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let id = chat(&server, &ada, "Trams", "x").await;
    ok(&ada, &format!("{id}/pin"), json!({})).await;

    let copy = ok(&ada, &format!("{id}/clone"), json!({"title": "Again"})).await;

    assert_eq!((&copy["title"], &copy["pinned"]), (&json!("Again"), &json!(false)));
    let body = &copy["chat"];
    assert_eq!((&body["originalChatId"], &body["branchPointMessageId"]), (&json!(id), &json!("m")));
    let unnamed = ada.post(&format!("{CHATS}/{id}/clone"), ()).await;
    assert_eq!(unnamed.json()["title"], "Clone of Trams");
}

#[tokio::test]
async fn what_is_exported_can_be_imported_by_somebody_else() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let id = chat(&server, &ada, "Trams", "x").await;
    ada.post(&format!("{CHATS}/{id}/tags"), json!({"name": "Rails"})).await;
    chat(&server, &ada, "Buses", "y").await;

    let exported = ada.get("/api/v1/chats/all").await;
    assert_eq!(exported.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = exported.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    server.pass(100);
    let imported = ok(&eve, "import", json!({"chats": lines})).await;

    assert_eq!(titles_of(&imported), ["Buses", "Trams"]);
    assert_eq!(titles(&eve, "/search?text=").await, ["Buses", "Trams"]);
    for (old, new) in lines.iter().zip(imported.as_array().unwrap()) {
        assert_ne!(old["id"], new["id"]);
        assert_eq!(new["user_id"], eve.id);
        for same in ["chat", "meta", "created_at", "updated_at"] {
            assert_eq!(old[same], new[same], "{same}");
        }
    }
}

#[tokio::test]
async fn permissions_of_chats_are_asked_for() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let id = chat(&server, &eve, "Trams", "x").await;
    let form =
        json!({"chat": {"delete": false, "share": false, "import": false}, "features": {"folders": false}});
    ada.post("/api/v1/users/default/permissions", form).await;
    let prohibited = eve.get("/api/v1/users/").await.summary();

    assert_eq!(eve.delete(&format!("{CHATS}/{id}")).await.summary(), prohibited);
    assert_eq!(eve.delete("/api/v1/chats/").await.summary(), prohibited);
    assert_eq!(eve.post(&format!("{CHATS}/{id}/share"), ()).await.summary(), prohibited);
    assert_eq!(eve.post("/api/v1/chats/import", json!({"chats": []})).await.summary(), prohibited);
    assert_eq!(eve.post("/api/v1/folders/", json!({"name": "x"})).await.summary(), prohibited);
    assert_eq!(titles(&eve, "/").await, ["Trams"]);
}

#[tokio::test]
async fn folders_are_made_moved_and_deleted() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let made = ada
        .post("/api/v1/folders/", json!({"name": " Rails ", "data": {"system_prompt": "Be brief."}}))
        .await;
    let outer = id_of(&made);
    let inner = id_of(&ada.post("/api/v1/folders", json!({"name": "Trams", "parent_id": outer})).await);
    let path = |id: &str| format!("/api/v1/folders/{id}");

    assert_snapshot!(made.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "parent_id": null,
      "user_id": "[id]",
      "name": "Rails",
      "items": null,
      "meta": null,
      "data": {
        "system_prompt": "Be brief."
      },
      "is_expanded": false,
      "created_at": 1800000001,
      "updated_at": 1800000001
    }
    "#);
    assert_eq!(ada.get(&path(&outer)).await.json(), made.json());
    let named = ada.post(&format!("{}/update", path(&inner)), json!({"name": "Buses"})).await.json();
    assert_eq!((&named["name"], &named["parent_id"]), (&json!("Buses"), &json!(outer)));
    let shown = ada.post(&format!("{}/update/expanded", path(&inner)), json!({"is_expanded": true})).await;
    assert_eq!(shown.json()["is_expanded"], true);
    let into_itself = ada.post(&format!("{}/update/parent", path(&outer)), json!({"parent_id": inner})).await;
    assert_eq!(into_itself.status, 404);
    for body in [json!({}), json!({"name": "  "})] {
        assert_eq!(ada.post("/api/v1/folders/", body).await.status, 422);
    }

    let inside = chat(&server, &ada, "Inside", "x").await;
    let kept = chat(&server, &ada, "Kept", "x").await;
    ok(&ada, &format!("{inside}/folder"), json!({"folder_id": inner})).await;
    let other = id_of(&ada.post("/api/v1/folders/", json!({"name": "Other"})).await);
    ok(&ada, &format!("{kept}/folder"), json!({"folder_id": other})).await;
    assert_eq!(ada.delete(&path(&outer)).await.text(), "true");
    assert_eq!(ada.delete(&format!("{}?delete_contents=false", path(&other))).await.text(), "true");
    assert_eq!(ada.get("/api/v1/folders/").await.text(), "[]");
    assert_eq!(titles(&ada, "/").await, ["Kept"]);
    assert_eq!(ada.delete(&path(&outer)).await.status, 404);
}
