//! Deleting accounts and groups: all of it goes, or to an heir, and nothing is left dangling.

use insta::assert_snapshot;
use serde_json::{Value, json};

pub(crate) mod kill;

use crate::{
    harness::{Answer, Client, PASSWORD, TestServer, Upstreams, eventually, grant},
    models::overlay,
    sweeps::processed,
};

/// Ada, who is admin, and Eve, who has something of everything and was granted some of Ada's.
struct Scene {
    server: TestServer,
    upstreams: Upstreams,
    ada: Client,
    eve: Client,
    program: Client,
    group: String,
    /// Eve's, with a file of hers and one of Ada's.
    notes: String,
    /// Ada's, with a file of Eve's and one of Ada's.
    shared: String,
    eves_file: String,
    adas_file: String,
    /// A chat of Eve's, in a folder of hers, and the copy of it that she has shared.
    chat: String,
    share: String,
}

fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.summary())).to_owned()
}

impl Scene {
    async fn new() -> Self {
        let (mut server, upstreams) = TestServer::with_upstreams().await;
        server.run();
        let ada = server.sign_up("ada").await;
        let eve = server.sign_up("eve").await;
        let permissions = json!({
            "workspace": {"knowledge": true, "models": true},
            "sharing": {"models": true},
            "features": {"api_keys": true},
        });
        ada.post("/api/v1/users/default/permissions", permissions).await;
        let form = json!({"name": "staff", "description": "", "user_ids": [eve.id]});
        let group = id_of(&ada.post("/api/v1/groups/create", form).await);
        let program = eve.with_api_key().await;

        let eves_file = id_of(&eve.upload("eves.txt", "Eve writes about lighthouses.").await);
        let adas_file = id_of(&ada.upload("adas.txt", "Ada writes about lighthouses.").await);
        for file in [&eves_file, &adas_file] {
            processed(&ada, file).await;
        }
        let collect = async |who: &Client, name: &str, grants: Value| {
            let form = json!({"name": name, "description": "", "access_grants": grants});
            id_of(&who.post("/api/v1/knowledge/create", form).await)
        };
        let grants = json!([
            grant("user", &eve.id, "write"),
            grant("user", &ada.id, "read"),
            grant("group", &group, "read")
        ]);
        let (notes, shared) =
            (collect(&eve, "notes", json!([])).await, collect(&ada, "shared", grants.clone()).await);
        for (who, collection, file) in [
            (&eve, &notes, &eves_file),
            (&ada, &notes, &adas_file),
            (&eve, &shared, &eves_file),
            (&ada, &shared, &adas_file),
        ] {
            let path = format!("/api/v1/knowledge/{collection}/file/add");
            assert_eq!(who.post(&path, json!({"file_id": file})).await.status, 200);
        }
        let text = json!({"name": "scratch", "content": "Eve's scratch text about lighthouses."});
        assert_eq!(eve.post("/api/v1/retrieval/process/text", text).await.status, 200);
        overlay(&eve, "eves-model", json!("gpt-small"), json!([grant("group", &group, "read")])).await;
        overlay(&ada, "adas-model", json!("gpt-small"), grants).await;
        let folder = id_of(&eve.post("/api/v1/folders/", json!({"name": "letters"})).await);
        let form = json!({"chat": {"title": "On lighthouses"}, "folder_id": folder});
        let chat = id_of(&eve.post("/api/v1/chats/new", form).await);
        let sharing = eve.post(&format!("/api/v1/chats/{chat}/share"), ()).await.json();
        let share = sharing["share_id"].as_str().unwrap().to_owned();
        Self { server, upstreams, ada, eve, program, group, notes, shared, eves_file, adas_file, chat, share }
    }

    fn account(&self) -> String {
        format!("/api/v1/users/{}", self.eve.id)
    }

    async fn found_in(&self, collection: &str) -> String {
        let body = json!({"collection_names": [collection], "query": "lighthouses", "hybrid": true});
        let answer = self.ada.post("/api/v1/retrieval/query/collection", body).await;
        answer.json()["documents"].to_string()
    }

    async fn model(&self, id: &str) -> Value {
        let answer = self.ada.get(&format!("/api/v1/models/model?id={id}")).await;
        if answer.status == 200 { answer.json() } else { Value::Null }
    }

