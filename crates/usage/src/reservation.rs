//! One call between its reservation and its end.

use std::{sync::Arc, time::Duration};

use breezeway_core::{ApiKeyId, UserId};
use tokio::time::Instant;

use crate::{
    Day, LedgerKey, Operation, Outcome, Price, RateState, Tokens, Totals, estimate, keys::Hold, meter::Inner,
};

/// By how many tokens a call that outgrows its reservation raises it.
const STEP: u64 = 256;

/// More tokens than any call has. An upstream that claims more is not believed: sums of what it says
/// must stay sums.
const MOST: u64 = u32::MAX as u64;

/// A call that was reserved and is under way. Whoever drops it without a word has aborted it: then its
/// tokens are estimated from what went in and what [`produced`](Self::produced) was told.
#[must_use = "a reservation that is dropped counts as an aborted call"]
pub struct Reservation {
    /// Gone once the call is settled.
    open: Option<Box<Open>>,
}

pub(crate) struct Open {
    pub(crate) meter: Arc<Inner>,
    pub(crate) hold: Option<Box<Hold>>,
    pub(crate) price: Price,
    pub(crate) day: Day,
    pub(crate) account: UserId,
    pub(crate) key: Option<ApiKeyId>,
    pub(crate) model: Arc<str>,
    pub(crate) operation: Operation,
    pub(crate) upstream: Option<Arc<str>>,
    pub(crate) estimated_input: u64,
    /// Output so far, in quarters of tokens.
    pub(crate) quarters: u64,
    /// From how many quarters on the hold must grow.
    pub(crate) held_quarters: u64,
    pub(crate) began: Instant,
    pub(crate) first_token: Option<Duration>,
}

impl Reservation {
    pub(crate) fn new(open: Open) -> Self {
        Self { open: Some(Box::new(open)) }
    }

    /// What is left of the key's limits now that this call holds its share; `None` if it has none.
    pub fn rates(&self) -> Option<&RateState> {
        self.open.as_ref().and_then(|open| open.hold.as_ref()).map(|hold| &hold.state)
    }

    /// The connection that answers, if it was not known when the call was reserved or another one had
    /// to step in.
    pub fn set_upstream(&mut self, upstream: Arc<str>) {
        if let Some(open) = &mut self.open {
            open.upstream = Some(upstream);
        }
    }

    /// Another model answers than the one that was asked first, as those behind an alias do when one fails.
    /// The call is counted as one of that model, by its price. As with [`Call::model`](crate::Call::model),
    /// never a name that only a client made up.
    pub fn set_model(&mut self, model: Arc<str>) {
        let Some(open) = &mut self.open else { return };
        open.price = open.meter.price(&model);
        open.model = model;
        if let Some(hold) = &mut open.hold {
            open.meter.reprice(hold, open.price);
        }
    }

    /// Note that the first token is here; later calls change nothing.
    pub fn first_token(&mut self) {
        if let Some(open) = &mut self.open
            && open.first_token.is_none()
        {
            open.first_token = Some(open.began.elapsed());
        }
    }

    /// Note some of the answer's text, for the estimate in case nobody says how many tokens it had.
    pub fn produced(&mut self, text: impl AsRef<[u8]>) {
        self.grow(estimate::quarters(text.as_ref()));
    }

    /// As [`produced`](Self::produced), for bytes that cannot be read.
    pub fn produced_bytes(&mut self, bytes: usize) {
        self.grow(bytes as u64);
    }

    /// The tokens so far, as far as that can be told.
    pub fn estimate(&self) -> Tokens {
        self.open.as_ref().map_or_else(Tokens::default, |open| open.estimate())
    }

    /// The call has ended, and this is what it used.
    pub fn settle(mut self, tokens: Tokens, outcome: Outcome) {
        if let Some(open) = self.open.take() {
            open.end(tokens, false, outcome);
        }
    }

    /// The call has ended, and nobody says what it used.
    pub fn settle_estimated(mut self, outcome: Outcome) {
        if let Some(open) = self.open.take() {
            let tokens = open.estimate();
            open.end(tokens, true, outcome);
        }
    }

    fn grow(&mut self, quarters: u64) {
        let Some(open) = &mut self.open else { return };
        open.quarters = open.quarters.saturating_add(quarters);
        if open.quarters > open.held_quarters {
            open.extend();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            let tokens = open.estimate();
            open.end(tokens, true, Outcome::Aborted);
        }
    }
}

impl Open {
    fn estimate(&self) -> Tokens {
        Tokens { input: self.estimated_input, output: self.quarters.div_ceil(4), cached: 0 }
    }

    #[cold]
    fn extend(&mut self) {
        let Some(hold) = &mut self.hold else {
            self.held_quarters = u64::MAX;
            return;
        };
        let output = self.quarters.div_ceil(4).saturating_add(STEP);
        self.held_quarters = output.saturating_mul(4);
        self.meter.extend(hold, output);
    }

    fn end(self, tokens: Tokens, estimated: bool, outcome: Outcome) {
        let Tokens { input, output, cached } = tokens;
        let tokens = Tokens { input: input.min(MOST), output: output.min(MOST), cached: cached.min(MOST) };
        let mut totals = Totals::of(tokens, self.price.cost(tokens), outcome);
        totals.estimated = estimated.into();
        totals.duration_ms = millis(self.began.elapsed());
        if let Some(first) = self.first_token {
            (totals.first_token_ms, totals.first_tokens) = (millis(first), 1);
        }
        let row = LedgerKey {
            day: self.day,
            account: self.account,
            key: self.key,
            model: self.model,
            operation: self.operation,
            upstream: self.upstream,
        };
        self.meter.end(self.hold, tokens, row, &totals);
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = self.open.as_ref().map(|open| &open.model);
        f.debug_struct("Reservation").field("model", &model).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
