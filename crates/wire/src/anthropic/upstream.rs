//! The other way round: chats put into Anthropic's dialect for upstreams that speak nothing else, and
//! their answers put into OpenAI's.
//!
//! What a model thought is signed there, and has to come back with its signature while its tools are at
//! work. So answers carry it twice: as `reasoning_content`, for people, and as `thinking_blocks`, which
//! clients that send messages back as they got them (LiteLLM's name for it) keep.

mod answer;
mod content;
mod request;
mod stream;
mod thinking;

use breezeway_core::{Classify, ErrorKind};

pub use self::{answer::completion, request::messages_request, stream::EventTranslator};

/// What is no message of Anthropic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's answer is no message")]
pub struct NotAMessage;

impl Classify for NotAMessage {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }
}

#[cfg(test)]
mod tests;
