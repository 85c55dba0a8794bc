//! How much is left, for those who tell clients.

use std::time::Duration;

use crate::{LimitKind, Unit};

/// One limit, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much there is in a window.
    pub limit: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// In how long all of it is there again, if nothing more is used.
    pub reset: Duration,
    /// How long the window is.
    pub window: Duration,
}

/// The limits of a key, and what is left of them. Those it does not have are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateState {
    /// Requests in any minute.
    pub requests: Option<Rate>,
    /// Tokens in any minute. What open calls reserved is not left.
    pub tokens: Option<Rate>,
    /// The budget, and what it counts.
    pub budget: Option<(Unit, Rate)>,
}

impl RateState {
    /// The limits there are, each with a name that does not change: `requests`, `tokens`, `budget`.
    pub fn policies(&self) -> impl Iterator<Item = (&'static str, Rate)> {
        let kinds = [
            self.requests.map(|rate| (LimitKind::Requests, rate)),
            self.tokens.map(|rate| (LimitKind::Tokens, rate)),
            self.budget.map(|(unit, rate)| (LimitKind::Budget(unit), rate)),
        ];
        kinds.into_iter().flatten().map(|(kind, rate)| (kind.as_str(), rate))
    }
}
