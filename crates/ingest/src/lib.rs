#![doc = include_str!("../README.md")]

pub mod chunk;
mod error;
pub mod extract;
#[cfg(test)]
mod fixtures;
mod pipeline;
mod progress;
pub mod service;
mod worker;

pub use self::{
    error::{Error, Result},
    extract::Extraction,
    progress::{Progress, ProgressBoard, Stage},
    worker::{IngestConfig, IngestStores, Ingestor},
};
