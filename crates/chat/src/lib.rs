#![doc = include_str!("../README.md")]

mod citation;
mod context;
mod error;
pub mod history;
mod metered;
mod own;
mod params;
mod prompt;
mod queries;
mod service;
mod stream;
mod variables;

pub use self::{
    context::{ContextError, ContextItem, ContextSource, ItemKind, Source, SourcePassage},
    error::{Error, Result},
    prompt::DEFAULT_TEMPLATE,
    service::{Answer, ChatConfig, ChatRouter, QueryGeneration, Spoken},
};
