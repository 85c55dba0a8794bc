//! The HTTP API as its clients see it: the whole gateway, asked without a socket.

mod audit;
mod auths;
mod chat;
mod chats;
mod configs;
mod departure;
mod embeddings;
mod groups;
mod harness;
mod health;
mod hostile;
mod keys;
mod lists;
mod messages;
mod models;
mod ollama;
mod openai;
mod rights;
mod secrets;
mod single_user;
mod sso;
mod sweeps;
mod trusted;
mod usage;
mod users;
mod v1;
