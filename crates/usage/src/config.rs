use std::time::Duration;

/// How often usage is written down, and the bounds of what is kept in memory.
#[derive(Clone, Debug)]
pub struct UsageConfig {
    /// How long usage stays in memory before it is written down; what a crash can lose of the ledger.
    pub flush_every: Duration,
    /// How many rows of the ledger may wait in memory before they are written down early.
    pub max_pending_rows: usize,
    /// How many rows of the ledger are written in one transaction.
    pub rows_per_batch: usize,
    /// What a call is assumed to generate, in tokens, if its request sets no maximum.
    pub assumed_output: u64,
    /// How far ahead of use a key's budget is written down as used, in output tokens; never more than
    /// a sixteenth of the budget. More means fewer writes, and a larger loss for the key in a crash.
    pub lease_tokens: u64,
    /// By how many output tokens the open calls of a key may together exceed what they reserved
    /// within one flush, without a crash at that moment losing any of it; never more than a quarter of
    /// the budget, which is what a crash takes of it for that.
    pub overshoot_tokens: u64,
    /// For how long a key must rest before what was written down ahead is given back.
    pub lease_idle: Duration,
    /// How long a call may wait for its budget to be written down before it is refused.
    pub lease_wait: Duration,
}

impl Default for UsageConfig {
    fn default() -> Self {
        Self {
            flush_every: Duration::from_secs(1),
            max_pending_rows: 8192,
            rows_per_batch: 4096,
            assumed_output: 1024,
            lease_tokens: 16 * 1024,
            overshoot_tokens: 4 * 1024,
            lease_idle: Duration::from_secs(10),
            lease_wait: Duration::from_secs(5),
        }
    }
}
