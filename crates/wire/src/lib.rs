#![doc = include_str!("../README.md")]

mod chat;
mod frame;
mod translate;

pub mod anthropic;
pub mod ndjson;
pub mod ollama;
pub mod openai;
pub mod responses;
pub mod sse;

mod tally;
#[cfg(test)]
mod testing;
mod tool;
mod unusable;

pub use self::{
    chat::{ChatRequest, InvalidRequest, SystemPosition, field, text_of},
    frame::{Frame, MAX_FRAME_BYTES, TooLong},
    tally::{Asked, Tally},
    translate::Translate,
    unusable::Unusable,
};
