//! Access grants as clients send and read them.

use breezeway_core::{AccessGrant, Grantee, Grants, Permission, UnixTime};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One line of an access list.
#[derive(Serialize, ToSchema)]
pub(crate) struct GrantView {
    /// Stable as long as the line is.
    id: String,
    resource_type: &'static str,
    resource_id: String,
    /// `user` or `group`.
    principal_type: &'static str,
    /// An id, or `*` for everyone.
    principal_id: String,
    /// `read` or `write`.
    permission: &'static str,
    created_at: i64,
}

/// The lines of a thing's access list.
pub(crate) fn views(
    grants: &Grants,
    resource_type: &'static str,
    resource_id: &str,
    at: UnixTime,
) -> Vec<GrantView> {
    grants
        .iter()
        .map(|grant| {
            let (principal_type, principal_id) = match &grant.grantee {
                Grantee::Everyone => ("user", "*"),
                Grantee::User(user) => ("user", user.as_str()),
                Grantee::Group(group) => ("group", group.as_str()),
            };
            let permission = grant.permission.as_str();
            GrantView {
                id: format!("{resource_id}:{principal_type}:{principal_id}:{permission}"),
                resource_type,
                resource_id: resource_id.to_owned(),
                principal_type,
                principal_id: principal_id.to_owned(),
                permission,
                created_at: at.seconds(),
            }
        })
        .collect()
}

/// Read an access list. Lines of an unknown kind are dropped, as clients of this API expect.
pub(crate) fn parse(lines: &[Value]) -> Grants {
    lines.iter().filter_map(line).collect()
}

fn line(value: &Value) -> Option<AccessGrant> {
    let id = value["principal_id"].as_str()?;
    let grantee = match (value["principal_type"].as_str()?, id) {
        ("user", "*") => Grantee::Everyone,
        ("user", id) => Grantee::User(id.parse().ok()?),
        ("group", id) => Grantee::Group(id.parse().ok()?),
        _ => return None,
    };
    let permission = match value["permission"].as_str()? {
        "read" => Permission::Read,
        "write" => Permission::Write,
        _ => return None,
    };
    Some(AccessGrant { grantee, permission })
}
