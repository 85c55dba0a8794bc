//! Typed ids.
//!
//! An id is opaque text: minted here as a UUID, taken as it comes from clients, imports and
//! upstreams, and never parsed for meaning. Parsing refuses only what could not be an id at all.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use uuid::Uuid;

/// The longest id accepted, in bytes. Upstream model names reach about 200.
const MAX_BYTES: usize = 512;

/// Why a text cannot be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text has no characters.
    #[error("an id cannot be empty")]
    Empty,
    /// The text is longer than 512 bytes.
    #[error("an id cannot be longer than {MAX_BYTES} bytes")]
    TooLong,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// A new random id (UUID version 4).
            pub fn mint() -> Self {
                let mut text = Uuid::encode_buffer();
                Self(Uuid::new_v4().hyphenated().encode_lower(&mut text).to_owned().into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                match text.len() {
                    0 => Err(InvalidId::Empty),
                    1..=MAX_BYTES => Ok(Self(text.into())),
                    _ => Err(InvalidId::TooLong),
                }
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), &self.0)
            }
        }
    )*};
}

ids! {
    /// An account.
    UserId
    /// A named set of accounts.
    GroupId
    /// One sign-in of an account; the `jti` of its session token.
    SessionId
    /// An `sk-` key of an account (never the key itself).
    ApiKeyId
    /// An uploaded file.
    FileId
    /// A named set of files; the API calls it a knowledge base.
    CollectionId
    /// A configured upstream endpoint.
    ConnectionId
    /// A model as clients name it, prefix and tag included.
    ModelId
    /// A saved chat.
    ChatId
    /// A folder of saved chats.
    FolderId
    /// A saved chat as it was when it was shared.
    ShareId
    /// A kept answer of the Responses API.
    ResponseId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_id_reads_back_as_itself() {
        let id = FileId::mint();

        assert_eq!(id.as_str().parse::<FileId>(), Ok(id.clone()));
        assert_eq!(id.as_str().len(), 36);
    }

    #[test]
    fn free_text_is_an_id_unless_it_is_empty_or_too_long() {
        assert!("llama3.2:latest".parse::<ModelId>().is_ok());
        assert_eq!("".parse::<ModelId>(), Err(InvalidId::Empty));
        assert_eq!("x".repeat(513).parse::<ModelId>(), Err(InvalidId::TooLong));
    }
}
