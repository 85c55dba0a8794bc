//! Accounts: who is known.

use breezeway_core::{Role, Secret, UnixTime, UserId};
use serde_json::{Map, Value};

use crate::PasswordHash;

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
