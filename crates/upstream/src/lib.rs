#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod embedder;
mod endpoint;
mod openai;
mod request;

pub use self::{
    answer::{
        MAX_ERROR_BYTES, Patience, answered, byte_stream, frame_stream, json_object, message_in, within,
    },
    client::{BoxError, ClientConfig, HttpClient, RequestBody, empty_body, full_body},
    embedder::{EmbedderConfig, EmbeddingDialect, RemoteEmbedder},
    endpoint::Endpoint,
    openai::{OpenAiEmbedder, OpenAiEmbeddings, OpenAiUpstream},
    request::json_request,
};
