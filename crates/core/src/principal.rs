//! Who is asking.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{ApiKeyId, GroupId, KeyRules, SessionId, UserId};

/// What an account may do in general.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything.
    Admin,
    /// What grants and permissions allow.
    User,
    /// Nothing but looking at the own session, until an admin says otherwise.
    Pending,
}

impl Role {
    /// The word of the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
            Self::Pending => "pending",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no role.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; use `admin`, `user` or `pending`")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "admin" => Ok(Self::Admin),
            "user" => Ok(Self::User),
            "pending" => Ok(Self::Pending),
            other => Err(UnknownRole(other.to_owned())),
        }
    }
}

/// How a caller proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A session token from a sign-in: a person is there.
    Session(SessionId),
    /// An API key: a program is there.
    ApiKey(ApiKeyId),
    /// Nothing was asked for: single-user mode, the command line, or an embedding program.
    Local,
}

/// The authenticated caller of one request.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account.
    pub user: UserId,
    /// Its role.
    pub role: Role,
    /// Its display name.
    pub name: Arc<str>,
    /// Its address, in lower case.
    pub email: Arc<str>,
    /// The groups it belongs to.
    pub groups: Arc<[GroupId]>,
    /// How it proved itself.
    pub credential: Credential,
    /// What the API key it came with may do less than the account, if it narrows anything.
    pub rules: Option<Arc<KeyRules>>,
}

impl Principal {
    /// Whether the account may do everything.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whether the key, if one was used, allows a model. The account's own rights are another question.
    pub fn key_allows_model(&self, model: &str) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.allows_model(model))
    }

    /// Whether the key, if one was used, allows a collection.
    pub fn key_allows_collection(&self, collection: &str) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.allows_collection(collection))
    }
}
