//! API keys: secrets of programs.
//!
//! A key is looked up by its SHA-256, never by itself, and kept sealed beside it so that its owner
//! can read it back, as clients of the API expect.

use breezeway_core::{ApiKeyId, UnixTime, UserId};

/// SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// A key, encrypted under a key derived from the server's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey(pub Vec<u8>);

impl std::fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedKey(…)")
    }
}

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Its id; not the key.
    pub id: ApiKeyId,
    /// Whose it is.
    pub owner: UserId,
    /// How it is found.
    pub hash: KeyHash,
    /// How it is shown.
    pub sealed: SealedKey,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last used; kept roughly.
    pub last_used_at: Option<UnixTime>,
}
