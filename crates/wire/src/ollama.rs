//! Ollama's own dialect: OpenAI requests put into it, its answers put into OpenAI's.
//!
//! Ids and times are given by the caller: conversions ask no clock and roll no dice.

pub mod client;

mod answer;
mod embed;
mod request;
mod stream;

use breezeway_core::{Classify, ErrorKind};

pub use self::{
    answer::completion,
    embed::{Encoding, embed_request, embeddings},
    request::chat_request,
    stream::StreamTranslator,
};

/// What an answer in OpenAI's dialect is called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The answer's id.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// The model as the client knows it.
    pub model: String,
}

/// An answer that is not what Ollama documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer of Ollama has no `{0}`")]
pub struct Malformed(pub &'static str);

impl Classify for Malformed {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }
}

#[cfg(test)]
mod tests;
