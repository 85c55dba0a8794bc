//! Accounts and sessions.

use breezeway_auth::{Account, Group, Session};
use breezeway_core::GroupId;
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
    last_active_at: i64,
    updated_at: i64,
    created_at: i64,
    group_ids: Vec<String>,
}

impl AccountView {
    /// An account and the groups it is in.
    pub(crate) fn new(account: &Account, groups: &[GroupId]) -> Self {
        let profile = PROFILE_FIELDS
            .map(|name| (name.to_owned(), account.profile.get(name).cloned().unwrap_or(Value::Null)))
            .into_iter()
            .collect();
        Self {
            summary: account.into(),
            username: account.profile.get("username").and_then(Value::as_str).map(str::to_owned),
            profile,
            last_active_at: account.last_active_at.seconds(),
            updated_at: account.updated_at.seconds(),
            created_at: account.created_at.seconds(),
            group_ids: groups.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The groups an account is in.
pub(crate) fn groups_of(account: &Account, groups: &[std::sync::Arc<Group>]) -> Vec<GroupId> {
    groups.iter().filter(|group| group.members.contains(&account.id)).map(|group| group.id.clone()).collect()
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountList {
    pub(crate) users: Vec<AccountView>,
    pub(crate) total: usize,
}
