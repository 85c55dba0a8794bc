//! Groups.

use breezeway_auth::Group;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A group.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupView {
    id: String,
    user_id: String,
    name: String,
    description: String,
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    meta: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    permissions: Option<Value>,
    member_count: usize,
    user_ids: Vec<String>,
    created_at: i64,
    updated_at: i64,
}

/// A group as its members may see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupInfo {
    id: String,
    user_id: String,
    name: String,
    description: String,
    member_count: usize,
    created_at: i64,
    updated_at: i64,
}

impl From<&Group> for GroupInfo {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id.to_string(),
            user_id: group.owner.to_string(),
            name: group.name.clone(),
            description: group.description.clone(),
            member_count: group.members.len(),
            created_at: group.created_at.seconds(),
            updated_at: group.updated_at.seconds(),
        }
    }
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id.to_string(),
            user_id: group.owner.to_string(),
            name: group.name.clone(),
            description: group.description.clone(),
            data: group.data.clone(),
            meta: group.meta.clone(),
            permissions: group.permissions.clone(),
            member_count: group.members.len(),
            user_ids: group.members.iter().map(ToString::to_string).collect(),
            created_at: group.created_at.seconds(),
            updated_at: group.updated_at.seconds(),
        }
    }
}
