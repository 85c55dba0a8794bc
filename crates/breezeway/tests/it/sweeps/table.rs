//! Every operation of the API: who may call it, and a call that succeeds.

use serde_json::{Value, json};

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody, without an account.
    Open,
    /// Also accounts that wait for an admin.
    Waiting,
    /// As before, but a person: no API key.
    Human,
    /// Accounts with a role.
    User,
    /// Those of them who have this permission.
    Permitted(&'static str),
    /// Admins.
    Admin,
}

/// An operation and a call of it. `{id}` in a path and `$user`, `$file`, `$collection`, `$openai` and
/// `$ollama` in a body stand for things that are made for the call.
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) query: &'static str,
    pub(crate) body: Body,
    /// What an admin is answered.
    pub(crate) status: u16,
    /// What a plain user is answered about things of their own; 0 for the same.
    pub(crate) plain: u16,
}

pub(crate) enum Body {
    None,
    Json(Value),
    Upload,
}

impl Row {
    /// The body as text; empty if there is none.
    pub(crate) fn json(&self) -> String {
        match &self.body {
            Body::Json(value) => value.to_string(),
            Body::None | Body::Upload => String::new(),
        }
    }

    pub(crate) fn uploads(&self) -> bool {
        matches!(self.body, Body::Upload)
    }

