//! API keys: secrets of programs.
//!
//! A key is looked up by its SHA-256, never by itself, and kept sealed beside it so that its owner
//! can read it back, as clients of the API expect.

use breezeway_core::{ApiKeyId, Secret, UnixTime, UserId};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What tells a key from a session token.
pub(crate) const PREFIX: &str = "sk-";

const RANDOM_BYTES: usize = 16;

/// SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a key. The key has 128 random bits, so a plain fast hash hides it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

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

/// A new random key: `sk-` and 32 hexadecimal digits.
pub(crate) fn mint() -> Result<Secret> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|_| Error::Crypto("making of an API key"))?;
    let mut key = String::with_capacity(PREFIX.len() + 2 * RANDOM_BYTES);
    key.push_str(PREFIX);
    for byte in random {
        key.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    Ok(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sk_and_32_hexadecimal_digits() {
        let (key, other) = (mint().unwrap(), mint().unwrap());

        let digits = key.expose().strip_prefix("sk-").unwrap();
        assert_eq!(digits.len(), 32);
        assert!(digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(key, other);
    }
}
