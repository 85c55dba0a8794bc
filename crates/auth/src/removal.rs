//! Deleting an account takes many steps, and a process may stop between any two of them.

use breezeway_core::UserId;

/// A deletion of an account that has begun and not ended. It is written down with the first step, so
/// that whoever goes on, be it an hour later, goes on in the way it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The account that goes.
    pub account: UserId,
    /// The account that gets what the first one has; with `None` that is deleted.
    pub heir: Option<UserId>,
    /// The admin who wants it.
    pub by: UserId,
}
