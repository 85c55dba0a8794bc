//! Accounts: who is known.

use breezeway_core::{Role, Secret, UnixTime, UserId};
use serde_json::{Map, Value};

use crate::{Error, PasswordHash, Result};

/// Where an account's picture is when nobody has said.
pub(crate) const DEFAULT_IMAGE: &str = "/user.png";

/// The longest address that mail can be sent to (RFC 5321, erratum 1690).
const MAX_EMAIL_BYTES: usize = 254;

/// A stored user.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: UserId,
    /// The address it signs in with, in lower case, unique.
    pub email: String,
    /// Its display name.
    pub name: String,
    /// What it may do in general.
    pub role: Role,
    /// Where its picture is.
    pub profile_image_url: String,
    /// The free fields of the profile (bio, gender, date_of_birth, …).
    pub profile: Profile,
    /// How its password is checked.
    pub password: PasswordHash,
    /// Every session token carries it; changing it ends all sessions at once.
    pub session_stamp: String,
    /// When it last did something; kept roughly.
    pub last_active_at: UnixTime,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
}

/// Fields of a profile that only clients interpret.
pub type Profile = Map<String, Value>;

/// An account about to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The address as typed.
    pub email: String,
    /// The display name.
    pub name: String,
    /// The password as typed.
    pub password: Secret,
    /// What it may do.
    pub role: Role,
    /// Where its picture is; `None` for the default.
    pub profile_image_url: Option<String>,
}

/// What to change of an account; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// The address.
    pub email: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// The role.
    pub role: Option<Role>,
    /// The picture.
    pub profile_image_url: Option<String>,
    /// Profile fields to set; others stay.
    pub profile: Option<Profile>,
    /// A new password; ends all sessions.
    pub password: Option<Secret>,
}

/// An address in the form it is kept and looked up in, if it is one.
///
/// As in Open WebUI, something like `name@host.tld` is enough, and `name@localhost` is taken too.
pub(crate) fn normal_email(text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    let plausible = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && !host.contains('@')
            && (host == "localhost"
                || host.rsplit_once('.').is_some_and(|(domain, tld)| !domain.is_empty() && !tld.is_empty()))
    });
    let clean = !email.chars().any(|sign| sign.is_whitespace() || sign.is_control());
    if plausible && clean && email.len() <= MAX_EMAIL_BYTES { Ok(email) } else { Err(Error::InvalidEmail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_a_host_and_small_letters() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(normal_email(text).ok().as_deref(), expected, "{text:?}");
        };

        check("Ada@Example.ORG", Some("ada@example.org"));
        check(" ada@example.org ", Some("ada@example.org"));
        check("admin@localhost", Some("admin@localhost"));
        check("ada@mail.example.org", Some("ada@mail.example.org"));
        check("", None);
        check("not-an-address", None);
        check("ada@", None);
        check("@example.org", None);
        check("ada@example", None);
        check("ada@.org", None);
        check("ada@example.", None);
        check("ada@eve@example.org", None);
        check("ada lovelace@example.org", None);
        check("ada\0@example.org", None);
        check(&format!("{}@example.org", "a".repeat(300)), None);
    }
}
