//! A call, what it used, and how it ended.

use std::{fmt, str::FromStr, sync::Arc};

/// What is about to be asked of a model or of the search.
#[derive(Clone, Debug)]
pub struct Call {
    /// What kind of call.
    pub operation: Operation,
    /// The model, by the id this server knows it under. Never a name that only a client made up: each
    /// name is a row of the ledger.
    pub model: Arc<str>,
    /// Which connection answers, if one does.
    pub upstream: Option<Arc<str>>,
    /// What goes in, in tokens, as well as that can be told beforehand; see
    /// [`estimate_tokens`](crate::estimate_tokens).
    pub estimated_input: u64,
    /// The most that may come out, in tokens, if the request says so; zero for calls that generate nothing.
    pub max_output: Option<u64>,
}

/// What kinds of calls there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A chat, in whichever dialect.
    Chat,
    /// A completion of plain text.
    Completion,
    /// Texts made into vectors.
    Embedding,
    /// A search of the library.
    Retrieval,
    /// Bytes forwarded untouched.
    Passthrough,
}

impl Operation {
    /// The word of the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Retrieval => "retrieval",
            Self::Passthrough => "passthrough",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no operation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no operation")]
pub struct UnknownOperation(String);

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Self, UnknownOperation> {
        let all = [Self::Chat, Self::Completion, Self::Embedding, Self::Retrieval, Self::Passthrough];
        all.into_iter().find(|it| it.as_str() == text).ok_or_else(|| UnknownOperation(text.to_owned()))
    }
}

/// How many tokens a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// What went in, the cached part included.
    pub input: u64,
    /// What came out, reasoning included.
    pub output: u64,
    /// The part of the input that the upstream had cached.
    pub cached: u64,
}

impl Tokens {
    /// Input and output together, which is what limits count.
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a whole answer.
    Completed,
    /// With an error of the upstream, before or within the answer.
    Failed,
    /// Because the client left.
    Aborted,
    /// Before it began: it was not allowed.
    Refused,
}
