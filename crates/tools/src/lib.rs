#![doc = include_str!("../README.md")]

mod caller;
mod error;
mod listing;
mod mcp;
mod openapi;
mod schema;
mod server;
mod servers;

pub use self::{
    error::{Error, Result},
    listing::Listing,
    server::{ToolServer, ToolServerKind},
    servers::{Served, ToolServers},
};
