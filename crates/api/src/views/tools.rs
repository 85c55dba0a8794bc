//! Tool servers as clients send and read them.

use std::collections::BTreeMap;

use breezeway_core::{AccessGrant, Grantee, Grants, Permission, Secret};
use breezeway_tools::{Served, ToolServer, ToolServerKind};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::grants;

/// Fields that hold secrets: never shown, kept elsewhere.
const SECRET: [&str; 2] = ["key", "headers"];

/// A field of a tool server that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be {expected}")]
pub struct BadToolServer {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

/// A tool server that the caller may use.
#[derive(Serialize, ToSchema)]
pub(crate) struct ToolView {
    /// What `tool_ids` names it by.
    id: String,
    user_id: String,
    name: String,
    #[schema(value_type = Object)]
    meta: Value,
    has_user_valves: bool,
    updated_at: i64,
    created_at: i64,
}

impl ToolView {
    pub(crate) fn of(served: &Served) -> Self {
        Self {
            id: served.id(),
            user_id: served.id(),
            name: served.name(),
            meta: json!({"description": served.description()}),
            has_user_valves: false,
            updated_at: 0,
            created_at: 0,
        }
    }
}

/// A tool server from the object of the API.
///
/// # Errors
/// If a field that means something here cannot be used.
pub fn tool_server(mut sent: Map<String, Value>) -> Result<ToolServer, BadToolServer> {
    let bad = |field, expected| BadToolServer { field, expected };
    let [key, headers] = SECRET.map(|name| sent.shift_remove(name).unwrap_or_default());
    let text = |fields: &Map<String, Value>, name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let object = |name: &str| sent.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let (config, info) = (object("config"), object("info"));

    let kind = match text(&sent, "type").as_deref() {
        None | Some("openapi") => ToolServerKind::OpenApi,
        Some("mcp") => ToolServerKind::Mcp,
        Some(_) => return Err(bad("type", "`openapi` or `mcp`")),
    };
    // The other ways of Open WebUI hand the caller's own credentials to the server.
    let has_key = match text(&sent, "auth_type").as_deref() {
        None | Some("bearer") => true,
        Some("none") => false,
        Some(_) => {
            return Err(bad("auth_type", "`bearer` or `none`: a caller's credentials are not passed on"));
        }
    };
    let key = match key {
        Value::Null => None,
        Value::String(key) => Some(Secret::from(key)).filter(|key| has_key && !key.is_empty()),
        _ => return Err(bad("key", "a text")),
    };
    let headers = match headers {
        Value::Null => BTreeMap::new(),
        Value::String(text) if text.trim().is_empty() => BTreeMap::new(),
        Value::Object(headers) => headers
            .into_iter()
            .map(|(name, value)| Some((name, Secret::from(value.as_str()?))))
            .collect::<Option<_>>()
            .ok_or(bad("headers", "an object of texts"))?,
        _ => return Err(bad("headers", "an object of texts")),
    };
    let url = text(&sent, "url").ok_or(bad("url", "an address"))?;
    let is_inline = text(&sent, "spec_type").as_deref() == Some("json");
    let mut server = ToolServer::new(kind, url.trim_end_matches('/'));
    server.path = text(&sent, "path").unwrap_or(server.path);
    server.spec = text(&sent, "spec").filter(|_| is_inline);
    (server.key, server.headers) = (key, headers);
    server.enabled = config.get("enable").and_then(Value::as_bool).unwrap_or(true);
    (server.id, server.name) = (text(&info, "id"), text(&info, "name"));
    server.description = text(&info, "description");
    server.functions = names(config.get("function_name_filter_list"));
    server.grants = grants_of(&config);
    server.sent = sent;
    Ok(server)
}

/// A list, or names with commas between.
fn names(value: Option<&Value>) -> Vec<String> {
    let texts: Vec<&str> = match value {
        Some(Value::String(text)) => text.split(',').collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `access_grants`, or the `access_control` of older settings. Where neither says anything the server is
/// for admins: older settings meant everybody by that, and what a tool can do is not for everybody.
fn grants_of(config: &Map<String, Value>) -> Grants {
    if let Some(Value::Array(lines)) = config.get("access_grants") {
        return grants::parse(lines);
    }
    let list = |kind: &str| {
        let ids = config.get("access_control").and_then(|control| control["read"][kind].as_array());
        ids.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let users = list("user_ids").into_iter().filter_map(|id| Some(Grantee::User(id.parse().ok()?)));
    let groups = list("group_ids").into_iter().filter_map(|id| Some(Grantee::Group(id.parse().ok()?)));
    users.chain(groups).map(|grantee| AccessGrant { grantee, permission: Permission::Read }).collect()
}

/// A tool server as admins see it, secrets hidden by `mask`.
pub(crate) fn tool_server_view(server: &ToolServer, mask: impl Fn(Option<&Secret>) -> String) -> Value {
    let mut shown = server.sent.clone();
    shown.insert("key".into(), mask(server.key.as_ref()).into());
    if !server.headers.is_empty() {
        let headers = server.headers.iter().map(|(name, value)| (name.clone(), mask(Some(value)).into()));
        shown.insert("headers".into(), Value::Object(headers.collect()));
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sent: Value) -> Result<ToolServer, BadToolServer> {
        tool_server(sent.as_object().unwrap().clone())
    }

    #[test]
    fn a_server_is_read_from_the_anchors_fields() {
        let server = read(json!({
            "url": "http://h:1/", "path": "spec.json", "type": "openapi", "auth_type": "bearer", "key": "sk",
            "headers": {"x-a": "b"}, "info": {"id": "w", "name": "Weather", "description": "d"},
            "config": {"enable": true, "function_name_filter_list": "a, b",
                "access_grants": [{"principal_type": "user", "principal_id": "*", "permission": "read"}]},
            "more": 1,
        }))
        .unwrap();

        assert_eq!((server.url.as_str(), server.path.as_str()), ("http://h:1", "spec.json"));
        assert_eq!(server.functions, ["a", "b"]);
        assert_eq!(server.grants, Grants::new([AccessGrant::PUBLIC_READ]));
        assert_eq!((server.id.as_deref(), server.name.as_deref()), (Some("w"), Some("Weather")));
        assert_eq!(server.key.as_ref().map(Secret::expose), Some("sk"));
        assert!(!server.sent.contains_key("key") && !server.sent.contains_key("headers"));
        assert_eq!(server.sent["more"], 1);
    }

    #[test]
    fn a_server_is_for_admins_unless_it_says_otherwise() {
        for config in [json!({}), json!({"access_control": null}), json!({"access_grants": []})] {
            let server = read(json!({"url": "http://h", "config": config})).unwrap();
            assert!(server.grants.is_empty() && server.enabled);
        }
        let older = json!({"access_control": {"read": {"user_ids": ["u"], "group_ids": ["g"]}}});
        assert_eq!(read(json!({"url": "http://h", "config": older})).unwrap().grants.iter().count(), 2);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let check = |sent: Value, field: &str| {
            let error = read(sent.clone()).expect_err("it is refused");
            assert_eq!(error.field, field, "{sent}");
        };

        check(json!({}), "url");
        check(json!({"url": "http://h", "type": "ftp"}), "type");
        check(json!({"url": "http://h", "auth_type": "session"}), "auth_type");
        check(json!({"url": "http://h", "key": 7}), "key");
        check(json!({"url": "http://h", "headers": {"a": 1}}), "headers");
    }
}
