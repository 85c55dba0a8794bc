#![doc = include_str!("../README.md")]

mod client;
mod defaults;
mod oidc;
mod peer;
mod received;
mod reply;
mod upstream;

pub use self::{
    client::{Answer, Client, Part, Streaming},
    defaults::{chat_chunk, chat_completion, embedding_of, sse_event},
    oidc::ScriptedProvider,
    peer::{Fault, Peer, Then},
    received::{Outcome, Received},
    reply::Reply,
    upstream::ScriptedUpstream,
};
