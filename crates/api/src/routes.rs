//! The routes, one module for each part of the API.

use breezeway_auth::Auth;
use breezeway_core::{Grantee, Grants, Principal};

pub(crate) mod audit;
pub(crate) mod auths;
pub(crate) mod chat;
pub(crate) mod chats;
pub(crate) mod configs;
pub(crate) mod embeddings;
pub(crate) mod files;
pub(crate) mod folders;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod knowledge;
pub(crate) mod messages;
pub(crate) mod models;
pub(crate) mod oauth;
pub(crate) mod openai;
pub(crate) mod responses;
pub(crate) mod retrieval;
pub(crate) mod tools;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod v1;
mod vector_stores;

/// Whether the caller's permissions allow sharing with everyone in `grants`. `kind` is the word of the
/// permission tree: `models`, `knowledge`.
pub(crate) fn may_share(auth: &Auth, principal: &Principal, grants: &Grants, kind: &str) -> bool {
    grants.iter().all(|grant| match &grant.grantee {
        Grantee::Everyone => auth.has_permission(principal, &format!("sharing.public_{kind}")),
        Grantee::User(user) if *user == principal.user => true,
        Grantee::User(_) | Grantee::Group(_) => auth.has_permission(principal, &format!("sharing.{kind}")),
    })
}
