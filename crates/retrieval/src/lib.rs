#![doc = include_str!("../README.md")]

pub mod analyser;
mod error;
pub mod eval;
mod follow;
mod fuse;
mod lexical;
mod query;
mod retriever;
mod state;
mod top;
mod vector;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use self::{
    error::{Error, Result},
    query::{Answer, Leg, Passage, Question},
    retriever::{Retriever, RetrieverConfig},
};
