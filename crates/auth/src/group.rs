//! Groups: named sets of accounts, with permissions of their own.

use std::collections::BTreeSet;

use breezeway_core::{GroupId, UnixTime, UserId};
use serde_json::{Map, Value};

/// A named set of accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Who made it.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Permissions its members have beside the defaults: a tree of booleans, or `None`.
    pub permissions: Option<Value>,
    /// Free data of clients.
    pub data: Option<Map<String, Value>>,
    /// Free data of clients.
    pub meta: Option<Map<String, Value>>,
    /// Its members.
    pub members: BTreeSet<UserId>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
}

/// What to set of a group.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its permissions.
    pub permissions: Option<Value>,
    /// Its members.
    pub members: Option<BTreeSet<UserId>>,
}
