//! Sealing secrets at rest: API keys, and the keys of upstreams.
//!
//! ChaCha20-Poly1305 under a key that is derived from the server's secret, so that a copy of the
//! database alone shows no key. The nonce is random and precedes the ciphertext; what the secret
//! belongs to (an id, an address) is authenticated with it, so that two rows cannot be swapped.

use breezeway_core::Secret;
use chacha20poly1305::{
    ChaCha20Poly1305, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{Error, Result};

const NONCE_BYTES: usize = 12;

/// Opens and closes seals; made once from the secrets.
pub struct Sealer {
    current: ChaCha20Poly1305,
    previous: Vec<ChaCha20Poly1305>,
}

impl Sealer {
    /// Seals are made under a key derived from `secret`; those made under one derived from a
    /// `previous` secret still open.
    ///
    /// # Errors
    /// Never with a sound cryptographic library.
    pub fn new(secret: &Secret, previous: &[Secret]) -> Result<Self> {
        Ok(Self {
            current: cipher(secret)?,
            previous: previous.iter().map(cipher).collect::<Result<Vec<_>>>()?,
        })
    }

    /// Seal a secret that belongs to `owner`.
    ///
    /// # Errors
    /// If the machine has no randomness to give.
    pub fn seal(&self, owner: &str, secret: &Secret) -> Result<Vec<u8>> {
        let mut sealed = vec![0; NONCE_BYTES];
        getrandom::fill(&mut sealed).map_err(|_| Error::Crypto("making of a nonce"))?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad: owner.as_bytes() };
        let ciphertext = self
            .current
            .encrypt(Nonce::from_slice(&sealed), payload)
            .map_err(|_| Error::Crypto("sealing of a secret"))?;
        sealed.extend(ciphertext);
        Ok(sealed)
    }

    /// Open the seal of a secret that belongs to `owner`.
    ///
    /// # Errors
    /// If none of our secrets has sealed it, or for another owner.
    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Secret> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .find_map(|cipher| open_with(cipher, owner, sealed))
            .ok_or(Error::KeySealed)
    }

    /// Whether there are previous secrets, so that something may have to be sealed anew.
    pub fn has_previous(&self) -> bool {
        !self.previous.is_empty()
    }

    /// What a seal of a previous secret holds, and the same sealed under the current one. `None` if it
    /// is the current one's already, or nobody's.
    ///
    /// # Errors
    /// If the machine has no randomness to give.
    pub fn reseal(&self, owner: &str, sealed: &[u8]) -> Result<Option<(Secret, Vec<u8>)>> {
        let mut previous = self.previous.iter();
        match previous.find_map(|cipher| open_with(cipher, owner, sealed)) {
            Some(secret) => self.seal(owner, &secret).map(|sealed| Some((secret, sealed))),
            None => Ok(None),
        }
    }
}

fn open_with(cipher: &ChaCha20Poly1305, owner: &str, sealed: &[u8]) -> Option<Secret> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
    let opened = cipher.decrypt(Nonce::from_slice(nonce), payload).ok()?;
    String::from_utf8(opened).ok().map(Secret::from)
}

fn cipher(secret: &Secret) -> Result<ChaCha20Poly1305> {
    // The secret also signs session tokens; the label keeps the two uses apart. One HMAC is enough of
    // a derivation where the output is as long as the hash (HKDF's expand step with one block).
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.expose().as_bytes())
        .map_err(|_| Error::Crypto("derivation of the sealing key"))?;
    mac.update(b"breezeway/api-key/seal/1\x01");
    Ok(ChaCha20Poly1305::new(Key::from_slice(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secret: &str, previous: &[&str]) -> Sealer {
        let previous: Vec<_> = previous.iter().map(|&secret| secret.into()).collect();
        Sealer::new(&secret.into(), &previous).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_under_the_same_or_a_previous_secret_only() {
        let (id, key) = ("key 1", Secret::new("sk-0123"));

        let sealed = sealer("one", &[]).seal(id, &key).unwrap();

        assert_eq!(sealer("one", &[]).open(id, &sealed).unwrap(), key);
        assert_eq!(sealer("two", &["one"]).open(id, &sealed).unwrap(), key);
        assert!(matches!(sealer("two", &[]).open(id, &sealed), Err(Error::KeySealed)));
    }

    #[test]
    fn what_a_previous_secret_sealed_is_sealed_anew_and_nothing_else() {
        let (id, key) = ("key 1", Secret::new("sk-0123"));
        let old = sealer("one", &[]).seal(id, &key).unwrap();
        let now = sealer("two", &["zero", "one"]);

        let (secret, new) = now.reseal(id, &old).unwrap().expect("it was sealed under a previous secret");

        assert_eq!(secret, key);
        assert_eq!(sealer("two", &[]).open(id, &new).unwrap(), key);
        assert!(now.reseal(id, &new).unwrap().is_none());
        assert!(now.reseal("key 2", &old).unwrap().is_none());
        assert!(sealer("three", &[]).reseal(id, &old).unwrap().is_none());
    }

    #[test]
    fn a_seal_does_not_fit_another_id_or_survive_a_change() {
        let (id, key) = ("key 1", Secret::new("sk-0123"));
        let sealer = sealer("one", &[]);
        let sealed = sealer.seal(id, &key).unwrap();

        assert!(sealer.open("key 2", &sealed).is_err());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open(id, &changed).is_err(), "byte {index}");
            assert!(sealer.open(id, &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn sealing_twice_looks_different() {
        let (id, key, sealer) = ("key 1", Secret::new("sk-0123"), sealer("one", &[]));

        assert!(sealer.seal(id, &key).unwrap() != sealer.seal(id, &key).unwrap());
    }
}
