//! What an admin decides about accounts at run time.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Settings of accounts. The binary gives the first values; what an admin has changed since wins.
///
/// # Design
/// This is the one type of the crate that derives serde: it is stored as JSON under one name, and
/// that stored form is ours alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthSettings {
    /// Whether strangers may sign up. The first account switches it off.
    pub enable_signup: bool,
    /// The role of accounts that sign up: `pending`, `user` or `admin`.
    pub default_user_role: String,
    /// Whether API keys work at all.
    pub enable_api_keys: bool,
    /// Whether keys are limited to `api_keys_allowed_endpoints`.
    pub restrict_api_key_endpoints: bool,
    /// Paths a key may use, each with everything below it.
    pub api_keys_allowed_endpoints: Vec<String>,
    /// How long a session lasts, as the contract writes it: `4w`, `1h30m`, `-1` for ever.
    pub jwt_expires_in: String,
    /// The tree of permissions of plain users, section by section.
    pub permissions: Value,
    /// Further fields of the admin's configuration that are only kept for clients.
    pub other: Map<String, Value>,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            enable_signup: true,
            default_user_role: "pending".into(),
            enable_api_keys: true,
            restrict_api_key_endpoints: false,
            api_keys_allowed_endpoints: Vec::new(),
            jwt_expires_in: "4w".into(),
            permissions: crate::Permissions::default().into_tree(),
            other: Map::new(),
        }
    }
}
