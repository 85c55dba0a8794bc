#![doc = include_str!("../README.md")]

pub mod analyser;
mod error;
pub mod eval;
mod follow;
mod fuse;
mod lexical;
mod query;
mod rerank;
mod retriever;
mod select;
mod state;
mod top;
mod trace;
mod vector;
mod verify;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use self::{
    error::{Error, Result},
    query::{Answer, Leg, Passage, Place, Question},
    rerank::{RerankConfig, RerankError, Reranker},
    retriever::{Retriever, RetrieverConfig},
    trace::{Cut, CutReason, Reranked, Stages, Trace},
};
