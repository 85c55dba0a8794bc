//! The JSON shapes of the API. Domain types do not cross the wire themselves: each view is made from
//! one.

pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod chats;
pub(crate) mod files;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod keys;
pub(crate) mod knowledge;
pub(crate) mod models;
pub(crate) mod passages;
pub(crate) mod retrieval_config;
pub(crate) mod tools;
pub(crate) mod usage;
