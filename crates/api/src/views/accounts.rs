//! Accounts and sessions.

use std::{sync::Arc, time::Duration};

use breezeway_auth::{Account, Group, Session};
use breezeway_core::{UnixTime, UserId};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A signed-in account with its token.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionView {
    id: String,
    name: String,
    role: &'static str,
    email: String,
    profile_image_url: String,
    token: String,
    token_type: &'static str,
    /// Seconds since 1970; `null` for never.
    expires_at: Option<i64>,
    #[schema(value_type = Object)]
    permissions: Value,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    profile: Map<String, Value>,
}

impl SessionView {
    /// The answer to a sign-in.
    pub(crate) fn new(session: &Session, permissions: Value) -> Self {
        let account = &session.account;
        Self {
            id: account.id.to_string(),
            name: account.name.clone(),
            role: account.role.as_str(),
            email: account.email.clone(),
            profile_image_url: picture(account),
            token: session.token.expose().to_owned(),
            token_type: "Bearer",
            expires_at: session.expires_at.map(|at| at.seconds()),
            permissions,
            profile: Map::new(),
        }
    }

    /// The answer to `GET /api/v1/auths/`, which also has the profile.
    pub(crate) fn with_profile(mut self, account: &Account) -> Self {
        for name in PROFILE_FIELDS {
            let value = account.profile.get(name).cloned().unwrap_or(Value::Null);
            self.profile.insert(name.to_owned(), value);
        }
        self
    }
}

/// Fields of a profile that clients know.
pub(crate) const PROFILE_FIELDS: [&str; 6] =
    ["bio", "gender", "date_of_birth", "status_emoji", "status_message", "status_expires_at"];

/// Where an account's picture is: pictures kept here are served by a route of their own.
fn picture(account: &Account) -> String {
    match account.profile_image_url.as_str() {
        url if url.is_empty() || url.starts_with("data:") || url == "/user.png" => {
            format!("/api/v1/users/{}/profile/image", account.id)
        }
        url => url.to_owned(),
    }
}

/// The few fields others may see.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountSummary {
    id: String,
    name: String,
    role: &'static str,
    email: String,
    profile_image_url: String,
}

impl From<&Account> for AccountSummary {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.clone(),
            role: account.role.as_str(),
            email: account.email.clone(),
            profile_image_url: picture(account),
        }
    }
}

/// An account as admins see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountView {
    #[serde(flatten)]
    summary: AccountSummary,
    username: Option<String>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    profile: Map<String, Value>,
    is_active: bool,
    last_active_at: i64,
    updated_at: i64,
    created_at: i64,
    group_ids: Vec<String>,
}

impl AccountView {
    /// An account, with those of all `groups` that it is in.
    pub(crate) fn new(account: &Account, groups: &[Arc<Group>], now: UnixTime) -> Self {
        let profile = PROFILE_FIELDS
            .map(|name| (name.to_owned(), account.profile.get(name).cloned().unwrap_or(Value::Null)))
            .into_iter()
            .collect();
        Self {
            summary: account.into(),
            username: account.profile.get("username").and_then(Value::as_str).map(str::to_owned),
            profile,
            is_active: is_active(account, now),
            last_active_at: account.last_active_at.seconds(),
            updated_at: account.updated_at.seconds(),
            created_at: account.created_at.seconds(),
            group_ids: groups_of(&account.id, groups).map(|group| group.id.to_string()).collect(),
        }
    }
}

/// An account as admins see it when they look at it alone.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountDetail {
    #[serde(flatten)]
    account: AccountView,
    groups: Vec<GroupName>,
}

impl AccountDetail {
    /// An account and its groups by name.
    pub(crate) fn new(account: AccountView, groups: Vec<GroupName>) -> Self {
        Self { account, groups }
    }
}

/// An account as everybody may see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountInfo {
    #[serde(flatten)]
    summary: AccountSummary,
    bio: Option<String>,
    status_emoji: Option<String>,
    status_message: Option<String>,
    status_expires_at: Option<i64>,
    timezone: Option<String>,
    groups: Vec<GroupName>,
    is_active: bool,
    last_active_at: i64,
}

impl AccountInfo {
    /// An account and its groups by name.
    pub(crate) fn new(account: &Account, groups: Vec<GroupName>, now: UnixTime) -> Self {
        let text = |name: &str| account.profile.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            summary: account.into(),
            bio: text("bio"),
            status_emoji: text("status_emoji"),
            status_message: text("status_message"),
            status_expires_at: account.profile.get("status_expires_at").and_then(Value::as_i64),
            timezone: text("timezone"),
            groups,
            is_active: is_active(account, now),
            last_active_at: account.last_active_at.seconds(),
        }
    }
}

/// A group as its members are told of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupName {
    id: String,
    name: String,
}

/// The groups an account is in, by name.
pub(crate) fn group_names(account: &UserId, groups: &[Arc<Group>]) -> Vec<GroupName> {
    let own = groups_of(account, groups);
    own.map(|group| GroupName { id: group.id.to_string(), name: group.name.clone() }).collect()
}

fn groups_of<'a>(account: &'a UserId, groups: &'a [Arc<Group>]) -> impl Iterator<Item = &'a Arc<Group>> {
    groups.iter().filter(move |group| group.members.contains(account))
}

/// Whether an account has done something in the last three minutes, as Open WebUI counts it.
pub(crate) fn is_active(account: &Account, now: UnixTime) -> bool {
    now.since(account.last_active_at) <= Duration::from_secs(180)
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountList {
    pub(crate) users: Vec<AccountView>,
    pub(crate) total: usize,
}
