//! Sealing API keys at rest.
//!
//! ChaCha20-Poly1305 under a key that is derived from the server's secret, so that a copy of the
//! database alone shows no key. The nonce is random and precedes the ciphertext; the id of the key
//! is authenticated with it, so that two rows cannot be swapped.

use breezeway_core::{ApiKeyId, Secret};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{Error, Result, SealedKey};

const NONCE_BYTES: usize = 12;

/// Opens and closes seals; made once from the secrets.
pub(crate) struct Sealer {
    current: ChaCha20Poly1305,
    previous: Vec<ChaCha20Poly1305>,
}

impl Sealer {
    pub(crate) fn new(secret: &Secret, previous: &[Secret]) -> Result<Self> {
        Ok(Self {
            current: cipher(secret)?,
            previous: previous.iter().map(cipher).collect::<Result<Vec<_>>>()?,
        })
    }

    pub(crate) fn seal(&self, id: &ApiKeyId, key: &Secret) -> Result<SealedKey> {
        let mut sealed = vec![0; NONCE_BYTES];
        getrandom::fill(&mut sealed).map_err(|_| Error::Crypto("making of a nonce"))?;
        let payload = Payload { msg: key.expose().as_bytes(), aad: id.as_str().as_bytes() };
        let ciphertext = self
            .current
            .encrypt(Nonce::from_slice(&sealed), payload)
            .map_err(|_| Error::Crypto("sealing of an API key"))?;
        sealed.extend(ciphertext);
        Ok(SealedKey(sealed))
    }

    /// # Errors
    /// If none of our secrets has sealed it.
    pub(crate) fn open(&self, id: &ApiKeyId, sealed: &SealedKey) -> Result<Secret> {
        let (nonce, ciphertext) = sealed.0.split_at_checked(NONCE_BYTES).ok_or(Error::KeySealed)?;
        std::iter::once(&self.current)
            .chain(&self.previous)
            .find_map(|cipher| {
                let payload = Payload { msg: ciphertext, aad: id.as_str().as_bytes() };
                let opened = cipher.decrypt(Nonce::from_slice(nonce), payload).ok()?;
                String::from_utf8(opened).ok()
            })
            .map(Secret::from)
            .ok_or(Error::KeySealed)
    }
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
        let (id, key) = (ApiKeyId::mint(), Secret::new("sk-0123"));

        let sealed = sealer("one", &[]).seal(&id, &key).unwrap();

        assert_eq!(sealer("one", &[]).open(&id, &sealed).unwrap(), key);
        assert_eq!(sealer("two", &["one"]).open(&id, &sealed).unwrap(), key);
        assert!(matches!(sealer("two", &[]).open(&id, &sealed), Err(Error::KeySealed)));
    }

    #[test]
    fn a_seal_does_not_fit_another_id_or_survive_a_change() {
        let (id, key) = (ApiKeyId::mint(), Secret::new("sk-0123"));
        let sealer = sealer("one", &[]);
        let sealed = sealer.seal(&id, &key).unwrap();

        assert!(sealer.open(&ApiKeyId::mint(), &sealed).is_err());
        for index in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[index] ^= 1;
            assert!(sealer.open(&id, &changed).is_err(), "byte {index}");
            assert!(sealer.open(&id, &SealedKey(sealed.0[..index].to_vec())).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn sealing_twice_looks_different() {
        let (id, key, sealer) = (ApiKeyId::mint(), Secret::new("sk-0123"), sealer("one", &[]));

        assert!(sealer.seal(&id, &key).unwrap() != sealer.seal(&id, &key).unwrap());
    }
}
