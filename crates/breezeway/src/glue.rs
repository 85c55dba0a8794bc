//! What joins the crates: each of these implements one crate's port with another crate.

mod connections;
mod context;
mod embedding;
mod health;
mod tuning;
mod web;

pub use self::connections::Waits;
pub(crate) use self::{
    connections::{Keeper, connector},
    context::RagContext,
    embedding::{Embedder, Workshop},
    health::Pulse,
    tuning::Tuner,
    web::Pages,
};
