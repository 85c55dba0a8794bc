//! Passwords: argon2id, on a lane of its own.
//!
//! Nothing here runs on the threads that serve requests: one hash costs tens of milliseconds by
//! design, so [`Hasher`] hands every one of them to its lane.

mod rule;

use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier, Version,
    password_hash::{self, PasswordHasher, SaltString},
};
use breezeway_core::{Lane, Secret};

use crate::{Error, Result};

pub use self::rule::{BadPattern, PasswordRule};

/// The longest password taken, in bytes. Servers that keep bcrypt hashes cannot tell longer ones
/// apart, and an account should be able to move.
const MAX_BYTES: usize = 72;

/// A stored password hash in PHC form (`$argon2id$…`).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl PasswordHash {
    /// A hash that no password satisfies: the account of single-user mode has it, because nobody is
    /// meant to sign in to it from outside.
    pub fn unusable() -> Self {
        Self("!".into())
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// How expensive hashing is.
#[derive(Clone, Copy, Debug)]
pub struct PasswordParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for PasswordParams {
    /// 19 MiB and two passes: the second choice of the OWASP password storage cheat sheet.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

/// Whether a password may be chosen.
///
/// # Errors
/// If it is empty or longer than 72 bytes, or does not satisfy the rule.
pub(crate) fn check(password: &Secret, rule: Option<&PasswordRule>) -> Result<()> {
    match (password.expose().len(), rule) {
        (0, _) => Err(Error::PasswordTooWeak),
        (1..=MAX_BYTES, Some(rule)) if !rule.allows(password) => {
            Err(Error::PasswordRefused(rule.hint().to_owned()))
        }
        (1..=MAX_BYTES, _) => Ok(()),
        _ => Err(Error::PasswordTooLong),
    }
}

/// Makes and checks hashes on a lane.
pub(crate) struct Hasher {
    argon2: Argon2<'static>,
    lane: Lane,
    /// Checked when there is no account, so that an unknown address takes as long as a wrong password.
    decoy: PasswordHash,
}

impl Hasher {
    pub(crate) async fn new(params: PasswordParams, lane: Lane) -> Result<Self> {
        let params = Params::new(params.memory_kib, params.passes, 1, None)
            .map_err(|_| Error::Crypto("choice of password hashing parameters"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hasher = Self { argon2, lane, decoy: PasswordHash::unusable() };
        hasher.decoy = hasher.hash(&Secret::new("decoy")).await?;
        Ok(hasher)
    }

    pub(crate) async fn hash(&self, password: &Secret) -> Result<PasswordHash> {
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| Error::Crypto("making of a salt"))?;
        self.lane
            .run(move || {
                let salt = SaltString::encode_b64(&salt)?;
                let hash = argon2.hash_password(password.expose().as_bytes(), &salt)?;
                Ok::<_, password_hash::Error>(PasswordHash(hash.to_string()))
            })
            .await?
            .map_err(|_| Error::Crypto("password hashing"))
    }

    /// Whether `password` made `hash`. Without a hash the answer is no and takes as long.
    pub(crate) async fn verify(&self, hash: Option<PasswordHash>, password: &Secret) -> Result<bool> {
        let usable = hash.filter(|hash| {
            password.expose().len() <= MAX_BYTES && password_hash::PasswordHash::new(&hash.0).is_ok()
        });
        let known = usable.is_some();
        let hash = usable.unwrap_or_else(|| self.decoy.clone());
        let (argon2, password) = (self.argon2.clone(), password.clone());
        let matches = self
            .lane
            .run(move || {
                // Parameters of the stored hash win over ours, so raising ours breaks no old password.
                password_hash::PasswordHash::new(&hash.0)
                    .is_ok_and(|hash| argon2.verify_password(password.expose().as_bytes(), &hash).is_ok())
            })
            .await?;
        Ok(known && matches)
    }
}

#[cfg(test)]
mod tests {
    use breezeway_core::LaneConfig;

    use super::*;

    async fn hasher() -> Hasher {
        let lane = Lane::new("hash", LaneConfig { threads: 1, queue: 8 });
        Hasher::new(PasswordParams { memory_kib: 8, passes: 1 }, lane).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_satisfies_its_own_hash_only() {
        let hasher = hasher().await;

        let hash = hasher.hash(&"correct horse".into()).await.unwrap();

        assert!(hash.0.starts_with("$argon2id$"));
        assert!(hasher.verify(Some(hash.clone()), &"correct horse".into()).await.unwrap());
        assert!(!hasher.verify(Some(hash), &"battery staple".into()).await.unwrap());
    }

    #[tokio::test]
    async fn nothing_satisfies_a_missing_or_unusable_hash() {
        let hasher = hasher().await;

        for password in ["", "!", "decoy"] {
            assert!(!hasher.verify(None, &password.into()).await.unwrap());
            assert!(!hasher.verify(Some(PasswordHash::unusable()), &password.into()).await.unwrap());
        }
    }

    #[test]
    fn a_password_has_between_one_and_72_bytes() {
        assert!(matches!(check(&"".into(), None), Err(Error::PasswordTooWeak)));
        assert!(check(&"x".repeat(72).into(), None).is_ok());
        assert!(matches!(check(&"ä".repeat(37).into(), None), Err(Error::PasswordTooLong)));
    }
}
