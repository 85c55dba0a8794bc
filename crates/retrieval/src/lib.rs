#![doc = include_str!("../README.md")]

mod error;
mod follow;
mod fuse;
mod lexical;
mod query;
mod retriever;
mod vector;

pub use self::{
    error::{Error, Result},
    query::{Answer, Leg, Passage, Question},
    retriever::{Retriever, RetrieverConfig},
};
