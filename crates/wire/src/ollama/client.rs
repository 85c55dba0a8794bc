//! Clients that speak Ollama's dialect, over models that speak OpenAI's.

mod answer;
mod embed;
mod request;
mod stream;

use breezeway_core::{Classify, ErrorKind};

pub use self::{
    answer::{Form, Told, answer},
    embed::{embed_answer, embed_request},
    request::{chat_of_chat, chat_of_generate},
    stream::LineTranslator,
};

/// Why a request of Ollama's dialect cannot be put into OpenAI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` {why}")]
pub struct Unusable {
    /// The field it is about.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Classify for Unusable {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

#[cfg(test)]
mod tests;
