#![doc = include_str!("../README.md")]

mod catalog;
mod connection;
mod endpoint;
mod error;
mod memory;
mod model;
mod overlay;
mod script;
mod service;
mod store;
mod upstream;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    catalog::key_allows,
    connection::{Connection, ConnectionKind},
    error::{Error, Result},
    memory::MemoryModels,
    model::{Model, Offer},
    overlay::{NewOverlay, Overlay},
    script::ScriptedUpstream,
    service::{Connector, Registry, RegistryConfig, Route},
    store::ModelStore,
    upstream::{ByteStream, CatalogEntry, ChatReply, FrameStream, Upstream, UpstreamError, UpstreamReply},
};
