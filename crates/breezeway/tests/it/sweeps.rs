//! Sweeps over the OpenAPI document: every operation is called, and refuses whom it must.

mod foreign;
mod policy;
mod table;

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::{Value, json};

use self::table::Access;
pub(crate) use self::table::{Row, rows};
use crate::harness::{
    Client, TestServer, Upstreams,
    schema::{Document, Operation},
};

/// A server with all that the rows of the table speak of.
async fn server() -> (TestServer, Upstreams) {
    let (mut server, upstreams) = TestServer::with_upstreams().await;
    server.run();
    server.sign_up("ada").await;
    (server, upstreams)
}

/// The ids that rows name: made anew for each, so that no row sees what another has deleted.
pub(crate) struct Things {
    user: String,
    group: String,
    key: String,
    file: String,
    collection: String,
    model: String,
    chat: String,
    share: String,
    folder: String,
    openai: String,
    ollama: String,
}

impl Things {
    /// Ids of nothing.
    fn unknown() -> Self {
        let unknown = || "unknown".to_owned();
        Self {
            user: unknown(),
            group: unknown(),
            key: unknown(),
            file: unknown(),
            collection: unknown(),
            model: unknown(),
            chat: unknown(),
            share: unknown(),
            folder: unknown(),
            openai: unknown(),
            ollama: unknown(),
        }
    }

    pub(crate) async fn make(server: &TestServer, upstreams: &Upstreams, row: &Row) -> Self {
        Self::made_by(&server.admin(), "zed", server, upstreams, row).await
    }

    /// The same, belonging to somebody who may make such things; groups and accounts are an admin's.
    async fn made_by(
        maker: &Client,
        model: &str,
        server: &TestServer,
        upstreams: &Upstreams,
        row: &Row,
    ) -> Self {
        let admin = server.admin();
        let text = |answer: Value| answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let wanted = format!("{} {}", row.path, row.json());
        let mentions = |word: &str| wanted.contains(word);
        let mut things = Self {
            model: model.to_owned(),
            openai: upstreams.openai.openai_url(),
            ollama: upstreams.ollama.url(),
            ..Self::unknown()
        };
        if mentions("/users/{id}") || mentions("$user") {
            // Accounts are made a second apart, so the time is a name nobody has.
            things.user = server.sign_up(&format!("user{}", server.clock.now())).await.id;
        }
        if mentions("/groups/id/") {
            let form = json!({"name": "staff", "description": ""});
            things.group = text(admin.post("/api/v1/groups/create", form).await.json());
        }
        if mentions("/api_keys/{id}") {
            things.key = text(maker.post("/api/v1/auths/api_keys", json!({"name": "ci"})).await.json());
        }
        if mentions("/files/{id}")
            || mentions("$file")
            || mentions("/knowledge/{id}")
            || mentions("/vector_stores/{id}")
            || mentions("$collection")
        {
            let sent = maker.upload("sky.txt", "The sky is blue.").await;
            things.file = text(sent.json());
            processed(maker, &things.file).await;
        }
        if mentions("/knowledge/{id}") || mentions("/vector_stores/{id}") || mentions("$collection") {
            let form = json!({"name": "notes", "description": ""});
            things.collection = text(maker.post("/api/v1/knowledge/create", form).await.json());
            let add = format!("/api/v1/knowledge/{}/file/add", things.collection);
            let added = maker.post(&add, json!({"file_id": things.file})).await;
            assert_eq!(added.status, 200, "{}", added.summary());
        }
        if mentions("/chats/{id}") || mentions("{share_id}") {
            let form = json!({"chat": {"title": "Trams"}});
            things.chat = text(maker.post("/api/v1/chats/new", form).await.json());
        }
        if mentions("{share_id}") {
            let shared = maker.post(&format!("/api/v1/chats/{}/share", things.chat), ()).await;
            things.share = shared.json()["share_id"].as_str().unwrap().to_owned();
        }
        if mentions("/folders/{id}") || mentions("/folder/{id}") {
            things.folder = text(maker.post("/api/v1/folders/", json!({"name": "Rails"})).await.json());
        }
        if mentions("/api/v1/models/model") {
            let model = json!({
                "id": model, "name": "Zed", "base_model_id": "gpt-small", "meta": {}, "params": {},
            });
            let form = json!({"models": [model]});
            assert_eq!(maker.post("/api/v1/models/import", form).await.status, 200);
        }
        things
    }

