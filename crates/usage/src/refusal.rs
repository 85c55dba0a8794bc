//! Why a request or a call is not allowed now.

use std::{fmt, time::Duration};

use breezeway_core::{Classify, ErrorKind};

use crate::{RateState, Unit};

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Requests in any minute.
    Requests,
    /// Tokens in any minute.
    Tokens,
    /// The budget of a day or month, and what it counts.
    Budget(Unit),
}

impl LimitKind {
    /// Its name for clients.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Budget(_) => "budget",
        }
    }
}

/// Why a request or a call is not allowed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A limit of the key stands in the way.
    #[error(transparent)]
    Exceeded(#[from] Box<Exceeded>),
    /// The store has not written a key's budget down in time, and without that nothing is spent.
    #[error("the budget of the key could not be written down in time")]
    LedgerBehind {
        /// When it may be worth another try.
        retry_after: Duration,
    },
}

impl Refusal {
    /// When it may be worth another try.
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Exceeded(exceeded) => exceeded.retry_after,
            Self::LedgerBehind { retry_after } => *retry_after,
        }
    }

    /// The same in whole seconds, at least one: clients that wait for as long as they are told must find
    /// that it was enough.
    pub fn retry_after_seconds(&self) -> u64 {
        let wait = self.retry_after();
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }

    /// What is left of each limit.
    pub fn state(&self) -> Option<&RateState> {
        match self {
            Self::Exceeded(exceeded) => Some(&exceeded.state),
            Self::LedgerBehind { .. } => None,
        }
    }
}

impl Classify for Refusal {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Exceeded(_) => ErrorKind::RateLimited,
            Self::LedgerBehind { .. } => ErrorKind::Overloaded,
        }
    }
}

/// The limit that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub kind: LimitKind,
    /// How much there is in a window.
    pub limit: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// How much was asked for. More than `limit` will never be allowed.
    pub requested: u64,
    /// When there may be enough.
    pub retry_after: Duration,
    /// What is left of each limit.
    pub state: RateState,
}

impl std::error::Error for Exceeded {}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, remaining, requested, .. } = *self;
        match self.kind {
            LimitKind::Requests => write!(f, "the key allows {limit} requests a minute"),
            LimitKind::Tokens => write!(
                f,
                "the key allows {limit} tokens a minute and has {remaining} left; this call may use {requested}"
            ),
            LimitKind::Budget(Unit::Tokens) => write!(
                f,
                "the key's budget of {limit} tokens has {remaining} left; this call may use {requested}"
            ),
            LimitKind::Budget(Unit::MicroUnits) => write!(
                f,
                "the key's budget of {} has {} left; this call may cost {}",
                Money(limit),
                Money(remaining),
                Money(requested)
            ),
        }
    }
}

/// Millionths as units, with two to six digits after the point.
struct Money(u64);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:06}", self.0 % 1_000_000);
        let mut fraction = digits.trim_end_matches('0');
        if fraction.len() < 2 {
            fraction = &digits[..2];
        }
        write!(f, "{}.{fraction}", self.0 / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_cents_and_what_is_below_them_only_if_there_is_any() {
        for (micro, text) in [(0, "0.00"), (2_500_000, "2.50"), (1_000_001, "1.000001"), (30_000, "0.03")] {
            assert_eq!(Money(micro).to_string(), text);
        }
    }
}
