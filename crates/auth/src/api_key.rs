//! API keys: secrets of programs.
//!
//! A key is looked up by its SHA-256, never by itself. An account has one key without a name, which
//! clients of the API expect to read back: it is kept sealed beside its hash. Of named keys nothing
//! but the hash is kept, so nobody, with whatever secret, can show one a second time.

use breezeway_core::{Amount, ApiKeyId, Budget, KeyRules, Secret, UnixTime, UserId};
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

    /// Whether two hashes are the same, in a time that does not depend on where they differ.
    ///
    /// Written out and not taken from a crate: it is one line, and all that depends on it is how many
    /// leading bytes of a *hash* a stranger could learn, from which no key follows.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |all, (one, other)| all | (one ^ other));
        std::hint::black_box(difference) == 0
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
    /// What its owner calls it; `None` for the one key that is shown again.
    pub name: Option<String>,
    /// How it is found.
    pub hash: KeyHash,
    /// How it is shown; `None` for keys that are shown once.
    pub sealed: Option<SealedKey>,
    /// Its last characters, to tell keys apart in a list; empty if nobody has noted them.
    pub ending: String,
    /// What it may do less than its owner.
    pub rules: KeyRules,
    /// From when on it is no key any more.
    pub expires_at: Option<UnixTime>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was last used; kept roughly.
    pub last_used_at: Option<UnixTime>,
}

impl ApiKeyRecord {
    /// Whether it has ended.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// A named key about to be made.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// What it is called.
    pub name: String,
    /// When it ends; `None` for never.
    pub expires_at: Option<UnixTime>,
    /// What it may do less than its owner.
    pub rules: KeyRules,
}

/// What to change of a named key; `None` leaves a field as it is, `Some(None)` takes a limit away.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// What it is called.
    pub name: Option<String>,
    /// When it ends.
    pub expires_at: Option<Option<UnixTime>>,
    /// Paths it may call.
    pub endpoints: Option<Option<Vec<String>>>,
    /// Models it may use.
    pub models: Option<Option<Vec<String>>>,
    /// Collections it may use.
    pub collections: Option<Option<Vec<String>>>,
    /// Whether it may change nothing.
    pub read_only: Option<bool>,
    /// Requests in any minute.
    pub requests_per_minute: Option<Option<u32>>,
    /// Tokens in any minute.
    pub tokens_per_minute: Option<Option<u32>>,
    /// What may be used up in a period.
    pub budget: Option<Option<Budget>>,
}

impl KeyChange {
    /// The key with the change made.
    pub(crate) fn apply(self, key: &mut ApiKeyRecord) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        if let Some(name) = self.name {
            key.name = Some(name.trim().to_owned());
        }
        set(&mut key.expires_at, self.expires_at);
        set(&mut key.rules.endpoints, self.endpoints);
        set(&mut key.rules.models, self.models);
        set(&mut key.rules.collections, self.collections);
        set(&mut key.rules.read_only, self.read_only);
        set(&mut key.rules.limits.requests_per_minute, self.requests_per_minute);
        set(&mut key.rules.limits.tokens_per_minute, self.tokens_per_minute);
        set(&mut key.rules.limits.budget, self.budget);
    }
}

/// The most keys an account has.
pub(crate) const MOST_KEYS: usize = 100;
/// The most entries of one list of a key's rules.
const MOST_ENTRIES: usize = 200;
/// The longest entry of such a list, in bytes; ids and paths are shorter.
const ENTRY_BYTES: usize = 512;
/// The longest name, in characters.
const NAME_CHARS: usize = 100;

/// Whether a named key makes sense, with the time of now.
///
/// # Errors
/// [`Error::InvalidKey`] for the first field that does not.
pub(crate) fn check(key: &ApiKeyRecord, now: UnixTime) -> Result<()> {
    let refuse = |field, why| Err(Error::InvalidKey { field, why });
    let name = key.name.as_deref().unwrap_or_default();
    if name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        return refuse("name", "a name has between 1 and 100 printable characters");
    }
    if key.is_expired(now) {
        return refuse("expires_at", "the time is not in the future");
    }
    let rules = &key.rules;
    for (field, list) in [
        ("allowed_endpoints", &rules.endpoints),
        ("allowed_models", &rules.models),
        ("allowed_collections", &rules.collections),
    ] {
        let entries = list.as_deref().unwrap_or_default();
        if entries.len() > MOST_ENTRIES {
            return refuse(field, "a list has at most 200 entries");
        }
        if entries.iter().any(|entry| entry.is_empty() || entry.len() > ENTRY_BYTES) {
            return refuse(field, "an entry has between 1 and 512 bytes");
        }
    }
    let is_path = |path: &String| path.starts_with('/') && !path.trim_end_matches('/').is_empty();
    if !rules.endpoints.iter().flatten().all(is_path) {
        return refuse("allowed_endpoints", "an endpoint is a path such as `/api/models`");
    }
    let limits = &rules.limits;
    for (field, limit) in
        [("requests_per_minute", limits.requests_per_minute), ("tokens_per_minute", limits.tokens_per_minute)]
    {
        if limit == Some(0) {
            return refuse(field, "a limit of zero allows nothing; leave it out or revoke the key");
        }
    }
    match limits.budget.map(|budget| budget.amount) {
        Some(Amount::Tokens(0) | Amount::MicroUnits(0)) => {
            refuse("budget", "a budget of zero allows nothing")
        }
        _ => Ok(()),
    }
}

/// The last characters of a key: enough to tell keys apart, and far too few to guess one.
pub(crate) fn ending(key: &Secret) -> String {
    let text = key.expose();
    text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
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
