//! The audit log: who did what to accounts, keys, groups and settings, and who looked at what is not
//! theirs.
//!
//! Entries are added and never changed. They name accounts by id *and* address, because an account may
//! be gone when somebody asks; they hold no secret and nothing of what was written or read.

mod log;
mod memory;

use std::{fmt, net::IpAddr, str::FromStr};

use async_trait::async_trait;
use breezeway_core::{Principal, StoreError, UnixTime, UserId};
use serde_json::{Map, Value};

use crate::Account;

pub use self::{log::AuditLog, memory::MemoryAudit};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Somebody signed in.
    SignIn,
    /// A sign-in was refused.
    SignInFailed,
    /// A sign-in was refused unseen, because there had been too many.
    Throttled,
    /// A session was ended by its owner.
    SignOut,
    /// All sessions of an account were ended by an admin.
    SessionsRevoked,
    /// Somebody made an account for themselves.
    SignUp,
    /// A password was changed.
    PasswordChanged,
    /// An API key was made.
    KeyCreated,
    /// The rules of an API key were changed.
    KeyUpdated,
    /// An API key was deleted.
    KeyRevoked,
    /// An account's role was changed.
    RoleChanged,
    /// An admin made an account.
    AccountCreated,
    /// An admin changed an account.
    AccountUpdated,
    /// An account was deleted.
    AccountDeleted,
    /// A group was made.
    GroupCreated,
    /// A group's name, permissions or members were changed.
    GroupUpdated,
    /// A group was deleted.
    GroupDeleted,
    /// Settings of the server were changed.
    SettingsChanged,
    /// Connections to upstreams were changed.
    ConnectionsChanged,
    /// A file, collection, model, chat or folder was deleted, or all chats of somebody.
    Deleted,
    /// A chat was shared with everybody who has an account.
    Shared,
    /// A chat was shared no longer.
    Unshared,
    /// Entries of this log were deleted, for they were older than they are to be kept.
    LogTrimmed,
    /// Everybody's files or the whole index were deleted.
    Reset,
    /// An admin looked at something that is another's and not shared with them.
    ForeignRead,
}

impl Action {
    /// All there are.
    pub const ALL: [Self; 25] = [
        Self::SignIn,
        Self::SignInFailed,
        Self::Throttled,
        Self::SignOut,
        Self::SessionsRevoked,
        Self::SignUp,
        Self::PasswordChanged,
        Self::KeyCreated,
        Self::KeyUpdated,
        Self::KeyRevoked,
        Self::RoleChanged,
        Self::AccountCreated,
        Self::AccountUpdated,
        Self::AccountDeleted,
        Self::GroupCreated,
        Self::GroupUpdated,
        Self::GroupDeleted,
        Self::SettingsChanged,
        Self::ConnectionsChanged,
        Self::Deleted,
        Self::Shared,
        Self::Unshared,
        Self::LogTrimmed,
        Self::Reset,
        Self::ForeignRead,
    ];

    /// The word of the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignInFailed => "sign_in_failed",
            Self::Throttled => "throttled",
            Self::SignOut => "sign_out",
            Self::SessionsRevoked => "sessions_revoked",
            Self::SignUp => "sign_up",
            Self::PasswordChanged => "password_changed",
            Self::KeyCreated => "key_created",
            Self::KeyUpdated => "key_updated",
            Self::KeyRevoked => "key_revoked",
            Self::RoleChanged => "role_changed",
            Self::AccountCreated => "account_created",
            Self::AccountUpdated => "account_updated",
            Self::AccountDeleted => "account_deleted",
            Self::GroupCreated => "group_created",
            Self::GroupUpdated => "group_updated",
            Self::GroupDeleted => "group_deleted",
            Self::SettingsChanged => "settings_changed",
            Self::ConnectionsChanged => "connections_changed",
            Self::Deleted => "deleted",
            Self::Shared => "shared",
            Self::Unshared => "unshared",
            Self::LogTrimmed => "log_trimmed",
            Self::Reset => "reset",
            Self::ForeignRead => "foreign_read",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no action.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no action of the audit log")]
pub struct UnknownAction(String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let known = Self::ALL.into_iter().find(|action| action.as_str() == text);
        known.ok_or_else(|| UnknownAction(text.chars().take(64).collect()))
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account.
    pub id: UserId,
    /// Its address at that time.
    pub email: String,
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        Self { id: principal.user.clone(), email: principal.email.as_ref().to_owned() }
    }
}

impl From<&Account> for Actor {
    fn from(account: &Account) -> Self {
        Self { id: account.id.clone(), email: account.email.clone() }
    }
}

/// What it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What kind of thing: `account`, `api_key`, `group`, `file`, `collection`, `settings`, …
    pub kind: String,
    /// Its id, or its name where it has none.
    pub id: String,
}

impl Target {
    /// A thing of a kind.
    pub fn new(kind: &str, id: impl fmt::Display) -> Self {
        Self { kind: kind.to_owned(), id: id.to_string() }
    }
}

/// Something that has happened, on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// When.
    pub at: UnixTime,
    /// What was done.
    pub action: Action,
    /// Who did it; `None` for strangers.
    pub actor: Option<Actor>,
    /// What it was done to.
    pub target: Option<Target>,
    /// Where the request came from, if that is known.
    pub address: Option<IpAddr>,
    /// The request's id, which log lines have too.
    pub request_id: Option<String>,
    /// What else there is to say: names and old and new values, never a secret.
    pub detail: Map<String, Value>,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its number: later entries have higher ones.
    pub id: u64,
    /// What has happened.
    pub event: AuditEvent,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Not before this time.
    pub since: Option<UnixTime>,
    /// Not at or after this time.
    pub until: Option<UnixTime>,
    /// Only what this account did.
    pub actor: Option<UserId>,
    /// Only this.
    pub action: Option<Action>,
    /// Only what was done to the thing with this id.
    pub target: Option<String>,
    /// Where the list begins, and in which direction it runs.
    pub from: AuditCursor,
    /// The most entries to answer.
    pub limit: u64,
}

/// Where a list of entries begins, and in which direction it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditCursor {
    /// Latest first, from the entry before this one; all with `None`.
    Before(Option<u64>),
    /// Earliest first, from the entry after this one; all with 0.
    After(u64),
}

impl Default for AuditCursor {
    fn default() -> Self {
        Self::Before(None)
    }
}

/// Where the log is kept.
///
/// # Contract
/// - `append` writes all events or none, and gives them rising numbers in their order, above all
///   numbers that were ever given;
/// - what it has written survives a crash after it answered, and cannot be changed, nor deleted but by
///   `forget`;
/// - `forget` deletes entries that are older than `before`, those with the lowest numbers first and at most
///   `most` of them, never the latest of all, and answers how many;
/// - `entries` answers those that satisfy every part of the query, in its direction, at most `limit`.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Add events.
    async fn append(&self, events: &[AuditEvent]) -> Result<(), StoreError>;

    /// List entries.
    async fn entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError>;

    /// Delete old entries.
    async fn forget(&self, before: UnixTime, most: u64) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_word_of_its_own_and_reads_back() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
        assert!("sign in".parse::<Action>().is_err());
    }
}
