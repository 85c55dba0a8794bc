//! The port that keeps tool servers.

use async_trait::async_trait;
use breezeway_tools::ToolServer;

/// Why tool servers were not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ToolKeeperError {
    /// One of them cannot be used.
    #[error(transparent)]
    Server(#[from] breezeway_tools::Error),
    /// They could not be kept.
    #[error(transparent)]
    Store(#[from] breezeway_core::StoreError),
}

impl breezeway_core::Classify for ToolKeeperError {
    fn kind(&self) -> breezeway_core::ErrorKind {
        match self {
            Self::Server(server) => server.kind(),
            Self::Store(store) => store.kind(),
        }
    }
}

/// Applies tool servers that an admin has changed and keeps them for the next start.
#[async_trait]
pub trait ToolKeeper: Send + Sync + 'static {
    /// Use exactly these from now on.
    async fn replace(&self, servers: Vec<ToolServer>) -> Result<(), ToolKeeperError>;
}
