#![doc = include_str!("../README.md")]

mod claims;
mod config;
mod discovery;
mod http;
mod provider;

pub use self::{
    config::{ClaimNames, InvalidConfig, OidcConfig, RoleMapping},
    provider::OidcProvider,
};
