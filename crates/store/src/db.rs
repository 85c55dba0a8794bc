//! What repositories are written against: a transaction with four methods, values and rows.
//!
//! The SQL driver is named in this folder and nowhere else, so that a second database is a second
//! variant here and not a second set of repositories.

mod dialect;
mod migrate;
mod pool;
mod tx;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    dialect::INTEGRITY,
    pool::{Pool, PoolConfig},
    tx::Tx,
    value::{Row, Value, unreadable},
};
