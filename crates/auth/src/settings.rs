//! What an admin decides about accounts at run time.

use std::time::Duration;

use breezeway_core::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Permissions, Result};

/// The longest session a duration can ask for; who wants more asks for `-1`.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

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
            permissions: Permissions::default().into_tree(),
            other: Map::new(),
        }
    }
}

impl AuthSettings {
    /// The same settings with a complete permission tree, or what makes no sense about them.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a role or duration that is none.
    pub fn checked(mut self) -> Result<Self> {
        self.role()?;
        self.session_lifetime()?;
        self.permissions = Permissions::from_tree(&self.permissions).into_tree();
        Ok(self)
    }

    /// The id of the group that new accounts are brought into, if one is named.
    pub fn default_group(&self) -> Option<&str> {
        self.other.get("DEFAULT_GROUP_ID").and_then(Value::as_str).filter(|id| !id.is_empty())
    }

    /// How long a session lasts; `None` for ever.
    pub(crate) fn session_lifetime(&self) -> Result<Option<Duration>> {
        lifetime(&self.jwt_expires_in).ok_or_else(|| Error::InvalidSetting {
            name: "JWT_EXPIRES_IN",
            value: self.jwt_expires_in.clone(),
        })
    }

    pub(crate) fn role(&self) -> Result<Role> {
        self.default_user_role.parse().map_err(|_| Error::InvalidSetting {
            name: "DEFAULT_USER_ROLE",
            value: self.default_user_role.clone(),
        })
    }
}

/// What a duration such as `4w` or `1h30m` means: `Some(None)` for ever, `None` nothing.
///
/// A session shorter than a second would be over before it is used, so that is where it begins.
fn lifetime(text: &str) -> Option<Option<Duration>> {
    let text = text.trim();
    if matches!(text, "-1" | "0") {
        return Some(None);
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let number =
            rest.len() - rest.trim_start_matches(|sign: char| sign.is_ascii_digit() || sign == '.').len();
        let (amount, tail) = rest.split_at(number);
        let unit = tail.len() - tail.trim_start_matches(|sign: char| sign.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(unit);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(amount.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    (!total.is_zero() && total <= LONGEST).then(|| Some(total.max(Duration::from_secs(1))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_the_contract_writes_them() {
        let check = |text: &str, expected: Option<Option<u64>>| {
            let expected = expected.map(|seconds| seconds.map(Duration::from_secs));
            assert_eq!(lifetime(text), expected, "{text:?}");
        };

        check("4w", Some(Some(2_419_200)));
        check("1h30m", Some(Some(5400)));
        check("1d2h3m4s", Some(Some(93_784)));
        check("1.5h", Some(Some(5400)));
        check("2500ms500ms", Some(Some(3)));
        check("10ms", Some(Some(1)));
        check("-1", Some(None));
        check("0", Some(None));
        check("", None);
        check("4", None);
        check("w", None);
        check("-4w", None);
        check("4 w", None);
        check("1.2.3h", None);
        check("4y", None);
        check("0s", None);
        check("99999999999999999999999w", None);
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let odd = |change: fn(&mut AuthSettings)| {
            let mut settings = AuthSettings::default();
            change(&mut settings);
            settings.checked().unwrap_err().to_string()
        };

        assert_eq!(
            odd(|settings| settings.default_user_role = "owner".into()),
            "`owner` is no value for the setting `DEFAULT_USER_ROLE`"
        );
        assert_eq!(
            odd(|settings| settings.jwt_expires_in = "soon".into()),
            "`soon` is no value for the setting `JWT_EXPIRES_IN`"
        );
    }

    #[test]
    fn settings_stored_by_an_earlier_version_get_defaults_for_what_is_new() {
        let settings: AuthSettings = serde_json::from_str(r#"{"enable_signup": false}"#).unwrap();

        assert!(!settings.enable_signup);
        assert_eq!(settings.jwt_expires_in, "4w");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_panics(text in "[0-9.a-z-]{0,20}|\\PC{0,20}") {
            lifetime(&text);
        }
    }
}
