//! The port to whoever answers for models that no Ollama connection has.

use async_trait::async_trait;
use breezeway_core::{ErrorKind, Principal};
use breezeway_registry::{ChatReply, UpstreamError};
use breezeway_usage::Refusal;
use breezeway_wire::ChatRequest;
use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};

use super::{body::PassBody, failure::Failure};

/// Answers for the models of all other connections and for custom ones.
///
/// # Contract
/// - a model that is not for the caller is [`NoSuchModel`](ElsewhereError::NoSuchModel), as one that does
///   not exist is;
/// - every call is counted, and answered in OpenAI's dialect.
#[async_trait]
pub trait Elsewhere: Send + Sync + 'static {
    /// Whether the caller may use a model of this name.
    fn has(&self, principal: &Principal, model: &str) -> bool;

    /// Answer a chat.
    async fn chat(&self, principal: &Principal, request: ChatRequest) -> Result<ChatReply, ElsewhereError>;

    /// Embed texts.
    async fn embed(
        &self,
        principal: &Principal,
        request: Map<String, Value>,
    ) -> Result<Bytes, ElsewhereError>;

    /// Answer a `POST` of JSON to a path below `/v1`, failures included.
    async fn v1(&self, principal: &Principal, path: &str, body: Bytes) -> Response<PassBody>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElsewhereError {
    /// There is no such model for the caller.
    #[error("there is no such model")]
    NoSuchModel,
    /// The caller's key has used what it may.
    #[error(transparent)]
    Limit(#[from] Refusal),
    /// The upstream failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Anything else; the text is for the caller.
    #[error("{text}")]
    Other {
        /// What kind of failure it is.
        kind: ErrorKind,
        /// What the caller is told.
        text: String,
    },
}

impl Failure {
    /// A failure elsewhere as Ollama's clients read it.
    pub(super) fn elsewhere(error: ElsewhereError, model: &str) -> Self {
        match error {
            ElsewhereError::NoSuchModel => Self::UnknownModel(model.to_owned()),
            ElsewhereError::Limit(refusal) => Self::Limit(refusal),
            ElsewhereError::Upstream(UpstreamError::Answered { status, body, retry_after, .. }) => {
                // Ollama's clients read a text under `error`, where OpenAI's dialect has an object.
                let body = breezeway_upstream::message_in(&body).into();
                let content_type = Some("text/plain".to_owned());
                Self::Upstream(UpstreamError::Answered { status, content_type, body, retry_after })
            }
            ElsewhereError::Upstream(error) => Self::Upstream(error),
            ElsewhereError::Other { kind, text } => Self::Elsewhere { kind, text },
        }
    }
}
