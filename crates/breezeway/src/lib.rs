#![doc = include_str!("../README.md")]

mod builder;
mod config;
mod error;
mod glue;
pub mod judged;
mod lanes;
mod local_model;
mod service;
mod tasks;

/// The crates that Breezeway is made of, for those who need more than this one shows.
pub mod parts {
    pub use breezeway_api as api;
    pub use breezeway_auth as auth;
    pub use breezeway_chat as chat;
    pub use breezeway_core as core;
    pub use breezeway_embedding as embedding;
    pub use breezeway_embedding_fastembed as embedding_fastembed;
    pub use breezeway_ingest as ingest;
    pub use breezeway_knowledge as knowledge;
    pub use breezeway_middleware as middleware;
    pub use breezeway_oidc as oidc;
    pub use breezeway_ollama as ollama;
    pub use breezeway_registry as registry;
    pub use breezeway_retrieval as retrieval;
    pub use breezeway_store as store;
    pub use breezeway_tools as tools;
    pub use breezeway_upstream as upstream;
    pub use breezeway_usage as usage;
    pub use breezeway_wire as wire;
}

pub use breezeway_api::{Findings, RagConfig};

pub use self::{
    builder::{Builder, private_folder},
    config::{ApiSettings, Config, Embedding, SignOnConfig},
    error::{Error, Result},
    glue::{RerankerConfig, Waits},
    lanes::LaneSizes,
    local_model::{LocalModelConfig, fetch_local_model},
    service::Breezeway,
    tasks::Background,
};
