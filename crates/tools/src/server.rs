//! Tool servers as an admin configures them.

use std::collections::BTreeMap;

use breezeway_core::{Grants, Permission, Principal, Secret, UserId};
use serde_json::{Map, Value};

/// Which protocol a tool server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ToolServerKind {
    /// An HTTP API with an OpenAPI document.
    #[default]
    OpenApi,
    /// The Model Context Protocol over streamable HTTP.
    Mcp,
}

/// A configured tool server.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolServer {
    /// Which protocol it speaks.
    pub kind: ToolServerKind,
    /// Its base URL; for MCP the address itself.
    pub url: String,
    /// Where its OpenAPI document is: a path below the URL, or a URL of its own.
    pub path: String,
    /// The document itself, if it is not to be fetched.
    pub spec: Option<String>,
    /// Its key, sent as a bearer token.
    pub key: Option<Secret>,
    /// Headers added to every request.
    pub headers: BTreeMap<String, Secret>,
    /// Whether it is used at all.
    pub enabled: bool,
    /// The word for it in its id; its place in the list otherwise.
    pub id: Option<String>,
    /// What people see; what it calls itself otherwise.
    pub name: Option<String>,
    /// What it is for; what it says itself otherwise.
    pub description: Option<String>,
    /// Its functions that are offered, all if the list is empty. A name behind `!` is left out.
    pub functions: Vec<String>,
    /// Who may use it, beside admins.
    pub grants: Grants,
    /// Its configuration as it was sent, without secrets, kept for clients.
    pub sent: Map<String, Value>,
}

impl ToolServer {
    /// An enabled server for admins, without a key.
    pub fn new(kind: ToolServerKind, url: impl Into<String>) -> Self {
        Self {
            kind,
            url: url.into(),
            path: "openapi.json".into(),
            spec: None,
            key: None,
            headers: BTreeMap::new(),
            enabled: true,
            id: None,
            name: None,
            description: None,
            functions: Vec::new(),
            grants: Grants::default(),
            sent: Map::new(),
        }
    }

    /// Whether the caller may use it.
    pub fn is_for(&self, principal: &Principal) -> bool {
        // Nobody owns a server.
        let nobody = UserId::mint();
        self.enabled && self.grants.allow(principal, &nobody, Permission::Read)
    }

    /// Whether one of its functions is offered.
    pub(crate) fn offers(&self, function: &str) -> bool {
        let (without, with): (Vec<&str>, Vec<&str>) =
            self.functions.iter().map(String::as_str).partition(|name| name.starts_with('!'));
        !without.iter().any(|name| &name[1..] == function) && (with.is_empty() || with.contains(&function))
    }

    /// All that must not be shown to anybody.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.key.iter().chain(self.headers.values()).filter(|secret| !secret.is_empty()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_offered_by_name() {
        let check = |functions: &[&str], expected: [bool; 2]| {
            let mut server = ToolServer::new(ToolServerKind::OpenApi, "http://x");
            server.functions = functions.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(["a", "b"].map(|name| server.offers(name)), expected, "{functions:?}");
        };

        check(&[], [true, true]);
        check(&["a"], [true, false]);
        check(&["!a"], [false, true]);
        check(&["a", "!a"], [false, false]);
    }
}
