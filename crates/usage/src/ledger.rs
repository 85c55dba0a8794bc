//! The ledger: what is written down, and the port behind it.

use std::sync::Arc;

use async_trait::async_trait;
use breezeway_core::{ApiKeyId, Period, StoreError, UserId};

use crate::{Day, Operation, Outcome, Report, ReportQuery, Tokens};

/// Whose calls of what a row of the ledger adds up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerKey {
    /// The day on which the calls began.
    pub day: Day,
    /// Whose they were.
    pub account: UserId,
    /// The key they came with, if one was used.
    pub key: Option<ApiKeyId>,
    /// The model.
    pub model: Arc<str>,
    /// What was asked of it.
    pub operation: Operation,
    /// The connection that answered, if one did.
    pub upstream: Option<Arc<str>>,
}

/// What calls add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All calls, however they ended.
    pub requests: u64,
    /// Those whose tokens are estimates.
    pub estimated: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose client left.
    pub aborted: u64,
    /// Those that were not allowed to begin.
    pub refused: u64,
    /// Tokens that went in, the cached ones included.
    pub input: u64,
    /// Tokens that came out.
    pub output: u64,
    /// Tokens that went in and had been cached.
    pub cached: u64,
    /// What the calls cost by the prices of their time, in millionths of the unit of currency.
    pub cost: u64,
    /// The time to the first token of all calls that had one, in milliseconds.
    pub first_token_ms: u64,
    /// How many calls had one.
    pub first_tokens: u64,
    /// The time from beginning to end of all calls, in milliseconds.
    pub duration_ms: u64,
}

impl Totals {
    /// One call.
    pub(crate) fn of(tokens: Tokens, cost: u64, outcome: Outcome) -> Self {
        let (failed, aborted, refused) = match outcome {
            Outcome::Completed => (0, 0, 0),
            Outcome::Failed => (1, 0, 0),
            Outcome::Aborted => (0, 1, 0),
            Outcome::Refused => (0, 0, 1),
        };
        let Tokens { input, output, cached } = tokens;
        Self { requests: 1, failed, aborted, refused, input, output, cached, cost, ..Self::default() }
    }

    /// These and others. A sum that is too large stays at its largest.
    pub fn add(&mut self, other: &Self) {
        let Self {
            requests,
            estimated,
            failed,
            aborted,
            refused,
            input,
            output,
            cached,
            cost,
            first_token_ms,
            first_tokens,
            duration_ms,
        } = other;
        for (sum, more) in [
            (&mut self.requests, requests),
            (&mut self.estimated, estimated),
            (&mut self.failed, failed),
            (&mut self.aborted, aborted),
            (&mut self.refused, refused),
            (&mut self.input, input),
            (&mut self.output, output),
            (&mut self.cached, cached),
            (&mut self.cost, cost),
            (&mut self.first_token_ms, first_token_ms),
            (&mut self.first_tokens, first_tokens),
            (&mut self.duration_ms, duration_ms),
        ] {
            *sum = sum.saturating_add(*more);
        }
    }
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Input and output tokens.
    Tokens,
    /// Millionths of the unit of currency.
    MicroUnits,
}

/// What a budget counts as used up if the process ends now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRecord {
    /// Whose budget: the id of a key, or another name that the meter gives it. Opaque to the store.
    pub holder: Arc<str>,
    /// When it starts anew.
    pub period: Period,
    /// The first day of the period in question.
    pub start: Day,
    /// What it counts.
    pub unit: Unit,
    /// How much of it.
    pub used: u64,
}

/// What is written down together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// One more than that of the batch before; the first is 1.
    pub number: u64,
    /// What to add to which rows; no row twice.
    pub rows: Vec<(LedgerKey, Totals)>,
    /// What replaces the records of the same holders; no holder twice.
    pub budgets: Vec<BudgetRecord>,
}

/// What a process finds that begins where another one ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The number of the last batch, 0 if there was none.
    pub last_batch: u64,
    /// The budgets that are not forgotten.
    pub budgets: Vec<BudgetRecord>,
}

/// Keeps the ledger and what is used of budgets.
///
/// # Contract
/// - a batch is written whole or not at all, and what was answered with success survives the process;
/// - a batch whose number is not above the last one's changes nothing and succeeds, so that one whose
///   fate is unknown may be written again;
/// - the totals of a row are added to what the row holds, number by number; one beyond 2⁵³
///   may stay there, and none makes a batch or a report fail;
/// - a budget record replaces the holder's earlier one, larger or not;
/// - `recover` forgets budgets whose period began before `since`, and no rows;
/// - `report` covers exactly the batches up to the number it answers with; groups, order and limit are
///   as [`ReportQuery`] says;
/// - rows outlive the accounts, keys and models they name;
/// - `forget` deletes rows of days before `before`, the earliest first and at most `most` of them, and
///   answers how many.
#[async_trait]
pub trait LedgerStore: Send + Sync + 'static {
    /// Read what the last process left.
    async fn recover(&self, since: Day) -> Result<Recovered, StoreError>;

    /// Write a batch.
    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError>;

    /// Add up rows.
    async fn report(&self, query: &ReportQuery) -> Result<Report, StoreError>;

    /// Delete old rows.
    async fn forget(&self, before: Day, most: u64) -> Result<u64, StoreError>;
}
