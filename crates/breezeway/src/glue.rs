//! What joins the crates: each of these implements one crate's port with another crate.

mod connections;
mod context;
mod elsewhere;
mod embedding;
mod health;
mod onlooker;
mod readers;
mod reranker;
mod shelf;
mod survey;
mod tools;
mod tuning;
mod web;

pub use self::{connections::Waits, reranker::RerankerConfig};
pub(crate) use self::{
    connections::{Keeper, connector},
    context::RagContext,
    elsewhere::Others,
    embedding::{Embedder, Workshop, own_model},
    health::Pulse,
    onlooker::Onlooker,
    reranker::RemoteReranker,
    shelf::Shelf,
    survey::Survey,
    tools::Shed,
    tuning::Tuner,
    web::Pages,
};
