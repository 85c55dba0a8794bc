#![doc = include_str!("../README.md")]

mod cache;
mod citation;
mod context;
mod error;
pub mod history;
mod metered;
mod own;
mod params;
mod prompt;
mod queries;
pub mod responses;
mod review;
mod service;
mod stream;
mod suspicion;
mod tools;
mod variables;

pub use self::{
    cache::{CacheConfig, CacheUse, Freshness},
    context::{ContextError, ContextItem, ContextSource, ItemKind, LeftOut, Source, SourcePassage},
    error::{Error, Result},
    prompt::DEFAULT_TEMPLATE,
    service::{Answer, ChatConfig, ChatRouter, Noted, QueryGeneration, Spoken},
    stream::LinkPolicy,
    suspicion::instruction_like,
    tools::{Tool, ToolFailure, ToolFunction, ToolLimits, ToolSource, ToolsError},
};
