//! People for whom somebody else vouches: an OpenID provider, or a proxy that has signed them in.
//!
//! What easily goes wrong: an address is not an identity. A provider may let people choose theirs, so
//! whoever comes from one is known by the provider's own, unchanging name for them (the subject), and
//! an address opens an existing account only if the operator says so and the provider has verified it.

use async_trait::async_trait;
use breezeway_core::{Classify, ErrorKind, Role, Secret, UnixTime, UserId};

/// A provider's account of somebody, and the account here that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The provider's id, such as `oidc`.
    pub provider: String,
    /// Its own, unchanging name for the person.
    pub subject: String,
    /// Whose it is here.
    pub owner: UserId,
    /// When the two were brought together.
    pub linked_at: UnixTime,
}

/// Somebody as a provider describes them, every word of it verified to be the provider's.
#[derive(Clone, Debug)]
pub struct ExternalPerson {
    /// The provider's id, such as `oidc`.
    pub provider: String,
    /// Its own, unchanging name for the person.
    pub subject: String,
    /// Their address.
    pub email: String,
    /// Whether the provider says that the address is theirs.
    pub email_verified: bool,
    /// Their display name.
    pub name: Option<String>,
    /// Where their picture is.
    pub picture: Option<String>,
    /// What it says about their role here.
    pub role: ExternalRole,
    /// The groups they are in, by name; `None` if it does not say, which changes none.
    pub groups: Option<Vec<String>>,
}

/// What a provider says about somebody's role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalRole {
    /// Nothing: an account keeps the role it has, and a new one gets the default.
    #[default]
    Unmanaged,
    /// That they have none of those that mean something here: the default, for old accounts too.
    Default,
    /// This one.
    Is(Role),
}

/// What the operator allows people of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalPolicy {
    /// Whoever comes for the first time gets an account. This is not the switch for strangers with
    /// passwords.
    pub sign_up: bool,
    /// A verified address opens the account that has it.
    pub merge_by_email: bool,
    /// Groups of the provider that are not here are made.
    pub create_groups: bool,
    /// Groups that a provider neither fills nor empties nor makes: names, in which `*` stands for any
    /// text.
    pub kept_groups: Vec<String>,
}

impl ExternalPolicy {
    /// Whether a group is out of the provider's reach.
    pub(crate) fn keeps(&self, group: &str) -> bool {
        self.kept_groups.iter().any(|pattern| fits(pattern, group))
    }
}

/// Whether `text` fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, behind)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let mut pieces: Vec<&str> = behind.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    // The earliest place for each piece leaves the most for those behind it.
    let mut rest = rest;
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Somebody whom a trusted proxy has signed in, as its headers describe them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedPerson {
    /// Their address.
    pub email: String,
    /// Their display name, for a new account.
    pub name: Option<String>,
    /// The role to give them; `None` changes none.
    pub role: Option<Role>,
    /// The groups they are in, by name; `None` changes none.
    pub groups: Option<Vec<String>>,
}

/// The port to an outside provider that signs people in through their browser.
///
/// # Contract
/// - [`begin`](Self::begin) makes fresh secrets for each departure; nothing of them is kept here;
/// - [`finish`](Self::finish) answers only for an arrival that belongs to what was kept of a departure,
///   and only with what the provider has vouched for;
/// - both end within a bounded time, also when the provider does not answer;
/// - no error holds a secret, a token or a code.
#[async_trait]
pub trait IdentityProvider: Send + Sync + 'static {
    /// Its word in paths and records, such as `oidc`.
    fn id(&self) -> &str;

    /// What people know it as.
    fn title(&self) -> &str;

    /// Send somebody off; `return_to` is the address of ours to which the provider sends them back.
    async fn begin(&self, return_to: &str) -> Result<Departure, ProviderError>;

    /// Find out who has come back.
    async fn finish(&self, kept: &Secret, arrival: Arrival) -> Result<ExternalPerson, ProviderError>;
}

/// Somebody on their way to a provider.
#[derive(Clone, Debug)]
pub struct Departure {
    /// Where the browser goes.
    pub url: String,
    /// What must be handed back on arrival, and shown to nobody on the way.
    pub kept: Secret,
}

/// What the browser of somebody who comes back from a provider says.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// The code to exchange.
    pub code: Option<Secret>,
    /// The state that went out.
    pub state: Option<Secret>,
    /// The provider's word for why there is no code.
    pub error: Option<String>,
}

/// Why a provider's sign-in came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The provider cannot be reached, or answers with errors.
    #[error("the provider cannot be asked: {0}")]
    Unavailable(String),
    /// The provider has refused, or the person has changed their mind.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// The browser came with what belongs to no departure of its own.
    #[error("the arrival belongs to no departure of this browser")]
    Mismatch,
    /// What came is not vouched for.
    #[error("the provider's token is not good: {0}")]
    Untrusted(String),
    /// Something that an account needs is not told.
    #[error("the provider does not tell the claim `{0}`")]
    Missing(String),
    /// The address is of a domain that is not let in.
    #[error("the address is of a domain that is not allowed")]
    DomainNotAllowed,
}

impl Classify for ProviderError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) => ErrorKind::Upstream,
            Self::Refused(_) | Self::Mismatch | Self::Untrusted(_) | Self::Missing(_) => {
                ErrorKind::Unauthenticated
            }
            Self::DomainNotAllowed => ErrorKind::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("staff", "staff", true),
            ("staff", "staff ", false),
            ("*", "", true),
            ("*", "anything", true),
            ("it-*", "it-ops", true),
            ("it-*", "not-it-ops", false),
            ("*-admins", "it-admins", true),
            ("*-admins", "it-admins-2", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("aa*aa", "aaa", false),
            ("a**c", "abc", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_with_pieces_cut_out_fits_the_whole(pieces in proptest::collection::vec("[a-c*]{0,4}", 1..5)) {
            let pattern = pieces.join("*");
            let text = pieces.join("xyz").replace('*', "");

            prop_assert!(fits(&pattern, &text), "{pattern} {text}");
        }
    }
}
