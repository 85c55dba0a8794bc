use breezeway_core::{Classify, ErrorKind};
use breezeway_registry::UpstreamError;

/// The result of asking a tool server.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a tool server cannot be used. The texts are for admins; none holds a key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its address, key or a header cannot be used.
    #[error("the tool server cannot be used: {0}")]
    BadServer(String),
    /// It did not answer as it should.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// What it says about itself is not what its kind says.
    #[error("the tool server describes itself wrongly: {0}")]
    BadDescription(String),
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::BadServer(_) | Self::BadDescription(_) => ErrorKind::Invalid,
            Self::Upstream(upstream) => upstream.kind(),
        }
    }
}

impl From<breezeway_registry::Error> for Error {
    fn from(error: breezeway_registry::Error) -> Self {
        Self::BadServer(error.to_string())
    }
}
