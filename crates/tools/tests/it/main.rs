//! Tool servers over real sockets: how they are asked, and what they may do to whoever asks.

mod hostile;
mod mcp;
mod openapi;

use breezeway_chat::{Tool, ToolFailure, ToolSource};
use breezeway_core::{Credential, Principal, Role};
use breezeway_testkit::ScriptedUpstream;
use breezeway_tools::{ToolServer, ToolServerKind, ToolServers};
use breezeway_upstream::HttpClient;
use serde_json::{Value, json};

const KEY: &str = "sk-very-secret";

fn principal(role: Role) -> Principal {
    Principal {
        user: "ada".parse().unwrap(),
        role,
        name: "Ada".into(),
        email: "ada@example.org".into(),
        groups: [].into(),
        credential: Credential::Local,
        rules: None,
    }
}

fn servers(list: Vec<ToolServer>) -> ToolServers {
    let servers = ToolServers::new(HttpClient::default());
    servers.set(list).unwrap();
    servers
}

/// A server with a key.
fn server(kind: ToolServerKind, url: String) -> ToolServer {
    ToolServer { key: Some(KEY.into()), ..ToolServer::new(kind, url) }
}

async fn tools(servers: &ToolServers, id: &str) -> Vec<Box<dyn Tool>> {
    servers.tools(&principal(Role::Admin), &[id.to_owned()]).await.unwrap()
}

fn names(tools: &[Box<dyn Tool>]) -> Vec<&str> {
    tools.iter().map(|tool| tool.function().name.as_str()).collect()
}

async fn call(tools: &[Box<dyn Tool>], name: &str, arguments: Value) -> Result<String, ToolFailure> {
    let tool = tools.iter().find(|tool| tool.function().name == name).expect("the tool is offered");
    tool.call(arguments.as_object().unwrap().clone()).await
}

/// A document with one operation for each path.
fn document(paths: &[&str]) -> Value {
    let operation = |path: &str| {
        let name = path.trim_start_matches('/').split('/').next().unwrap().to_owned();
        let parameters = json!([{"name": "city", "in": "query", "schema": {"type": "string"}}]);
        (path.to_owned(), json!({"get": {"operationId": name, "parameters": parameters}}))
    };
    let paths: serde_json::Map<_, _> = paths.iter().map(|path| operation(path)).collect();
    json!({"openapi": "3.1.0", "info": {"title": "Weather"}, "paths": paths})
}

/// A scripted server whose document says this.
async fn described(document: &Value) -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    upstream.always("/openapi.json", breezeway_testkit::Reply::json(200, document));
    upstream
}
