//! Requests that cannot be put into another dialect.

use breezeway_core::{Classify, ErrorKind};

/// Why a request cannot be put into the dialect of whoever is to answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` {why}")]
pub struct Unusable {
    /// The field it is about.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Classify for Unusable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
