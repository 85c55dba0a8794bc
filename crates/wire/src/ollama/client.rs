//! Clients that speak Ollama's dialect, over models that speak OpenAI's.

mod answer;
mod embed;
mod request;
mod stream;

pub use self::{
    answer::{Form, Told, answer},
    embed::{embed_answer, embed_request},
    request::{chat_of_chat, chat_of_generate},
    stream::LineTranslator,
};

#[cfg(test)]
mod tests;
