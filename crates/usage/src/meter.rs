//! The meter: what everybody else holds.

mod flush;

use std::{pin::pin, sync::Arc};

use breezeway_core::{Clock, Credential, Limits, Principal, StoreError};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, timeout_at},
};

use self::flush::Writer;
use crate::{
    Call, Day, LedgerKey, LedgerStore, Outcome, Price, PriceTable, RateState, Refusal, ReportQuery,
    ReportRow, Reservation, Tokens, Totals, UsageConfig,
    keys::{Ask, Hold, Keys, Now, Verdict, limits},
    pending::Pending,
    report::Adder,
    reservation::Open,
};

/// How much a [`Meter`] keeps in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Keys whose limits are there: those used in the last two minutes, and those with something spent of
    /// a budget whose period is running.
    pub keys: usize,
    /// Rows of the ledger that wait to be written down.
    pub rows: usize,
}

/// Rows that one transaction deletes.
const FORGOTTEN_AT_ONCE: u64 = 512;

/// Counts what every call uses, and says no to those that may not begin. Clones share one state.
///
/// It answers from memory. What it knows is written down by [`Meter::run`], which must be running
/// while there are calls, and by [`Meter::flush`] at the end.
#[derive(Clone)]
pub struct Meter(Arc<Inner>);

pub(crate) struct Inner {
    config: UsageConfig,
    store: Arc<dyn LedgerStore>,
    prices: PriceTable,
    clock: Clock,
    /// The beginning of the clock that never goes back.
    origin: Instant,
    pending: Pending,
    keys: Keys,
    /// Rings for the flush.
    wake: Notify,
    /// Rings after a flush, for calls that wait for a lease.
    flushed: Notify,
    /// Held while a batch is written or a report is read. Nothing on the way of a call takes it.
    writer: Mutex<Writer>,
}

impl Meter {
    /// Begin where the last process ended: what is used of the running budgets is read from the store,
    /// and what a process that died had leased counts as used.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn open(
        config: UsageConfig,
        store: Arc<dyn LedgerStore>,
        prices: PriceTable,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let today = Day::of(clock.now());
        let found = store.recover(today.period_start(breezeway_core::Period::Month)).await?;
        Ok(Self(Arc::new(Inner {
            pending: Pending::new(config.max_pending_rows),
            keys: Keys::new(&found.budgets, today),
            writer: Mutex::new(Writer::after(found.last_batch)),
            wake: Notify::new(),
            flushed: Notify::new(),
            origin: Instant::now(),
            config,
            store,
            prices,
            clock,
        })))
    }

    /// Count one request of a key, of whatever kind. `None` for callers without limits, at no cost.
    ///
    /// Only the requests of a minute can refuse here: a key whose tokens or budget are used up may still
    /// look at what it used. What it may not do is begin a call; [`Meter::reserve`] sees to that.
    ///
    /// # Errors
    /// [`Refusal::Exceeded`] if the key has had its requests of this minute. A refused request does
    /// not count.
    pub fn admit(&self, principal: &Principal) -> Result<Option<RateState>, Refusal> {
        let Some(limits) = limits(principal) else { return Ok(None) };
        self.0.keys.admit(principal, limits, self.0.now()).map(Some)
    }

    /// Reserve what a call may use: its estimated input and its maximum of output.
    ///
    /// Answers from memory and does not wait, but for one case: a key with a budget whose lease is too
    /// small, as after a pause, waits for one write of the store. The future may be dropped at any time.
    ///
    /// # Errors
    /// [`Refusal::Exceeded`] if the call may use more than is left of the tokens of this minute or of
    /// the budget; it is counted as refused. [`Refusal::LedgerBehind`] if the store did not write in time.
    pub async fn reserve(&self, principal: &Principal, call: Call) -> Result<Reservation, Refusal> {
        let price = self.0.prices.price(&call.model);
        let day = Day::of(self.0.clock.now());
        let hold = match limits(principal) {
            None => Ok(None),
            Some(limits) => self.0.hold(principal, limits, &call, price).await.map(Some),
        };
        let key = match &principal.credential {
            Credential::ApiKey(key) => Some(key.clone()),
            Credential::Session(_) | Credential::Local => None,
        };
        let open = Open {
            meter: self.0.clone(),
            hold: None,
            price,
            day,
            account: principal.user.clone(),
            key,
            model: call.model,
            operation: call.operation,
            upstream: call.upstream,
            estimated_input: call.estimated_input,
            quarters: 0,
            held_quarters: u64::MAX,
            began: Instant::now(),
            first_token: None,
        };
        match hold {
            Ok(hold) => {
                let held_quarters = hold.as_ref().map_or(u64::MAX, |hold| hold.output().saturating_mul(4));
                Ok(Reservation::new(Open { hold, held_quarters, ..open }))
            }
            Err(refusal) => {
                Reservation::new(open).settle(Tokens::default(), Outcome::Refused);
                Err(refusal)
            }
        }
    }

    /// Delete what was used more than so many days before today from the ledger. What a budget counts is
    /// kept elsewhere and stays. Each transaction deletes a few hundred rows, so that nobody waits long.
    ///
    /// # Errors
    /// If the store fails; what was deleted until then is gone.
    pub async fn trim(&self, days: u32) -> Result<u64, StoreError> {
        let before = Day::of(self.0.clock.now()).earlier(days);
        let mut rows = 0;
        loop {
            let forgotten = self.0.store.forget(before, FORGOTTEN_AT_ONCE).await?;
            rows += forgotten;
            if forgotten < FORGOTTEN_AT_ONCE {
                return Ok(rows);
            }
        }
    }

    /// How much is in memory.
    pub fn footprint(&self) -> Footprint {
        Footprint { keys: self.0.keys.len(), rows: self.0.pending.len() }
    }

    /// What was used, the last moment included.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn report(&self, query: &ReportQuery) -> Result<Vec<ReportRow>, StoreError> {
        // Nothing moves from memory to the store while this is held, so nothing is seen twice or missed.
        let writer = self.0.writer.lock().await;
        let written = self.0.store.report(query).await?;
        let mut adder = Adder::new(query);
        written.rows.into_iter().for_each(|row| adder.add_row(row));
        writer.unwritten(written.last_batch).for_each(|(key, totals)| adder.add(key, totals));
        self.0.pending.for_each(|key, totals| adder.add(key, totals));
        Ok(adder.finish())
    }
}

