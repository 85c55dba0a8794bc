//! The port to whoever looks for contradictions in what is kept.

use async_trait::async_trait;
use breezeway_core::StoreError;

/// Contradictions, one sentence each, a few of each kind at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// In the database.
    pub database: Vec<String>,
    /// Between the database and the uploaded bytes.
    pub blobs: Vec<String>,
    /// Between the database and the search index.
    pub index: Vec<String>,
}

impl Findings {
    /// Whether all is well.
    pub fn is_empty(&self) -> bool {
        self.database.is_empty() && self.blobs.is_empty() && self.index.is_empty()
    }
}

/// Looks for contradictions.
#[async_trait]
pub trait Checkup: Send + Sync + 'static {
    /// Look for them. Reads everything.
    async fn check(&self) -> Result<Findings, StoreError>;

    /// Look for them and repair what can be; answers what was found.
    async fn repair(&self) -> Result<Findings, StoreError>;
}