    fn uploading(self) -> Self {
        Self { body: Body::Upload, ..self }
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    /// An admin is refused too, for what the path leads to.
    fn refused(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A plain user is answered something else, because they have nothing of the kind or it is not for
    /// them.
    fn plainly(self, plain: u16) -> Self {
        Self { plain, ..self }
    }
}

fn get(access: Access, path: &'static str) -> Row {
    Row { method: "GET", path, access, query: "", body: Body::None, status: 200, plain: 0 }
}

fn delete(access: Access, path: &'static str) -> Row {
    Row { method: "DELETE", ..get(access, path) }
}

fn post(access: Access, path: &'static str, body: Value) -> Row {
    let body = if body.is_null() { Body::None } else { Body::Json(body) };
    Row { method: "POST", body, ..get(access, path) }
}

pub(crate) fn rows() -> Vec<Row> {
    [
        service(),
        auths(),
        users(),
        groups(),
        models(),
        chats(),
        saved(),
        v1(),
        openai(),
        files(),
        knowledge(),
        retrieval(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn service() -> Vec<Row> {
    use Access::{Admin, Open, User};

    vec![
        get(Open, "/health"),
        get(Open, "/health/db"),
        get(Open, "/ready"),
        get(Open, "/api/version"),
        get(User, "/api/version/updates"),
        get(Open, "/api/config"),
        get(Admin, "/api/v1/audit"),
        get(Admin, "/api/v1/audit/export"),
        // Without a provider there is nowhere to go.
        get(Open, "/oauth/{provider}/login").refused(404),
        get(Open, "/oauth/{provider}/login/callback").refused(404),
        get(Open, "/oauth/{provider}/callback").refused(404),
    ]
}

fn auths() -> Vec<Row> {
    use Access::{Admin, Human, Open, Permitted, User, Waiting};

    let password = crate::harness::PASSWORD;
    let eve = json!({"name": "eve", "email": "eve@new.org", "password": password});
    vec![
        post(Open, "/api/v1/auths/signup", eve.clone()).refused(403),
        post(Open, "/api/v1/auths/signin", json!({"email": "ada@example.org", "password": password})),
        post(Open, "/api/v1/auths/signout", Value::Null),
        get(Human, "/api/v1/auths/"),
        post(Permitted("features.api_keys"), "/api/v1/auths/api_key", Value::Null),
        get(User, "/api/v1/auths/api_key").plainly(404),
        delete(User, "/api/v1/auths/api_key"),
        post(
            Permitted("features.api_keys"),
            "/api/v1/auths/api_keys",
            json!({"name": "ci", "read_only": true}),
        ),
        get(User, "/api/v1/auths/api_keys"),
        get(Admin, "/api/v1/auths/api_keys/all"),
        get(User, "/api/v1/auths/api_keys/{id}"),
        post(
            Permitted("features.api_keys"),
            "/api/v1/auths/api_keys/{id}/update",
            json!({"name": "build", "budget": null}),
        ),
        delete(User, "/api/v1/auths/api_keys/{id}"),
        post(Admin, "/api/v1/auths/add", eve),
        post(Human, "/api/v1/auths/update/password", json!({"password": password, "new_password": password})),
        post(
            User,
            "/api/v1/auths/update/profile",
            json!({"name": "ada", "profile_image_url": "/user.png", "bio": "b"}),
        ),
        post(User, "/api/v1/auths/update/timezone", json!({"timezone": "UTC"})),
        get(Admin, "/api/v1/auths/admin/config"),
        post(Admin, "/api/v1/auths/admin/config", json!({"SHOW_ADMIN_DETAILS": true})),
        get(Waiting, "/api/v1/auths/admin/details"),
    ]
}

fn users() -> Vec<Row> {
    use Access::{Admin, User};

    vec![
        get(User, "/api/v1/usage"),
        get(Admin, "/api/v1/usage/all"),
        get(Admin, "/api/v1/users/"),
        get(Admin, "/api/v1/users/all"),
        get(User, "/api/v1/users/search"),
        get(User, "/api/v1/users/permissions"),
        get(User, "/api/v1/users/groups"),
        get(Admin, "/api/v1/users/default/permissions"),
        post(Admin, "/api/v1/users/default/permissions", json!({"chat": {"delete": true}})),
        get(Admin, "/api/v1/users/default/permissions/defaults"),
        get(User, "/api/v1/users/user/settings"),
        post(User, "/api/v1/users/user/settings/update", json!({"ui": {}})),
        get(User, "/api/v1/users/user/info"),
        post(User, "/api/v1/users/user/info/update", json!({"a": 1})),
        get(User, "/api/v1/users/user/status"),
        post(User, "/api/v1/users/user/status/update", json!({"status_message": "here"})),
        get(Admin, "/api/v1/users/{id}"),
        get(User, "/api/v1/users/{id}/info"),
        get(User, "/api/v1/users/{id}/active"),
        get(Admin, "/api/v1/users/{id}/groups"),
        get(User, "/api/v1/users/{id}/profile/image"),
        post(Admin, "/api/v1/users/{id}/update", json!({"role": "user", "name": "Eve"})),
        post(Admin, "/api/v1/users/{id}/sessions/revoke", Value::Null),
        delete(Admin, "/api/v1/users/{id}"),
    ]
}

fn groups() -> Vec<Row> {
    use Access::{Admin, User};

    vec![
        get(User, "/api/v1/groups/"),
        post(Admin, "/api/v1/groups/create", json!({"name": "staff", "description": ""})),
        get(Admin, "/api/v1/groups/id/{id}"),
        get(User, "/api/v1/groups/id/{id}/info").plainly(401),
        get(Admin, "/api/v1/groups/id/{id}/export"),
        post(Admin, "/api/v1/groups/id/{id}/users", Value::Null),
        post(Admin, "/api/v1/groups/id/{id}/users/add", json!({"user_ids": ["$user"]})),
        post(Admin, "/api/v1/groups/id/{id}/users/remove", json!({"user_ids": ["$user"]})),
        post(Admin, "/api/v1/groups/id/{id}/update", json!({"name": "crew", "description": "d"})),
        delete(Admin, "/api/v1/groups/id/{id}/delete"),
    ]
}

fn models() -> Vec<Row> {
    use Access::{Admin, Permitted, User};

    let zed =
        |id: &str| json!({"id": id, "name": "Zed", "base_model_id": "gpt-small", "meta": {}, "params": {}});
    vec![
        get(User, "/api/models"),
        get(User, "/api/v1/models").query("?refresh=true"),
        get(Admin, "/api/models/base"),
        get(Admin, "/api/v1/models/base"),
        get(Admin, "/api/v1/models/base/tags"),
        get(User, "/api/v1/models/tags"),
        get(User, "/api/v1/models/all"),
        get(User, "/api/v1/models/list"),
        get(Permitted("workspace.models_export"), "/api/v1/models/export"),
        post(Permitted("workspace.models"), "/api/v1/models/create", zed("new")),
        post(
            Permitted("workspace.models_import"),
            "/api/v1/models/import",
            json!({"models": [zed("imported")]}),
        ),
        post(Admin, "/api/v1/models/sync", json!({"models": [zed("synced")]})),
        get(User, "/api/v1/models/model").query("?id=zed"),
        get(User, "/api/v1/models/model/profile/image").query("?id=zed"),
        post(User, "/api/v1/models/model/update", zed("zed")),
        post(User, "/api/v1/models/model/toggle", Value::Null).query("?id=zed"),
        post(User, "/api/v1/models/model/access/update", json!({"id": "zed", "access_grants": []})),
        post(User, "/api/v1/models/model/delete", json!({"id": "zed"})),
        delete(Admin, "/api/v1/models/delete/all"),
    ]
}

fn chats() -> Vec<Row> {
    use Access::{Admin, User};

    let ask =
        json!({"model": "gpt-small", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    let embed = json!({"model": "gpt-small", "input": ["a"]});
    let count = |path| post(User, path, json!({"model": "llama3.2", "messages": []}));
    vec![
        post(User, "/api/chat/completions", ask.clone()),
        post(User, "/api/v1/chat/completions", ask.clone()),
        post(User, "/api/chat/completed", ask.clone()),
        get(Admin, "/api/tasks"),
        post(Admin, "/api/tasks/stop/{id}", Value::Null).refused(404),
        post(User, "/api/v1/messages", ask.clone()),
        post(User, "/api/message", ask),
        count("/api/v1/messages/count_tokens"),
        count("/api/message/count_tokens"),
        post(User, "/api/embeddings", embed.clone()),
        post(User, "/api/v1/embeddings", embed),
    ]
}

fn v1() -> Vec<Row> {
    use Access::User;

    let ask =
        json!({"model": "gpt-small", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    vec![
        get(User, "/v1/models"),
        get(User, "/v1/models/{*path}").refused(404),
        post(User, "/v1/chat/completions", ask.clone()),
        post(User, "/v1/completions", json!({"model": "gpt-small", "prompt": "hello"})),
        post(User, "/v1/embeddings", json!({"model": "gpt-small", "input": ["a"]})),
        post(User, "/v1/responses", json!({"model": "gpt-small", "input": "hello"})),
        post(User, "/api/v1/responses", json!({"model": "gpt-small", "input": "hello"})),
        post(User, "/v1/files", Value::Null).uploading(),
        get(User, "/v1/files"),
        get(User, "/v1/files/{id}"),
        delete(User, "/v1/files/{id}"),
        get(User, "/v1/files/{id}/content"),
        post(Access::Permitted("workspace.knowledge"), "/v1/vector_stores", json!({"name": "skies"})),
        get(User, "/v1/vector_stores"),
        get(User, "/v1/vector_stores/{id}"),
        post(User, "/v1/vector_stores/{id}", json!({"name": "seas"})),
        delete(User, "/v1/vector_stores/{id}"),
        post(User, "/v1/vector_stores/{id}/search", json!({"query": "sky"})),
        post(User, "/v1/vector_stores/{id}/files", json!({"file_id": "$file"})),
        get(User, "/v1/vector_stores/{id}/files"),
        get(User, "/v1/vector_stores/{id}/files/{file_id}"),
        post(User, "/v1/vector_stores/{id}/files/{file_id}", json!({"attributes": {"year": 2026}})),
        delete(User, "/v1/vector_stores/{id}/files/{file_id}"),
        get(User, "/v1/vector_stores/{id}/files/{file_id}/content"),
        post(User, "/v1/vector_stores/{id}/file_batches", json!({"file_ids": ["$file"]})),
        get(User, "/v1/vector_stores/{id}/file_batches/{batch_id}").refused(404),
        get(User, "/v1/vector_stores/{id}/file_batches/{batch_id}/files").refused(404),
        post(User, "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel", Value::Null).refused(404),
        get(User, "/v1/responses/{id}").refused(404),
        delete(User, "/v1/responses/{id}").refused(404),
        post(User, "/v1/messages", ask.clone()),
        post(User, "/v1/messages/count_tokens", ask),
    ]
}

fn saved() -> Vec<Row> {
    use Access::User;

    let chat = json!({"chat": {"title": "Trams", "history": {"messages": {}, "currentId": null}}});
    let tag = json!({"name": "Long Reads"});
    let untag = |path| Row { body: Body::Json(tag.clone()), ..delete(User, path) };
    vec![
        post(User, "/api/v1/chats/new", chat.clone()),
        get(User, "/api/v1/chats/"),
        get(User, "/api/v1/chats/list").query("?page=1"),
        get(User, "/api/v1/chats/search").query("?text=tram&page=1"),
        get(User, "/api/v1/chats/pinned"),
        get(User, "/api/v1/chats/archived"),
        get(User, "/api/v1/chats/all"),
        get(User, "/api/v1/chats/all/archived"),
        get(User, "/api/v1/chats/all/tags"),
        get(User, "/api/v1/chats/tags"),
        post(User, "/api/v1/chats/tags", tag.clone()),
        get(User, "/api/v1/chats/folder/{id}/list"),
        post(User, "/api/v1/chats/archive/all", Value::Null),
        post(User, "/api/v1/chats/unarchive/all", Value::Null),
        post(User, "/api/v1/chats/import", json!({"chats": [chat.clone()]})),
        get(User, "/api/v1/chats/share/{share_id}"),
        post(User, "/api/v1/chats/{share_id}/clone/shared", Value::Null),
        get(User, "/api/v1/chats/{id}"),
        post(User, "/api/v1/chats/{id}", chat),
        post(User, "/api/v1/chats/{id}/archive", Value::Null),
        post(User, "/api/v1/chats/{id}/pin", Value::Null),
        get(User, "/api/v1/chats/{id}/pinned"),
        post(User, "/api/v1/chats/{id}/folder", json!({"folder_id": null})),
        post(User, "/api/v1/chats/{id}/clone", json!({"title": "Trams again"})),
        post(User, "/api/v1/chats/{id}/share", Value::Null),
        delete(User, "/api/v1/chats/{id}/share"),
        get(User, "/api/v1/chats/{id}/tags"),
        post(User, "/api/v1/chats/{id}/tags", tag.clone()),
        untag("/api/v1/chats/{id}/tags"),
        delete(User, "/api/v1/chats/{id}/tags/all"),
        delete(User, "/api/v1/chats/{id}"),
        delete(User, "/api/v1/chats/"),
        get(User, "/api/v1/folders/"),
        post(User, "/api/v1/folders/", json!({"name": "Rails"})),
        get(User, "/api/v1/folders/{id}"),
        post(User, "/api/v1/folders/{id}/update", json!({"name": "Roads"})),
        post(User, "/api/v1/folders/{id}/update/parent", json!({"parent_id": null})),
        post(User, "/api/v1/folders/{id}/update/expanded", json!({"is_expanded": true})),
        delete(User, "/api/v1/folders/{id}").query("?delete_contents=false"),
    ]
}

fn openai() -> Vec<Row> {
    use Access::{Admin, User};

    let ask =
        json!({"model": "gpt-small", "input": "hello", "messages": [{"role": "user", "content": "hello"}]});
    let openai = json!({"OPENAI_API_BASE_URLS": ["$openai"], "OPENAI_API_KEYS": [""]});
    vec![
        get(User, "/openai/models"),
        get(User, "/openai/models/{index}"),
        post(User, "/openai/chat/completions", ask.clone()),
        post(User, "/openai/responses", ask.clone()),
        get(User, "/openai/{*path}").refused(403),
        post(User, "/openai/{*path}", ask).refused(403),
        Row { method: "PUT", ..get(User, "/openai/{*path}").refused(403) },
        delete(User, "/openai/{*path}").refused(403),
        get(Admin, "/openai/config"),
        post(Admin, "/openai/config/update", openai),
        post(Admin, "/openai/verify", json!({"url": "$openai"})),
        get(User, "/api/v1/tools/"),
        get(Admin, "/api/v1/configs/tool_servers"),
        post(
            Admin,
            "/api/v1/configs/tool_servers",
            json!({"TOOL_SERVER_CONNECTIONS": [{"url": "$openai", "path": "openapi.json"}]}),
        ),
        // The scripted upstream has no such document.
        post(Admin, "/api/v1/configs/tool_servers/verify", json!({"url": "$openai"})).refused(400),
        get(Admin, "/ollama/config"),
        post(Admin, "/ollama/config/update", json!({"OLLAMA_BASE_URLS": ["$ollama"]})),
        post(Admin, "/ollama/verify", json!({"url": "$ollama"})),
    ]
}

fn files() -> Vec<Row> {
    use Access::{Admin, User};

    vec![
        Row { body: Body::Upload, ..post(User, "/api/v1/files/", Value::Null) },
        get(User, "/api/v1/files/"),
        get(User, "/api/v1/files/search").query("?filename=*").plainly(404),
        get(User, "/api/v1/files/user/search").query("?filename=*").plainly(404),
        get(User, "/api/v1/files/count"),
        get(User, "/api/v1/files/user/count"),
        get(User, "/api/v1/files/{id}"),
        get(User, "/api/v1/files/{id}/process/status"),
        // What is there has been processed: there is nothing to stop and nothing to retry.
        post(User, "/api/v1/files/{id}/process/cancel", Value::Null).refused(409),
        post(User, "/api/v1/files/{id}/process/retry", Value::Null).refused(409),
        post(User, "/api/v1/files/{id}/process", Value::Null),
        get(User, "/api/v1/files/{id}/content"),
        get(User, "/api/v1/files/{id}/content/html").plainly(404),
        get(User, "/api/v1/files/{id}/content/{name}"),
        get(User, "/api/v1/files/{id}/data/content"),
        post(User, "/api/v1/files/{id}/data/content/update", json!({"content": "The sea is green."})),
        post(User, "/api/v1/files/{id}/rename", json!({"filename": "sea.txt"})),
        delete(User, "/api/v1/files/{id}"),
        delete(Admin, "/api/v1/files/all"),
    ]
}

fn knowledge() -> Vec<Row> {
    use Access::{Admin, Permitted, User};

    let notes = json!({"name": "notes", "description": ""});
    let file = json!({"file_id": "$file"});
    vec![
        get(User, "/api/v1/knowledge/"),
        get(User, "/api/v1/knowledge/search"),
        get(User, "/api/v1/knowledge/search/files"),
        post(Permitted("workspace.knowledge"), "/api/v1/knowledge/create", notes.clone()),
        get(User, "/api/v1/knowledge/{id}"),
        get(User, "/api/v1/knowledge/{id}/files"),
        get(User, "/api/v1/knowledge/{id}/files/pending"),
        get(Admin, "/api/v1/knowledge/{id}/export"),
        post(User, "/api/v1/knowledge/{id}/update", notes),
        post(User, "/api/v1/knowledge/{id}/access/update", json!({"access_grants": []})),
        post(User, "/api/v1/knowledge/{id}/file/add", file.clone()),
        post(User, "/api/v1/knowledge/{id}/file/update", file.clone()),
        post(User, "/api/v1/knowledge/{id}/files/batch/add", json!([file])),
        post(User, "/api/v1/knowledge/{id}/file/remove", file).query("?delete_file=false"),
        post(User, "/api/v1/knowledge/{id}/process", Value::Null),
        post(User, "/api/v1/knowledge/{id}/reset", Value::Null),
        delete(User, "/api/v1/knowledge/{id}/delete"),
    ]
}

fn retrieval() -> Vec<Row> {
    use Access::{Admin, User};

    // The address is not for this server to read.
    let page = json!({"url": "http://127.0.0.1:9/"});
    vec![
        post(User, "/api/v1/retrieval/query/doc", json!({"collection_name": "file-$file", "query": "sky"})),
        post(
            User,
            "/api/v1/retrieval/query/collection",
            json!({"collection_names": ["$collection"], "query": "sky", "k": 2}),
        ),
        post(User, "/api/v1/retrieval/search", json!({"query": "sky", "prompt": true})),
        get(User, "/api/v1/files/{id}/passages/{range}"),
        post(User, "/api/v1/files/{id}/metadata/update", json!({"metadata": {"year": 2026}})),
        post(User, "/api/v1/retrieval/process/file", json!({"file_id": "$file"})),
        post(User, "/api/v1/retrieval/process/text", json!({"name": "n", "content": "The sea is green."})),
        post(
            User,
            "/api/v1/retrieval/process/files/batch",
            json!({"files": [{"id": "$file"}], "collection_name": "$collection"}),
        ),
        post(User, "/api/v1/retrieval/process/web", page.clone()).refused(400),
        post(User, "/api/v1/retrieval/process/youtube", page.clone()).refused(400),
        post(User, "/api/v1/retrieval/process/url", page).refused(400),
        post(User, "/api/v1/retrieval/process/web/search", json!({"queries": ["sky"]})).refused(403),
        post(Admin, "/api/v1/retrieval/fsck", Value::Null),
        get(Admin, "/api/v1/retrieval/config"),
        post(Admin, "/api/v1/retrieval/config/update", json!({"TOP_K": 4})),
        get(Admin, "/api/v1/retrieval/embedding"),
        post(
            Admin,
            "/api/v1/retrieval/embedding/update",
            json!({
                "RAG_EMBEDDING_ENGINE": "openai",
                "RAG_EMBEDDING_MODEL": "gpt-small",
                "openai_config": {"url": "$openai", "key": ""},
            }),
        ),
        post(
            Admin,
            "/api/v1/retrieval/delete",
            json!({"collection_name": "$collection", "file_id": "$file"}),
        ),
        post(Admin, "/api/v1/retrieval/reset/db", Value::Null),
        post(Admin, "/api/v1/retrieval/reset/uploads", Value::Null),
    ]
}
