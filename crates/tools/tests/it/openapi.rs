use std::collections::BTreeMap;

use breezeway_chat::ToolsError;
use breezeway_core::{AccessGrant, Grants};
use breezeway_testkit::Reply;

use super::*;

#[tokio::test]
async fn an_operation_is_called_with_the_servers_key_and_headers() {
    let mut document = document(&["/weather"]);
    document["paths"]["/notes/{id}"] = json!({"put": {
        "operationId": "put_note",
        "parameters": [{"name": "id", "in": "path", "schema": {"type": "string"}}],
        "requestBody": {"required": true, "content": {"application/json": {"schema":
            {"type": "object", "properties": {"text": {"type": "string"}}}}}},
    }});
    let upstream = described(&document).await;
    upstream.queue("/weather", Reply::json(200, &json!({"degrees": 12})));
    upstream.queue("/notes/a%20b", Reply::bytes(204, "", ""));
    let mut server = server(ToolServerKind::OpenApi, upstream.url());
    server.headers = BTreeMap::from([("x-tenant".into(), "seven".into())]);
    let servers = servers(vec![server]);

    let tools = tools(&servers, "server:0").await;
    let weather = call(&tools, "weather", json!({"city": "Ås"})).await;
    let note = call(&tools, "put_note", json!({"id": "a b", "text": "hi"})).await;

    assert_eq!(names(&tools), ["weather", "put_note"]);
    assert_eq!(weather.unwrap(), r#"{"degrees":12}"#);
    assert_eq!(note.unwrap(), "(status 204, no content)");
    let asked = upstream.last_at("/weather");
    assert_eq!(asked.query.as_deref(), Some("city=%C3%85s"));
    assert_eq!(asked.header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(asked.header("x-tenant"), Some("seven"));
    let asked = upstream.last_at("/notes/a%20b");
    assert_eq!((asked.method.as_str(), asked.json()), ("PUT", json!({"text": "hi"})));
}

#[tokio::test]
async fn a_server_is_asked_once_and_keeps_what_it_said() {
    let upstream = described(&document(&["/weather"])).await;
    let servers = servers(vec![server(ToolServerKind::OpenApi, upstream.url())]);
    assert_eq!(servers.all()[0].name(), "Tool Server");

    for _ in 0..3 {
        tools(&servers, "server:0").await;
    }

    assert_eq!(upstream.received_at("/openapi.json").len(), 1);
    assert_eq!(servers.all()[0].name(), "Weather");
}

#[tokio::test]
async fn who_may_not_use_a_server_does_not_find_it() {
    let upstream = described(&document(&["/weather"])).await;
    let mut open = server(ToolServerKind::OpenApi, upstream.url());
    open.grants = Grants::new([AccessGrant::PUBLIC_READ]);
    open.id = Some("open".into());
    let closed = server(ToolServerKind::OpenApi, upstream.url());
    let off = ToolServer { enabled: false, ..open.clone() };
    let servers = servers(vec![closed, open, off]);
    let ask = async |role, id: &str| {
        let tools = servers.tools(&principal(role), &[id.to_owned()]).await;
        tools.map(|tools| tools.len())
    };

    assert_eq!(ask(Role::User, "server:open").await, Ok(1));
    assert_eq!(ask(Role::User, "server:1").await, Ok(1));
    assert_eq!(ask(Role::Admin, "server:0").await, Ok(1));
    for (role, id) in [
        (Role::User, "server:0"),
        (Role::Admin, "server:2"),
        (Role::Admin, "server:9"),
        (Role::Admin, "weather"),
        (Role::Admin, ""),
    ] {
        assert_eq!(ask(role, id).await, Err(ToolsError::NoSuchTool(id.to_owned())), "{id}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_asked_at_once_again() {
    let upstream = ScriptedUpstream::start().await;
    upstream.always("/openapi.json", Reply::bytes(500, "text/plain", "no"));
    let servers = servers(vec![server(ToolServerKind::OpenApi, upstream.url())]);

    for _ in 0..3 {
        let asked = servers.tools(&principal(Role::Admin), &["server:0".to_owned()]).await;
        assert_eq!(asked.err(), Some(ToolsError::Unavailable("server:0".into())));
    }

    assert_eq!(upstream.received_at("/openapi.json").len(), 1);
}

#[tokio::test]
async fn a_document_may_be_given_or_be_elsewhere() {
    let upstream = described(&document(&["/weather"])).await;
    let other = described(&document(&["/forecast"])).await;
    let mut given = server(ToolServerKind::OpenApi, upstream.url());
    given.spec = Some(document(&["/given"]).to_string());
    let mut elsewhere = server(ToolServerKind::OpenApi, upstream.url());
    elsewhere.path = format!("{}/openapi.json", other.url());
    elsewhere.functions = vec!["forecast".into(), "more".into()];
    let servers = servers(vec![given, elsewhere]);

    assert_eq!(names(&tools(&servers, "server:0").await), ["given"]);
    assert_eq!(names(&tools(&servers, "server:1").await), ["forecast"]);

    // The key is for the one server and not for the other.
    assert_eq!(other.last_at("/openapi.json").header("authorization"), None);
}
