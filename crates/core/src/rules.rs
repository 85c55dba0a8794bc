//! What an API key may do less than its account.
//!
//! Plain data that whoever authenticates puts beside the principal, so that each part of the program
//! enforces its share without asking anybody: the API its endpoints and verbs, the registry its models,
//! the library its collections, the meters its limits.

use std::time::Duration;

/// The narrower rights of a key, and how much may be done with it. The default narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// Paths that may be called, with everything below them; `None` allows all.
    pub endpoints: Option<Vec<String>>,
    /// Ids of models that may be used or seen; `None` allows all that the account may.
    pub models: Option<Vec<String>>,
    /// Ids of collections that may be used or seen, and with them the files they hold; `None` allows
    /// all that the account may.
    pub collections: Option<Vec<String>>,
    /// Whether nothing may be changed: chats, embeddings and searches are allowed, whatever creates,
    /// edits or deletes is not.
    pub read_only: bool,
    /// How much.
    pub limits: Limits,
}

impl KeyRules {
    /// Whether a path may be called: one of the endpoints is the path or a parent of it.
    pub fn allows_path(&self, path: &str) -> bool {
        self.endpoints.as_ref().is_none_or(|endpoints| {
            endpoints.iter().any(|endpoint| {
                let rest = path.strip_prefix(endpoint.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        })
    }

    /// Whether a model may be used.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }

    /// Whether a collection may be used.
    pub fn allows_collection(&self, collection: &str) -> bool {
        self.collections.as_ref().is_none_or(|known| known.iter().any(|allowed| allowed == collection))
    }
}

/// How much a key may be used. The default limits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in any minute.
    pub requests_per_minute: Option<u32>,
    /// Input and output tokens in any minute.
    pub tokens_per_minute: Option<u32>,
    /// What may be used up in a day or month.
    pub budget: Option<Budget>,
}

impl Limits {
    /// Whether there is no limit.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// What may be used up before a period ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How much of what.
    pub amount: Amount,
    /// When it starts anew.
    pub period: Period,
}

/// An amount that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Input and output tokens.
    Tokens(u64),
    /// Millionths of the unit of currency that the price table is written in.
    MicroUnits(u64),
}

/// When a budget starts anew, by the calendar in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// At midnight.
    Day,
    /// At the first midnight of a month.
    Month,
}

/// The window of the limits per minute.
pub const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_allows_itself_and_what_is_below() {
        let endpoints = Some(vec!["/api/models".into(), "/ollama/".into()]);
        let rules = KeyRules { endpoints, ..KeyRules::default() };

        for path in ["/api/models", "/api/models/base", "/ollama", "/ollama/api/chat"] {
            assert!(rules.allows_path(path), "{path}");
        }
        for path in ["/api/modelsx", "/api", "/ollamax", "/", ""] {
            assert!(!rules.allows_path(path), "{path}");
        }
    }

    #[test]
    fn rules_that_say_nothing_narrow_nothing_and_empty_lists_allow_nothing() {
        let open = KeyRules::default();
        let none = Some(Vec::new());
        let shut =
            KeyRules { endpoints: none.clone(), models: none.clone(), collections: none, ..open.clone() };

        assert!(open.allows_path("/x") && open.allows_model("m") && open.allows_collection("c"));
        assert!(!shut.allows_path("/x") && !shut.allows_model("m") && !shut.allows_collection("c"));
    }
}
