#![doc = include_str!("../README.md")]

mod db;
mod departed;
mod ports;
mod store;

mod accounts;
mod api_keys;
mod attributes;
mod audit;
mod chats;
mod chunks;
mod collections;
mod counters;
mod documents;
mod drafts;
mod files;
mod grants;
mod groups;
mod identities;
mod ledger;
mod log;
mod models;
mod removals;
mod responses;
mod settings;
mod vectors;

mod check;
mod text;

pub use self::store::{Store, StoreConfig};
