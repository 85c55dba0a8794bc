#![doc = include_str!("../README.md")]

mod alias;
mod catalog;
mod connection;
mod endpoint;
mod error;
mod fleet;
mod memory;
mod model;
mod options;
mod overlay;
mod script;
mod service;
mod store;
mod upstream;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    alias::Alias,
    catalog::key_allows,
    connection::{Connection, ConnectionKind},
    error::{Error, Result},
    fleet::{Attempt, BreakerConfig, Errand, Fleet, FleetConfig, Lease, LineStatus, Routing, Served},
    memory::MemoryModels,
    model::{Model, Offer},
    options::{BadOption, Flavour, deployment},
    overlay::{NewOverlay, Overlay},
    script::ScriptedUpstream,
    service::{AskedCollection, Connector, Registry, RegistryConfig, Route},
    store::ModelStore,
    upstream::{ByteStream, CatalogEntry, ChatReply, FrameStream, Upstream, UpstreamError, UpstreamReply},
};
