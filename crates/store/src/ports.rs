//! The ports of the domain crates whose calls reach into several repositories.
//!
//! Each method is one transaction on a lane; what happens in it is a repository's affair.

mod accounts;
mod attributes;
mod audit;
mod chats;
mod chunks;
mod drafts;
mod ledger;
mod library;
mod responses;
