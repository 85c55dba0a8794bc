//! The port to an upstream.

use std::{pin::Pin, time::Duration};

use async_trait::async_trait;
use breezeway_core::{Classify, ErrorKind};
use breezeway_wire::{ChatRequest, Frame};
use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Map, Value};

use crate::fleet::{Errand, may_repeat};

/// A model as its upstream lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogEntry {
    /// The upstream's id for it, without our prefix.
    pub id: String,
    /// What people see; the id where the upstream gives no name.
    pub name: String,
    /// When it was made, as the upstream says, in seconds since 1970; 0 if it does not say.
    pub created: i64,
    /// The upstream's own JSON about it, whole.
    pub details: Map<String, Value>,
    /// Until when it is loaded, in seconds since 1970, if the upstream says that it is (Ollama's `/api/ps`).
    pub loaded_until: Option<i64>,
}

/// The frames of a streamed answer. Dropping it closes the upstream's connection.
pub type FrameStream = Pin<Box<dyn Stream<Item = Result<Frame, UpstreamError>> + Send>>;

/// Bytes of an answer as they arrive.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>> + Send>>;

/// An answer to a chat request, in OpenAI's dialect whatever the upstream speaks.
pub enum ChatReply {
    /// One JSON object, as its bytes.
    Whole(Bytes),
    /// Server-sent events. Bytes are the upstream's own where it speaks OpenAI's dialect.
    Stream(FrameStream),
}

/// An answer that is passed on as it is.
pub struct UpstreamReply {
    /// The status.
    pub status: u16,
    /// The content type, if there was one.
    pub content_type: Option<String>,
    /// The body as it arrives.
    pub body: ByteStream,
}

/// Why an upstream did not answer as asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// It answered with an error. The body is for the client: it asked, this is the answer.
    #[error("the upstream answered {status}")]
    Answered {
        /// The status, 400 or more.
        status: u16,
        /// The content type, if there was one.
        content_type: Option<String>,
        /// The body, cut at a megabyte.
        body: Bytes,
        /// `retry-after`, as it came.
        retry_after: Option<String>,
    },
    /// No connection could be made.
    #[error("the upstream cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke before the answer was complete.
    #[error("the upstream broke off: {0}")]
    Broken(String),
    /// It took longer than the connection allows.
    #[error("the upstream took longer than {0:?}")]
    TimedOut(Duration),
    /// It answered something that is not an answer to the question.
    #[error("the upstream answered wrongly: {0}")]
    Malformed(String),
    /// Its API has no such operation.
    #[error("the upstream has no {0}")]
    Unsupported(&'static str),
    /// It has as much to do as it may have, and the queue for it is full or too slow.
    #[error("the upstream has too much to do")]
    Busy {
        /// When it is worth asking again.
        retry_after: Duration,
    },
}

impl UpstreamError {
    /// Whether the upstream may have worked on the request all the same, and bill that. One that refused,
    /// or never got the question, has not.
    pub fn may_have_worked(&self) -> bool {
        !matches!(
            self,
            Self::Answered { .. } | Self::Busy { .. } | Self::Unreachable(_) | Self::Unsupported(_)
        )
    }

    /// Whether the request may go to another model: nothing of it was worked on, as far as that can be
    /// told. For those who hold a fallback ([`Route::fallback`](crate::Route)).
    pub fn may_go_elsewhere(&self) -> bool {
        may_repeat(self, false)
    }
}

impl Classify for UpstreamError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TimedOut(_) => ErrorKind::Timeout,
            Self::Unsupported(_) => ErrorKind::Invalid,
            Self::Busy { .. } => ErrorKind::Overloaded,
            _ => ErrorKind::Upstream,
        }
    }
}

/// One upstream, spoken to in its own dialect.
///
/// # Contract
/// - model names in requests are the upstream's own: the caller has taken the prefix off;
/// - a call whose future or stream is dropped closes its connection at once;
/// - `chat` answers `Stream` exactly when the request asks for one, and an error status is an error,
///   never a reply;
/// - secrets of the connection appear in no error.
#[async_trait]
pub trait Upstream: Send + Sync + 'static {
    /// Ask for its models.
    async fn catalog(&self) -> Result<Vec<CatalogEntry>, UpstreamError>;

    /// Ask a chat question.
    async fn chat(&self, request: ChatRequest) -> Result<ChatReply, UpstreamError>;

    /// Ask for embeddings: request and answer in OpenAI's dialect.
    async fn embeddings(&self, request: Map<String, Value>) -> Result<Bytes, UpstreamError>;

    /// Pass a JSON request on to a path of the upstream's OpenAI-compatible API, such as `responses`,
    /// and its answer back, streamed or not.
    async fn relay(&self, path: &str, request: Map<String, Value>) -> Result<UpstreamReply, UpstreamError>;

    /// As `chat`, for a caller who wants the conversation to stay where it is, or to know who answered.
    /// A single upstream has no choice, so what is said here is for fleets.
    async fn chat_for(&self, _errand: &Errand, request: ChatRequest) -> Result<ChatReply, UpstreamError> {
        self.chat(request).await
    }

    /// As `embeddings`; see `chat_for`.
    async fn embeddings_for(
        &self,
        _errand: &Errand,
        request: Map<String, Value>,
    ) -> Result<Bytes, UpstreamError> {
        self.embeddings(request).await
    }

    /// As `relay`; see `chat_for`.
    async fn relay_for(
        &self,
        _errand: &Errand,
        path: &str,
        request: Map<String, Value>,
    ) -> Result<UpstreamReply, UpstreamError> {
        self.relay(path, request).await
    }
}
