#![doc = include_str!("../README.md")]

pub mod anthropic;
mod chat;
mod frame;
pub mod ndjson;
pub mod ollama;
pub mod sse;

pub use self::{
    chat::{ChatRequest, InvalidRequest, SystemPosition, text_of},
    frame::Frame,
};
