//! Who may see and use what, on collections, files and models.

mod property;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, TestServer, Upstreams, grant},
    models::{listed, overlay, public},
    sweeps::processed,
};

/// Ada's collection with one file in it, and Eve, who is a plain user.
struct Library {
    server: TestServer,
    upstreams: Upstreams,
    ada: Client,
    eve: Client,
    collection: String,
    file: String,
}

impl Library {
    async fn new() -> Self {
        let (mut server, upstreams) = TestServer::with_upstreams().await;
        server.run();
        let ada = server.sign_up("ada").await;
        let eve = server.sign_up("eve").await;
        // Eve may chat; what she may find is another question.
        overlay(&ada, "gpt-small", Value::Null, public()).await;
        let file = id_of(&ada.upload("sky.txt", "The sky is blue because light scatters.").await);
        processed(&ada, &file).await;
        let form = json!({"name": "notes", "description": ""});
        let collection = id_of(&ada.post("/api/v1/knowledge/create", form).await);
        let add = format!("/api/v1/knowledge/{collection}/file/add");
        assert_eq!(ada.post(&add, json!({"file_id": file})).await.status, 200);
        Self { server, upstreams, ada, eve, collection, file }
    }

    async fn share(&self, grants: Value) {
        let path = format!("/api/v1/knowledge/{}/access/update", self.collection);
        let answer = self.ada.post(&path, json!({"access_grants": grants})).await;
        assert_eq!(answer.status, 200, "{}", answer.summary());
    }

    /// Whether Eve finds the collection in every way there is to find it; all of them must agree.
    async fn is_found_by_eve(&self) -> bool {
        let (eve, collection, file) = (&self.eve, &self.collection, &self.file);
        let lists = |answer: Answer| answer.json()["total"] != json!(0);
        let query = json!({"collection_names": [collection], "query": "sky"});
        let query_file = json!({"collection_name": format!("file-{file}"), "query": "sky"});
        let ways = [
            ("list", lists(eve.get("/api/v1/knowledge/").await)),
            ("search", lists(eve.get("/api/v1/knowledge/search?query=notes").await)),
            ("show", eve.get(&format!("/api/v1/knowledge/{collection}")).await.status == 200),
            ("files", eve.get(&format!("/api/v1/knowledge/{collection}/files")).await.status == 200),
            ("file", eve.get(&format!("/api/v1/files/{file}")).await.status == 200),
            ("bytes", eve.get(&format!("/api/v1/files/{file}/content")).await.status == 200),
            ("text", eve.get(&format!("/api/v1/files/{file}/data/content")).await.status == 200),
            ("query", eve.post("/api/v1/retrieval/query/collection", query).await.status == 200),
            ("query of the file", eve.post("/api/v1/retrieval/query/doc", query_file).await.status == 200),
            ("chat", self.chat(json!({"type": "collection", "id": collection})).await["sources"].is_array()),
            (
                "chat with the file",
                self.chat(json!({"type": "file", "id": file})).await["sources"].is_array(),
            ),
        ];
        let found = ways[0].1;
        assert!(ways.iter().all(|way| way.1 == found), "{ways:?}");
        found
    }

    async fn chat(&self, item: Value) -> Value {
        let body = json!({
            "model": "gpt-small",
            "messages": [{"role": "user", "content": "Why is the sky blue?"}],
            "files": [item],
        });
        let answer = self.eve.post("/api/chat/completions", body).await;
        assert_eq!(answer.status, 200, "{}", answer.summary());
        let sent = self.upstreams.openai.last_at("/v1/chat/completions").json().to_string();
        let answer = answer.json();
        assert_eq!(sent.contains("light scatters"), answer["sources"].is_array(), "{sent}");
        answer
    }
}

fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.summary())).to_owned()
}

#[tokio::test]
async fn a_private_collection_is_found_in_no_way() {
    let library = Library::new().await;

    assert!(!library.is_found_by_eve().await);
}

#[tokio::test]
async fn a_public_collection_is_found_in_every_way_until_it_is_private_again() {
    let library = Library::new().await;

    library.share(public()).await;
    assert!(library.is_found_by_eve().await);

    library.share(json!([])).await;
    assert!(!library.is_found_by_eve().await);
}

#[tokio::test]
async fn a_collection_for_one_account_is_found_by_that_one() {
    let library = Library::new().await;
    let bob = library.server.sign_up("bob").await;

    library.share(json!([grant("user", &bob.id, "read")])).await;
    assert!(!library.is_found_by_eve().await);

    library.share(json!([grant("user", &library.eve.id, "read")])).await;
    assert!(library.is_found_by_eve().await);
}

