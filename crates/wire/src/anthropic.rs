//! Anthropic's Messages API over models that speak OpenAI's dialect.
//!
//! The two differ most in where things stand: Anthropic keeps the system prompt beside the messages,
//! and text, thinking, tool calls and their results as blocks of one message's content.

pub mod upstream;

mod answer;
mod error;
mod request;
mod stream;

pub use self::{
    answer::message,
    error::{InvalidMessages, NotACompletion},
    request::chat_request,
    stream::{StreamTranslator, error_event, error_frame, ping},
};

#[cfg(test)]
mod tests;