    /// Put the ids where a row names them.
    pub(crate) fn fill(&self, text: &str) -> String {
        let id = match text {
            _ if text.contains("/groups/") => &self.group,
            _ if text.contains("/api_keys/") => &self.key,
            _ if text.contains("/folders/") || text.contains("/folder/{id}") => &self.folder,
            _ if text.contains("/chats/") => &self.chat,
            _ if text.contains("/users/") => &self.user,
            _ if text.contains("/knowledge/") || text.contains("/vector_stores/") => &self.collection,
            _ if text.contains("/files/") => &self.file,
            _ => "unknown",
        };
        text.replace("{id}", id)
            .replace("{share_id}", &self.share)
            .replace("{name}", "sky.txt")
            .replace("{index}", "0")
            .replace("{range}", "0-3")
            .replace("{file_id}", &self.file)
            .replace("{provider}", "oidc")
            .replace("id=zed", &format!("id={}", self.model))
            .replace("\"id\":\"zed\"", &format!("\"id\":\"{}\"", self.model))
            .replace("{*path}", "fine_tuning/jobs")
            .replace("{path}", "fine_tuning/jobs")
            .replace("$user", &self.user)
            .replace("$file", &self.file)
            .replace("$collection", &self.collection)
            .replace("$openai", &self.openai)
            .replace("$ollama", &self.ollama)
    }
}

/// Wait until a file's text has been read.
pub(crate) async fn processed(client: &Client, file: &str) {
    let path = format!("/api/v1/files/{file}/process/status");
    let has_ended = async || {
        let status = client.get(&path).await.json()["status"].clone();
        assert_ne!(status, "failed");
        (status == "completed").then_some(())
    };
    crate::harness::eventually("a processed file", has_ended).await;
}

async fn call(client: &Client, row: &Row, things: &Things) -> crate::harness::Answer {
    let path = things.fill(&format!("{}{}", row.path, row.query));
    if row.uploads() {
        return client.upload_to(row.path, "sky.txt", "The sky is blue.").await;
    }
    let body = things.fill(&row.json());
    client.send(row.method.parse().unwrap(), &path, body.into()).await
}

#[test]
fn every_operation_has_a_row() {
    let rows: BTreeSet<Operation> = rows()
        .iter()
        .map(|row| Operation { method: row.method.to_owned(), path: row.path.to_owned() })
        .collect();
    let operations: BTreeSet<Operation> = Document::new().operations().into_iter().collect();

    let missing: Vec<_> = operations.difference(&rows).collect();
    let superfluous: Vec<_> = rows.difference(&operations).collect();

    assert!(
        missing.is_empty() && superfluous.is_empty(),
        "missing: {missing:#?}, superfluous: {superfluous:#?}"
    );
}

#[tokio::test]
async fn every_operation_refuses_a_stranger_unless_it_is_open() {
    let (server, _upstreams) = server().await;
    let stranger = server.stranger();

    for row in rows().iter().filter(|row| row.access != Access::Open) {
        // Whether a thing exists does not matter to who is nobody.
        let answer = call(&stranger, row, &Things::unknown()).await;

        let expected = "401 Unauthorized\n{\"detail\":\"Not authenticated\"}";
        assert_eq!(answer.refusal(), expected, "{} {}", row.method, row.path);
    }
}

#[tokio::test]
async fn every_operation_refuses_who_waits_for_an_admin_unless_it_is_for_them() {
    let (server, _upstreams) = server().await;
    let eve = server.pending("eve").await;
    let expected = eve.get("/api/models").await.summary();

    for row in
        rows().iter().filter(|row| !matches!(row.access, Access::Open | Access::Waiting | Access::Human))
    {
        let shown = call(&eve, row, &Things::unknown()).await.refusal();

        assert_eq!(shown, expected, "{} {}", row.method, row.path);
    }

    assert_snapshot!(expected, @r#"
    401 Unauthorized
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
}

#[tokio::test]
async fn every_operation_for_admins_refuses_a_plain_user() {
    let (server, upstreams) = server().await;
    let eve = server.sign_up("eve").await;
    let expected = eve.get("/api/v1/users/").await.summary();

    for row in rows().iter().filter(|row| row.access == Access::Admin) {
        let things = Things::make(&server, &upstreams, row).await;
        let shown = call(&eve, row, &things).await.summary();

        assert_eq!(shown, expected, "{} {}", row.method, row.path);
    }
}

#[tokio::test]
async fn every_operation_answers_an_admin_as_the_document_says() {
    let (server, upstreams) = server().await;
    let document = Document::new();
    let mut faults = Vec::new();

    for row in rows() {
        let things = Things::make(&server, &upstreams, &row).await;
        let answer = call(&server.admin(), &row, &things).await;

        let name = format!("{} {}", row.method, row.path);
        if answer.status != row.status {
            faults.push(format!("{name}: {}", answer.summary()));
        } else if answer.status == 200 && answer.is_json() {
            let found = document.faults(row.method, row.path, &answer.json());
            faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
        } else if answer.status >= 400 && !answer.json()["detail"].is_string() {
            faults.push(format!("{name}: {}", answer.summary()));
        }
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