#[tokio::test]
async fn a_collection_for_a_group_is_found_by_its_members_while_they_are() {
    let library = Library::new().await;
    let (ada, eve) = (&library.ada, &library.eve);
    let group = id_of(&ada.post("/api/v1/groups/create", json!({"name": "staff", "description": ""})).await);
    library.share(json!([grant("group", &group, "read")])).await;
    assert!(!library.is_found_by_eve().await);

    ada.post(&format!("/api/v1/groups/id/{group}/users/add"), json!({"user_ids": [eve.id]})).await;
    assert!(library.is_found_by_eve().await);

    ada.post(&format!("/api/v1/groups/id/{group}/users/remove"), json!({"user_ids": [eve.id]})).await;
    assert!(!library.is_found_by_eve().await);

    ada.post(&format!("/api/v1/groups/id/{group}/users/add"), json!({"user_ids": [eve.id]})).await;
    ada.delete(&format!("/api/v1/groups/id/{group}/delete")).await;
    assert!(!library.is_found_by_eve().await);
}

#[tokio::test]
async fn reading_is_not_writing() {
    let library = Library::new().await;
    let (eve, collection) = (&library.eve, &library.collection);
    let own = id_of(&eve.upload("sea.txt", "The sea is green.").await);
    let rename = async || {
        let path = format!("/api/v1/knowledge/{collection}/update");
        eve.post(&path, json!({"name": "ours", "description": ""})).await
    };
    let add = async || {
        let path = format!("/api/v1/knowledge/{collection}/file/add");
        eve.post(&path, json!({"file_id": own})).await
    };

    library.share(public()).await;
    assert_eq!([rename().await.status, add().await.status], [400, 400]);
    let remove = format!("/api/v1/knowledge/{collection}/file/remove");
    assert_eq!(eve.post(&remove, json!({"file_id": library.file})).await.status, 400);
    assert_eq!(eve.delete(&format!("/api/v1/knowledge/{collection}/delete")).await.status, 400);
    assert_ne!(eve.delete(&format!("/api/v1/files/{}", library.file)).await.status, 200);

    library.share(json!([grant("user", &eve.id, "write")])).await;
    assert_eq!([rename().await.status, add().await.status], [200, 200]);
}