    async fn collection(&self, id: &str) -> Value {
        let answer = self.ada.get(&format!("/api/v1/knowledge/{id}")).await;
        if answer.status == 200 { answer.json() } else { Value::Null }
    }

    /// Nothing that can be listed names Eve, and the database has no contradictions.
    async fn nothing_dangles(&self) {
        for path in [
            "/api/v1/users/all",
            "/api/v1/groups/",
            "/api/v1/files/",
            "/api/v1/knowledge/",
            "/api/v1/models/all",
            "/api/models",
        ] {
            let answer = self.ada.get(path).await;
            assert_eq!(answer.status, 200);
            assert!(!answer.text().contains(&self.eve.id), "{path}: {}", answer.text());
        }
        assert_eq!(self.server.breezeway.store().check().await.unwrap(), [""; 0]);
    }

    /// The bytes that are kept, as text.
    fn blobs(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut folders = vec![self.server.breezeway.config().data_folder.join("blobs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    texts.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
                }
            }
        }
        texts.sort();
        texts
    }
}

#[tokio::test]
async fn a_deleted_account_takes_all_that_is_its() {
    let scene = Scene::new().await;
    let (ada, eve) = (&scene.ada, &scene.eve);
    assert_eq!(scene.blobs().len(), 3);

    assert_eq!(ada.delete(&scene.account()).await.text(), "true");

    assert_eq!(eve.get("/api/v1/auths/").await.status, 401);
    assert_eq!(scene.program.get("/api/models").await.status, 401);
    assert_eq!(ada.get(&format!("/api/v1/files/{}", scene.eves_file)).await.status, 404);
    assert_eq!(scene.collection(&scene.notes).await, Value::Null);
    assert_eq!(scene.model("eves-model").await, Value::Null);
    assert_eq!(scene.blobs(), ["Ada writes about lighthouses."]);
    assert_eq!(scene.found_in(&scene.shared).await, r#"[["Ada writes about lighthouses."]]"#);
    scene.nothing_dangles().await;
    assert_eq!(scene.collection(&scene.shared).await["access_grants"].as_array().unwrap().len(), 2);
    assert_eq!(scene.model("adas-model").await["access_grants"].as_array().unwrap().len(), 2);

    let again = json!({"name": "eve", "email": "eve@example.org", "password": PASSWORD, "role": "user"});
    let again = scene.server.stranger().signed_in(&ada.post("/api/v1/auths/add", again).await.json());
    assert_eq!(again.get("/api/v1/files/").await.json()["total"], 0);
    assert_eq!(again.get("/api/v1/knowledge/").await.json()["total"], 0);
    assert_eq!(ada.get(&format!("/api/v1/chats/share/{}", scene.share)).await.status, 401);
}

#[tokio::test]
async fn what_a_deleted_account_had_can_be_handed_over() {
    let scene = Scene::new().await;
    let bob = scene.server.sign_up("bob").await;

    let path = format!("{}?transfer_to={}", scene.account(), bob.id);
    assert_eq!(scene.ada.delete(&path).await.text(), "true");

    assert_eq!(scene.eve.get("/api/v1/auths/").await.status, 401);
    let file = bob.get(&format!("/api/v1/files/{}", scene.eves_file)).await.json();
    assert_eq!(file["user_id"], bob.id);
    assert_eq!(scene.collection(&scene.notes).await["user_id"], bob.id);
    assert_eq!(scene.model("eves-model").await["user_id"], bob.id);
    assert_eq!(bob.get("/api/v1/files/").await.json()["total"], 2, "the scratch text is a file too");
    for collection in [&scene.notes, &scene.shared] {
        let found = scene.found_in(collection).await;
        assert!(found.contains("Ada writes") && found.contains("Eve writes"), "{found}");
    }
    let chat = bob.get(&format!("/api/v1/chats/{}", scene.chat)).await.json();
    let folders = bob.get("/api/v1/folders/").await.json();
    assert_eq!((&chat["user_id"], &chat["folder_id"]), (&json!(bob.id), &folders[0]["id"]));
    assert_eq!(bob.delete(&format!("/api/v1/files/{}", scene.eves_file)).await.status, 200);
    scene.nothing_dangles().await;
}

#[tokio::test]
async fn an_heir_that_cannot_be_is_refused_before_anything_happens() {
    let scene = Scene::new().await;
    let delete = async |heir: &str| {
        let path = format!("{}?transfer_to={heir}", scene.account());
        scene.ada.delete(&path).await.summary()
    };

    assert_snapshot!(delete("nobody").await, @r#"
    400 Bad Request
    {"detail":"`transfer_to` is no account, so nothing was deleted or handed over."}
    "#);
    assert_eq!(delete("").await, delete("nobody").await);
    assert_snapshot!(delete(&scene.eve.id).await, @r#"
    400 Bad Request
    {"detail":"An account cannot hand what it has to itself."}
    "#);

    assert_eq!(scene.eve.get("/api/v1/files/").await.json()["total"], 2);
    assert_eq!(scene.program.get("/api/models").await.status, 200);
}

#[tokio::test]
async fn a_deletion_whose_client_leaves_goes_on_by_itself() {
    let scene = Scene::new().await;
    let bob = scene.server.sign_up("bob").await;
    let path = format!("{}?transfer_to={}", scene.account(), bob.id);

    // Long enough for the first step to be taken, which is the one that counts.
    let mut polls = 1;
    while scene.eve.get("/api/v1/auths/").await.status == 200 {
        assert!(kill::at_most(polls, scene.ada.delete(&path)).await.is_none(), "it came to its end");
        polls += 1;
    }

    eventually("the end of the deletion", async || {
        let accounts = scene.ada.get("/api/v1/users/all").await.text();
        (!accounts.contains(&scene.eve.id)).then_some(())
    })
    .await;
    assert_eq!(scene.collection(&scene.notes).await["user_id"], bob.id);
    assert_eq!(scene.model("eves-model").await["user_id"], bob.id);
    scene.nothing_dangles().await;
    let log = scene.ada.get("/api/v1/audit?action=account_deleted").await.json();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    assert_eq!(log["items"][0]["actor"]["id"], scene.ada.id);
    assert_eq!(log["items"][0]["detail"]["transferred_to"], bob.id);
}

#[tokio::test]
async fn an_upload_that_ends_after_its_account_leaves_nothing() {
    let scene = Scene::new().await;
    let auth = scene.server.breezeway.auth();
    let eve = auth.local_principal(&scene.eve.id.parse().unwrap()).unwrap();

    assert_eq!(scene.ada.delete(&scene.account()).await.text(), "true");
    let library = scene.server.breezeway.library();
    let upload = breezeway::parts::knowledge::Upload {
        name: "late.txt".to_owned(),
        media_type: "text/plain".to_owned(),
        process: true,
        metadata: serde_json::Map::new(),
        into: None,
    };
    let refused = library.add_material(&eve, upload, "Too late.".into()).await;

    assert!(refused.is_err());
    assert_eq!(scene.blobs(), ["Ada writes about lighthouses."]);
    scene.nothing_dangles().await;
}

#[tokio::test]
async fn a_deleted_group_is_granted_nothing_any_more() {
    let scene = Scene::new().await;
    let path = format!("/api/v1/groups/id/{}/delete", scene.group);

    assert_eq!(scene.ada.delete(&path).await.text(), "true");

    for thing in [scene.collection(&scene.shared).await, scene.model("eves-model").await] {
        assert!(!thing.to_string().contains(&scene.group), "{thing}");
    }
    assert_eq!(scene.ada.get(&format!("/api/v1/files/{}", scene.adas_file)).await.status, 200);
    assert_eq!(scene.server.breezeway.store().check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_admin_who_goes_leaves_the_settings_of_models_to_another() {
    let scene = Scene::new().await;
    let root = scene.server.sign_up("root").await;
    let promote = json!({"role": "admin"});
    scene.ada.post(&format!("/api/v1/users/{}/update", root.id), promote).await;
    overlay(&root, "gpt-small", Value::Null, json!([grant("user", "*", "read")])).await;
    overlay(&root, "roots-model", json!("gpt-small"), json!([])).await;

    // Of herself, so that it cannot be hers either.
    assert_eq!(root.delete(&format!("/api/v1/users/{}", root.id)).await.text(), "true");

    assert_eq!(scene.model("gpt-small").await["user_id"], scene.ada.id);
    assert_eq!(scene.model("roots-model").await, Value::Null);
    assert_eq!(scene.eve.get("/api/models").await.json()["data"].as_array().unwrap().len(), 3);
    assert_eq!(scene.server.breezeway.store().check().await.unwrap(), [""; 0]);
}
