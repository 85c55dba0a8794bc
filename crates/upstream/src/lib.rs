#![doc = include_str!("../README.md")]

pub mod time;

mod answer;
mod anthropic;
mod client;
mod embedder;
mod endpoint;
mod exchange;
mod openai;
mod public;
mod relay;
mod request;
mod translated;
mod web;

pub use self::{
    answer::{
        MAX_ERROR_BYTES, Patience, answered, byte_stream, frame_stream, json_object, message_in, plain,
        within,
    },
    anthropic::AnthropicUpstream,
    client::{BoxError, ClientConfig, HttpClient, RequestBody, empty_body, full_body},
    embedder::{EmbedderConfig, EmbeddingDialect, RemoteEmbedder},
    endpoint::Endpoint,
    exchange::Exchange,
    openai::{OpenAiEmbedder, OpenAiEmbeddings, OpenAiUpstream},
    public::is_public,
    request::json_request,
    translated::{Translation, translated},
    web::{WebClient, WebConfig, WebError, WebPage},
};
