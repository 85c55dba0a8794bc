//! What joins the crates: each of these implements one crate's port with another crate.

mod connections;
mod context;
mod health;

pub use self::connections::Waits;
pub(crate) use self::{
    connections::{Keeper, connector},
    context::RagContext,
    health::Pulse,
};
