use breezeway_core::{Classify, ErrorKind, LaneError};

/// What can go wrong when text is turned into vectors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// No embedding model is there; the text says what was looked for and where.
    #[error("no embedding model is available: {0}")]
    Unavailable(String),
    /// A remote embedder could not be reached, or answered with an error worth trying again.
    #[error("the embedding service could not answer: {0}")]
    Transient(String),
    /// A remote embedder refused for good.
    #[error("the embedding service refused: {0}")]
    Refused(String),
    /// The model answered with vectors that break the port's contract.
    #[error("the embedding model answered wrongly: {0}")]
    Malformed(String),
    /// The model itself failed.
    #[error("the embedding model failed")]
    Model(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The lane that runs the model did not take the work.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

impl EmbedError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_) | Self::Unavailable(_) | Self::Lane(_))
    }
}

impl Classify for EmbedError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) | Self::Transient(_) | Self::Refused(_) | Self::Malformed(_) => {
                ErrorKind::Upstream
            }
            Self::Model(_) => ErrorKind::Internal,
            Self::Lane(lane) => lane.kind(),
        }
    }
}