#[tokio::test]
async fn a_foreign_file_and_an_unknown_one_look_alike() {
    let library = Library::new().await;
    let (eve, file) = (&library.eve, &library.file);

    for path in
        ["", "/content", "/content/x", "/data/content", "/process/status", "/process/status?stream=true"]
    {
        let foreign = eve.get(&format!("/api/v1/files/{file}{path}")).await.summary();
        let unknown = eve.get(&format!("/api/v1/files/nothing{path}")).await.summary();
        assert_eq!(foreign, unknown, "{path}");
    }
    let foreign = eve.delete(&format!("/api/v1/files/{file}")).await.summary();
    assert_snapshot!(foreign, @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
    assert_eq!(library.ada.get(&format!("/api/v1/files/{file}")).await.status, 200);
    let query = async |name: &str| {
        let body = json!({"collection_name": name, "query": "x"});
        eve.post("/api/v1/retrieval/query/doc", body).await.summary()
    };
    let foreign = query(&format!("file-{file}")).await;
    assert_snapshot!(foreign, @r#"
    403 Forbidden
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
    for name in [library.collection.as_str(), "file-nothing", "nothing"] {
        assert_eq!(query(name).await, foreign, "{name}");
    }
    for id in [file, "nothing"] {
        let answer = library.chat(json!({"type": "file", "id": id})).await;
        assert_eq!(answer["sources"], Value::Null);
    }
}

/// What Eve is answered where an id stands in a body: about Ada's thing, and about nothing.
#[tokio::test]
async fn a_foreign_id_in_a_body_is_as_good_as_an_unknown_one() {
    let library = Library::new().await;
    let (eve, ada) = (&library.eve, &library.ada);
    ada.post("/api/v1/users/default/permissions", json!({"workspace": {"knowledge": true, "models": true}}))
        .await;
    let own_file = id_of(&eve.upload("sea.txt", "The sea is green.").await);
    processed(eve, &own_file).await;
    let form = json!({"name": "mine", "description": ""});
    let own = id_of(&eve.post("/api/v1/knowledge/create", form).await);
    let knowledge = |collection: &str, what: &str| format!("/api/v1/knowledge/{collection}/{what}");
    let model = |id: &str| json!({"id": id, "name": "m", "meta": {}, "params": {}, "base_model_id": "gpt-small", "access_grants": []});
    overlay(ada, "hidden", json!("gpt-small"), json!([])).await;

    let imagined = (breezeway::parts::core::FileId::mint().to_string(), "imagined".to_owned());
    let (file, collection) = (&library.file, &library.collection);
    let asks = |file: &str, collection: &str, id: &str| {
        [
            (knowledge(&own, "file/add"), json!({"file_id": file})),
            (knowledge(&own, "files/batch/add"), json!([{"file_id": own_file}, {"file_id": file}])),
            (knowledge(&own, "file/update"), json!({"file_id": file})),
            (knowledge(&own, "file/remove"), json!({"file_id": file})),
            (knowledge(collection, "file/add"), json!({"file_id": own_file})),
            (knowledge(collection, "files/batch/add"), json!([{"file_id": own_file}])),
            (
                "/api/v1/retrieval/query/doc".to_owned(),
                json!({"collection_name": format!("file-{file}"), "query": "sky"}),
            ),
            (
                "/api/v1/retrieval/query/collection".to_owned(),
                json!({"collection_names": [own, collection], "query": "sky"}),
            ),
            (
                "/api/v1/retrieval/query/collection".to_owned(),
                json!({"collection_names": [own, format!("file-{file}")], "query": "sky"}),
            ),
            ("/api/v1/retrieval/process/file".to_owned(), json!({"file_id": file})),
            (
                "/api/v1/retrieval/process/file".to_owned(),
                json!({"file_id": own_file, "collection_name": collection}),
            ),
            (
                "/api/v1/retrieval/process/files/batch".to_owned(),
                json!({"files": [{"id": file}], "collection_name": own}),
            ),
            (
                "/api/v1/retrieval/process/files/batch".to_owned(),
                json!({"files": [{"id": own_file}], "collection_name": collection}),
            ),
            (
                "/api/v1/retrieval/process/text".to_owned(),
                json!({"name": "n", "content": "text", "collection_name": collection}),
            ),
            (
                "/api/chat/completions".to_owned(),
                json!({
                    "model": "gpt-small",
                    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
                    "files": [{"type": "file", "id": file}, {"type": "collection", "id": collection}],
                }),
            ),
            (
                "/api/chat/completions".to_owned(),
                json!({"model": id, "messages": [{"role": "user", "content": "hi"}]}),
            ),
            ("/api/v1/models/model/update".to_owned(), model(id)),
            ("/api/v1/models/model/access/update".to_owned(), json!({"id": id, "access_grants": []})),
            ("/api/v1/models/model/delete".to_owned(), json!({"id": id})),
        ]
    };
    let foreign = asks(file, collection, "hidden");
    let unknown = asks(&imagined.0, &imagined.0, &imagined.1);
    for ((path, body), (other_path, other_body)) in foreign.into_iter().zip(unknown) {
        let shown = eve.post(&path, body.clone()).await;
        let expected = eve.post(&other_path, other_body).await;

        let shown = shown.text().replace(file, "[it]").replace(collection, "[it]").replace("hidden", "[it]");
        let wanted = expected.text().replace(&imagined.0, "[it]").replace(&imagined.1, "[it]");
        // What the scripted upstream counts up is not an answer to the question.
        assert_eq!(without_numbers(&shown), without_numbers(&wanted), "{path} {body}");
        assert!(!shown.contains("light scatters"), "{path} {body}");
    }
    let upload = |id: &str| {
        format!(
            "--edge\r\ncontent-disposition: form-data; name=\"metadata\"\r\n\r\n{{\"knowledge_id\": \"{id}\"}}\r\n\
             --edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\ntext\r\n--edge--\r\n"
        )
    };
    let form = eve.with_header("content-type", "multipart/form-data; boundary=edge");
    let send =
        async |id: &str| form.send(http::Method::POST, "/api/v1/files/", upload(id).into()).await.summary();
    assert_eq!(send(collection).await, send(&imagined.0).await);
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_ascii_digit()).collect()
}

#[tokio::test]
async fn a_model_for_a_group_is_listed_and_answers_for_its_members() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    let group = id_of(&ada.post("/api/v1/groups/create", json!({"name": "staff", "description": ""})).await);
    overlay(&ada, "gpt-small", Value::Null, json!([grant("group", &group, "read")])).await;
    let chat =
        json!({"model": "gpt-small", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    let can_use = async || {
        let is_listed = !listed(&eve).await.is_empty();
        for path in
            ["/api/chat/completions", "/openai/chat/completions", "/api/v1/messages", "/openai/responses"]
        {
            assert_eq!(eve.post(path, chat.clone()).await.status == 200, is_listed, "{path}");
        }
        is_listed
    };

    let form = |ids: Value| json!({ "user_ids": ids });
    assert!(!can_use().await);
    ada.post(&format!("/api/v1/groups/id/{group}/users/add"), form(json!([eve.id]))).await;
    assert!(can_use().await);
    ada.post(&format!("/api/v1/groups/id/{group}/users/remove"), form(json!([eve.id]))).await;
    assert!(!can_use().await);
}

#[tokio::test]
async fn a_model_that_is_switched_off_answers_nobody() {
    let (server, _upstreams) = TestServer::with_upstreams().await;
    let ada = server.sign_up("ada").await;
    overlay(&ada, "gpt-small", Value::Null, public()).await;

    ada.post("/api/v1/models/model/toggle?id=gpt-small", ()).await;

    let chat = json!({"model": "gpt-small", "messages": []});
    assert_eq!(ada.post("/api/chat/completions", chat.clone()).await.status, 400);
    assert_eq!(ada.post("/openai/chat/completions", chat).await.status, 404);
    assert_eq!(listed(&ada).await, ["gpt-large", "llama3.2:latest"]);
}
