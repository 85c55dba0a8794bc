#![doc = include_str!("../README.md")]

mod account;
mod api_key;
mod audit;
mod directory;
mod error;
mod external;
mod group;
mod memory;
mod password;
mod permissions;
mod removal;
mod revoked;
mod seal;
mod service;
mod session;
mod settings;
mod store;
mod throttle;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    account::{Account, AccountChange, NewAccount, Profile},
    api_key::{ApiKeyRecord, KeyChange, KeyHash, NewKey, SealedKey},
    audit::{
        Action, Actor, AuditCursor, AuditEntry, AuditEvent, AuditLog, AuditQuery, AuditStore, MemoryAudit,
        Target, UnknownAction,
    },
    error::{Error, Result},
    external::{
        Arrival, Departure, ExternalIdentity, ExternalPerson, ExternalPolicy, ExternalRole, IdentityProvider,
        ProviderError, TrustedPerson,
    },
    group::{Group, GroupChange},
    memory::MemoryAccounts,
    password::{BadPattern, PasswordHash, PasswordParams, PasswordRule},
    permissions::Permissions,
    removal::Removal,
    seal::Sealer,
    service::{Auth, AuthConfig, Session},
    settings::AuthSettings,
    store::AccountStore,
};