impl Inner {
    fn now(&self) -> Now {
        Now { time: self.clock.now(), ms: self.now_ms() }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn hold(
        &self,
        principal: &Principal,
        limits: &Limits,
        call: &Call,
        price: Price,
    ) -> Result<Box<Hold>, Refusal> {
        let ask = Ask {
            input: call.estimated_input,
            output: call.max_output.unwrap_or(self.config.assumed_output),
            assumed: call.max_output.is_none(),
            price,
            overshoot: self.config.overshoot_tokens,
            ahead: self.config.lease_tokens,
        };
        match self.keys.hold(principal, limits, &ask, self.now(), false) {
            Verdict::Held(hold) => return Ok(hold),
            Verdict::Refused(refusal) => return Err(refusal),
            Verdict::Wait => {}
        }
        let deadline = Instant::now() + self.config.lease_wait;
        loop {
            // Listening begins before the question, so that no answer in between is missed.
            let mut flushed = pin!(self.flushed.notified());
            flushed.as_mut().enable();
            match self.keys.hold(principal, limits, &ask, self.now(), true) {
                Verdict::Held(hold) => return Ok(hold),
                Verdict::Refused(refusal) => return Err(refusal),
                Verdict::Wait => self.wake.notify_one(),
            }
            if timeout_at(deadline, flushed).await.is_err() {
                return Err(Refusal::LedgerBehind { retry_after: self.config.lease_wait });
            }
        }
    }

    pub(crate) fn price(&self, model: &str) -> Price {
        self.prices.price(model)
    }

    /// A call costs something else than it was reserved for: what it holds grows if that is more.
    pub(crate) fn reprice(&self, hold: &mut Hold, price: Price) {
        hold.price = price;
        self.extend(hold, hold.output());
    }

    /// A call outgrows what it holds.
    pub(crate) fn extend(&self, hold: &mut Hold, output: u64) {
        let key = hold.key.clone();
        let pressed = key.extend(hold, output, self.now_ms());
        self.keys.touch(&key);
        if pressed {
            self.wake.notify_one();
        }
    }

    /// A call has ended.
    pub(crate) fn end(&self, hold: Option<Box<Hold>>, tokens: Tokens, row: LedgerKey, totals: &Totals) {
        let full = self.pending.add(row, totals);
        let pressed = hold.is_some_and(|hold| {
            let pressed = hold.key.settle(&hold, tokens, self.now_ms());
            self.keys.touch(&hold.key);
            pressed
        });
        if full || pressed {
            self.wake.notify_one();
        }
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("config", &self.0.config).finish_non_exhaustive()
    }
}
