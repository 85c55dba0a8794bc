//! Texts that are nearly always of one form, kept in the space that this form needs.
//!
//! An account is held in memory for as long as the server runs, and there may be a hundred thousand. A
//! UUID as text in an allocation of its own takes 64 bytes and says 16; a hash of a password takes 130
//! and says 48. Whatever is not of the usual form is kept as the text it is.

use std::sync::Arc;

use argon2::password_hash;
use uuid::Uuid;

use crate::PasswordHash;

/// A text that is nearly always a UUID: an id, a session stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Uuid([u8; 16]),
    Text(Box<str>),
}

impl Tag {
    pub(super) fn new(text: &str) -> Self {
        match Uuid::try_parse(text) {
            // There are other ways to write one, and what comes out must be what went in.
            Ok(uuid) if uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text => {
                Self::Uuid(uuid.into_bytes())
            }
            _ => Self::Text(text.into()),
        }
    }

    /// Do something with the text.
    pub(super) fn with<T>(&self, work: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Uuid(bytes) => {
                work(Uuid::from_bytes(*bytes).hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            Self::Text(text) => work(text),
        }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.with(|own| own == text)
    }
}

/// A stored password hash.
#[derive(Clone, Debug)]
pub(super) enum PackedHash {
    Argon2 {
        /// Everything before the salt, which all hashes of one configuration have in common.
        head: Arc<str>,
        salt: [u8; 16],
        hash: [u8; 32],
    },
    Text(Box<str>),
}

impl PackedHash {
    /// `heads` are those seen before, to be shared.
    pub(super) fn new(hash: &PasswordHash, heads: &mut Vec<Arc<str>>) -> Self {
        match Self::parse(&hash.0, heads) {
            Some(packed) if packed.unpack().0 == hash.0 => packed,
            _ => Self::Text(hash.0.as_str().into()),
        }
    }

    pub(super) fn unpack(&self) -> PasswordHash {
        match self {
            Self::Argon2 { head, salt, hash } => {
                let salt = password_hash::SaltString::encode_b64(salt);
                let hash = password_hash::Output::new(hash);
                match (salt, hash) {
                    (Ok(salt), Ok(hash)) => PasswordHash(format!("{head}{salt}${hash}")),
                    // Only what reads back is packed, so this is for the compiler.
                    _ => PasswordHash::unusable(),
                }
            }
            Self::Text(text) => PasswordHash(text.as_ref().to_owned()),
        }
    }

    fn parse(text: &str, heads: &mut Vec<Arc<str>>) -> Option<Self> {
        let (rest, hash) = text.rsplit_once('$')?;
        let (head, salt) = rest.rsplit_once('$')?;
        let mut bytes = [0; 16];
        let salt = password_hash::Salt::from_b64(salt).ok()?.decode_b64(&mut bytes).ok()?;
        let salt = <[u8; 16]>::try_from(salt).ok()?;
        let hash = <[u8; 32]>::try_from(password_hash::Output::b64_decode(hash).ok()?.as_bytes()).ok()?;
        let head = format!("{head}$");
        let known = heads.iter().find(|known| ***known == *head).cloned();
        let head = known.unwrap_or_else(|| {
            let head: Arc<str> = head.into();
            // A store full of odd ones is no reason to search ever longer.
            if heads.len() < 16 {
                heads.push(head.clone());
            }
            head
        });
        Some(Self::Argon2 { head, salt, hash })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_forms_are_packed_and_others_kept() {
        let (salt, hash) = ("c2FsdHNhbHRzYWx0c2FsdA", "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g");
        let usual = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}");
        let mut heads = Vec::new();

        for (text, is_packed) in [(usual.as_str(), true), ("!", false), ("$2b$12$abc", false), ("", false)] {
            let packed = PackedHash::new(&PasswordHash(text.to_owned()), &mut heads);
            assert_eq!(matches!(packed, PackedHash::Argon2 { .. }), is_packed, "{text}");
            assert_eq!(packed.unpack().0, text);
        }
        assert_eq!(heads.len(), 1);
        let id = Uuid::new_v4().to_string();
        assert!(matches!(Tag::new(&id), Tag::Uuid(_)));
        assert!(matches!(Tag::new(&id.to_uppercase()), Tag::Text(_)) || id == id.to_uppercase());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_comes_out_is_what_went_in(text in "\\PC{0,40}|[0-9a-fA-F-]{36}|\\$argon2id\\$v=19\\$m=8\\$[A-Za-z0-9+/]{22}\\$[A-Za-z0-9+/]{43}") {
            let tag = Tag::new(&text);
            prop_assert!(tag.is(&text));
            let packed = PackedHash::new(&PasswordHash(text.clone()), &mut Vec::new());
            prop_assert_eq!(packed.unpack().0, text);
        }
    }
}
