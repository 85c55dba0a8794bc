#![doc = include_str!("../README.md")]

mod batch;
mod error;
mod hashed;
mod model;
mod vector;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    batch::by_length,
    error::EmbedError,
    hashed::HashedModel,
    model::{EmbeddingModel, Fingerprint, Purpose},
    vector::Vector,
};
