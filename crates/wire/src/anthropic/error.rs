use breezeway_core::{Classify, ErrorKind};

/// Why a JSON value is no Messages request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMessages {
    /// A field without which there is no request.
    #[error("field `{0}` is required")]
    Missing(&'static str),
    /// A field is there and of the wrong type.
    #[error("field `{0}` has the wrong type")]
    Wrong(&'static str),
}

impl InvalidMessages {
    /// The field it is about.
    pub fn field(self) -> &'static str {
        match self {
            Self::Missing(field) | Self::Wrong(field) => field,
        }
    }
}

impl Classify for InvalidMessages {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// What an upstream answered is no chat completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer is no chat completion")]
pub struct NotACompletion;

impl Classify for NotACompletion {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }
}
