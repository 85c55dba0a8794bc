#![doc = include_str!("../README.md")]

mod embeddings;
mod passthrough;
mod upstream;

pub use self::{
    embeddings::{OllamaEmbedder, OllamaEmbeddings},
    passthrough::{Elsewhere, ElsewhereError, PassBody, Passthrough, PassthroughConfig},
    upstream::OllamaUpstream,
};
