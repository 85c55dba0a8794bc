//! The binary as its users meet it: a process, a port, a folder.

mod clients;
mod disconnect;
mod gateway;
mod hostile;
mod raw;
mod recovery;
mod secrecy;
mod sessions;
mod shutdown;
mod sign_on;
mod start;
mod streaming;
mod tokens;
mod upload;
mod upstreams;
