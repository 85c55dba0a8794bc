//! API keys, without the keys.

use breezeway_auth::ApiKeyRecord;
use breezeway_core::{Amount, Budget, Period, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An API key as lists show it: everything but the key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyView {
    id: String,
    user_id: String,
    /// `null` for the one key that `/api/v1/auths/api_key` manages.
    name: Option<String>,
    /// The key's last four characters, to tell keys apart; `null` if they are not known.
    last_four: Option<String>,
    /// Seconds since 1970; `null` for never.
    expires_at: Option<i64>,
    /// Whether that has passed.
    expired: bool,
    /// Paths it may call with all below them; `null` for all.
    allowed_endpoints: Option<Vec<String>>,
    /// Models it may use; `null` for all of its account.
    allowed_models: Option<Vec<String>>,
    /// Knowledge it may use; `null` for all of its account.
    allowed_collections: Option<Vec<String>>,
    /// Whether it may change nothing.
    read_only: bool,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
    budget: Option<BudgetView>,
    /// Seconds since 1970; kept to the minute, `null` if never.
    last_used_at: Option<i64>,
    /// Seconds since 1970.
    created_at: i64,
}

/// A key that has just been made, with the key. It is never shown again.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewKeyView {
    /// The key itself.
    api_key: String,
    #[serde(flatten)]
    key: KeyView,
}

/// What may be used up in a period: of `tokens` and `amount` one is there.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetView {
    /// Input and output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
    /// Money, in the unit of the price table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<f64>,
    /// `day` or `month`, by the calendar in UTC.
    period: String,
}

/// Millionths in a unit of money.
const MICRO: f64 = 1e6;
/// The largest budget in units of money; far beyond it a millionth is lost in rounding.
const MOST_MONEY: f64 = 1e9;

impl BudgetView {
    /// The budget it describes, or what is wrong with it.
    pub(crate) fn read(&self) -> Result<Budget, &'static str> {
        let amount = match (self.tokens, self.amount) {
            (Some(tokens), None) => Amount::Tokens(tokens),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range is checked"
            )]
            (None, Some(money)) if (0.0..=MOST_MONEY).contains(&money) => {
                Amount::MicroUnits((money * MICRO).round() as u64)
            }
            (None, Some(_)) => return Err("`amount` is between 0 and 1000000000"),
            _ => return Err("a budget has either `tokens` or `amount`"),
        };
        let period = match self.period.as_str() {
            "day" => Period::Day,
            "month" => Period::Month,
            _ => return Err("`period` is `day` or `month`"),
        };
        Ok(Budget { amount, period })
    }
}

impl From<Budget> for BudgetView {
    fn from(budget: Budget) -> Self {
        let (tokens, amount) = match budget.amount {
            Amount::Tokens(tokens) => (Some(tokens), None),
            #[expect(clippy::cast_precision_loss, reason = "budgets are below 2^53 millionths")]
            Amount::MicroUnits(micro) => (None, Some(micro as f64 / MICRO)),
        };
        let period = match budget.period {
            Period::Day => "day",
            Period::Month => "month",
        };
        Self { tokens, amount, period: period.to_owned() }
    }
}

impl KeyView {
    pub(crate) fn new(key: ApiKeyRecord, now: UnixTime) -> Self {
        let limits = key.rules.limits;
        Self {
            expired: key.is_expired(now),
            id: key.id.to_string(),
            user_id: key.owner.to_string(),
            name: key.name,
            last_four: Some(key.ending).filter(|ending| !ending.is_empty()),
            expires_at: key.expires_at.map(UnixTime::seconds),
            allowed_endpoints: key.rules.endpoints,
            allowed_models: key.rules.models,
            allowed_collections: key.rules.collections,
            read_only: key.rules.read_only,
            requests_per_minute: limits.requests_per_minute,
            tokens_per_minute: limits.tokens_per_minute,
            budget: limits.budget.map(BudgetView::from),
            last_used_at: key.last_used_at.map(UnixTime::seconds),
            created_at: key.created_at.seconds(),
        }
    }
}

impl KeyView {
    /// What the key may do, without what tells it from others.
    pub(crate) fn rules(&self) -> Value {
        let mut rules = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(fields) = &mut rules {
            fields.retain(|name, value| {
                !matches!(
                    name.as_str(),
                    "id" | "user_id" | "last_four" | "last_used_at" | "created_at" | "expired"
                ) && !value.is_null()
            });
        }
        rules
    }
}

impl NewKeyView {
    pub(crate) fn new(api_key: String, key: KeyView) -> Self {
        Self { api_key, key }
    }
}
