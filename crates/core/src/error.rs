//! What kinds of failure there are, for whoever has to answer for one.
//!
//! # Design
//! Every crate has its own error type that says what was attempted. What all of them share is only
//! how a caller should react, and that is this short list; the HTTP layer maps it to a status once.
//! A new kind is worth a discussion.

use std::error::Error;

use crate::UserId;

/// How a caller should read a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request makes no sense as it stands.
    Invalid,
    /// The caller did not say who they are, or not convincingly.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// The thing does not exist, or not for this caller.
    NotFound,
    /// The thing is in a state that does not allow this.
    Conflict,
    /// The request or the thing is larger than a limit.
    TooLarge,
    /// The caller asked too often.
    RateLimited,
    /// The server has too much to do right now.
    Overloaded,
    /// Something this server depends on failed or could not be reached.
    Upstream,
    /// Something took longer than its deadline.
    Timeout,
    /// A fault of this server.
    Internal,
}

/// An error that knows its kind.
pub trait Classify {
    /// How a caller should read this failure.
    fn kind(&self) -> ErrorKind;
}

/// What can go wrong in a store, whatever it is built on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A uniqueness rule stood in the way; the text names it.
    #[error("`{0}` already exists")]
    Taken(&'static str),
    /// Nothing more may belong to this account: it is being deleted, or is gone.
    #[error("account `{0}` is being deleted or gone")]
    Departed(UserId),
    /// The store has more to do than its queue holds.
    #[error("the store is overloaded")]
    Overloaded,
    /// The store failed.
    #[error("the store failed to {action}")]
    Failed {
        /// What was attempted, as a verb and its object.
        action: String,
        /// The driver's own words.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What was read does not make sense: a newer or damaged database.
    #[error("the store holds an unreadable {what}: `{value}`")]
    Unreadable {
        /// Which column or record.
        what: &'static str,
        /// The value found.
        value: String,
    },
}

impl StoreError {
    /// A failure of the driver while doing `action`.
    pub fn failed(action: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed { action: action.into(), source: source.into() }
    }
}

impl Classify for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Taken(_) => ErrorKind::Conflict,
            Self::Departed(_) => ErrorKind::Unauthenticated,
            Self::Overloaded => ErrorKind::Overloaded,
            Self::Failed { .. } | Self::Unreadable { .. } => ErrorKind::Internal,
        }
    }
}
