use breezeway_core::{Classify, ErrorKind, LaneError, StoreError};
use breezeway_embedding::EmbedError;

/// The result of a search.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a search.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lexical index failed; deleting its folder makes it anew from the chunk log.
    #[error("the lexical index failed to {action}")]
    Index {
        /// What was attempted.
        action: &'static str,
        /// The index's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The question could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The search lane did not take the work.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The chunk log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// For `map_err`: the index failed while doing `action`.
    pub(crate) fn index<E>(action: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Index { action, source: source.into() }
    }
}

impl Classify for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Index { .. } => ErrorKind::Internal,
            Self::Embed(embed) => embed.kind(),
            Self::Lane(lane) => lane.kind(),
            Self::Store(store) => store.kind(),
        }
    }
}
