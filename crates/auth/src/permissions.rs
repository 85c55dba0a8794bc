//! The permission tree: which features plain users may use.

use serde_json::Value;

/// A tree of booleans: `workspace`, `sharing`, `access_grants`, `chat`, `features`, `settings`.
#[derive(Clone, Debug, PartialEq)]
pub struct Permissions(Value);

impl Permissions {
    /// The tree as JSON.
    pub fn into_tree(self) -> Value {
        self.0
    }
}

impl Default for Permissions {
    fn default() -> Self {
        Self(Value::Null)
    }
}
