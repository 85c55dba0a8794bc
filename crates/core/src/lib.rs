#![doc = include_str!("../README.md")]

mod access;
mod error;
mod id;
mod lane;
mod live;
mod principal;
mod rules;
mod secret;
mod settings;
mod time;

pub use self::{
    access::{AccessGrant, Grantee, Grants, Permission},
    error::{Classify, ErrorKind, StoreError},
    id::{
        ApiKeyId, ChatId, CollectionId, ConnectionId, FileId, FolderId, GroupId, InvalidId, ModelId,
        ResponseId, SessionId, ShareId, UserId,
    },
    lane::{Lane, LaneConfig, LaneError},
    live::Live,
    principal::{Credential, Principal, Role, UnknownRole},
    rules::{Amount, Budget, KeyRules, Limits, MINUTE, Period},
    secret::Secret,
    settings::{MemorySettings, SettingsStore},
    time::{Clock, UnixTime},
};
