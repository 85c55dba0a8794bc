//! A budget, and the promise that a crash never forgets what was spent of it.
//!
//! Nothing is written between a request and its call, yet a process that dies must not have spent more
//! than the store knows. So the store is told *ahead*: a key holds a **lease**, an amount that is
//! already written down as used, and calls are admitted only while
//!
//! `spent + held + cushion ≤ lease ≤ what the store says is used`
//!
//! where `held` is what open calls have reserved. The flush raises the lease in the background before
//! it is used up: the store first, then the memory. To lower one (a call used less than it reserved, a
//! key rests, the server stops) memory goes first and the store follows. Whenever the process ends,
//! the store is at or above what is spent; the next process takes its number as spent, so open calls
//! count as used in full, and what was leased and not spent is lost to the key until its period ends.
//!
//! Calls can use more than they reserve: input is estimated, some requests name no maximum, and an
//! upstream need not keep to it. That is what the cushion is for
//! ([`UsageConfig::overshoot_tokens`](crate::UsageConfig::overshoot_tokens)). A stream that outgrows
//! its reservation raises what it holds while it flows, and a cushion that is half gone wakes the
//! flush, so the cushion has to cover what is not known before an answer ends, and nothing more.
//!
//! A call counts in the period in which it was reserved; what it holds of a period that has ended is
//! nobody's business any more.
//!
//! # Design
//! The alternative is to write each batch of reservations down *after* admitting them and to add the
//! most a key may use in one batch to every budget after a crash. Then no call ever waits, but a crash
//! takes from keys that have not been used for days, and a server that crashes ten times an hour
//! takes everything. With a lease the first call of a resting key waits for one write, about a
//! millisecond, and only keys that were being used can lose something.

use std::{mem, sync::Arc};

use breezeway_core::{Amount, Budget as Terms, Period};

use crate::{BudgetRecord, Day, Unit};

/// The state of one budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    unit: Unit,
    period: Period,
    start: Day,
    /// Counts the periods and kinds this state has gone through, so that what a call holds of an
    /// earlier one is told apart.
    era: u32,
    spent: u64,
    held: u64,
    lease: u64,
    /// What calls that wait for the lease want to hold.
    wanted: u64,
    cushion: u64,
    ahead: u64,
    active_ms: u64,
}

/// What a call needs of a budget, in its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// What it will hold if there is as much.
    pub(crate) full: u64,
    /// With what it would make do, because its maximum is only assumed.
    pub(crate) least: u64,
    /// See [`UsageConfig::overshoot_tokens`](crate::UsageConfig::overshoot_tokens).
    pub(crate) cushion: u64,
    /// See [`UsageConfig::lease_tokens`](crate::UsageConfig::lease_tokens).
    pub(crate) ahead: u64,
}

/// What a budget says to a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// So much may be held.
    Hold(u64),
    /// The lease must be raised first.
    Wait,
    /// There is not enough left; for now only, if open calls may give something back.
    Exhausted { for_now: bool },
}

/// Which keys rest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    /// None, and no lease is lowered: somebody rang because one is too small, and those who wait for it
    /// have not taken what an earlier flush raised it by.
    Nobody,
    /// Those that have not been active since.
    SinceMs(u64),
    /// All without an open call: the server stops.
    Now,
}

impl Budget {
    pub(crate) fn new(terms: Terms, today: Day) -> Self {
        Self {
            unit: unit(terms.amount),
            period: terms.period,
            start: today.period_start(terms.period),
            era: 0,
            spent: 0,
            held: 0,
            lease: 0,
            wanted: 0,
            cushion: 0,
            ahead: 0,
            active_ms: 0,
        }
    }

    /// What a process before this one left.
    pub(crate) fn recovered(record: &BudgetRecord) -> Self {
        let BudgetRecord { unit, period, start, used, .. } = *record;
        let amount = match unit {
            Unit::Tokens => Amount::Tokens(0),
            Unit::MicroUnits => Amount::MicroUnits(0),
        };
        Self { spent: used, lease: used, ..Self::new(Terms { amount, period }, start) }
    }

    /// Start anew if the period has ended, or if the terms count something else than they did. A clock
    /// that is set back does not bring an ended period back.
    pub(crate) fn roll(&mut self, terms: Terms, today: Day) {
        let fresh = Self::new(terms, today);
        let ended = fresh.start > self.start;
        if ended || (fresh.unit, fresh.period) != (self.unit, self.period) {
            *self = Self { era: self.era.wrapping_add(1), ..fresh };
        }
    }

    /// Ask for something to hold. `register` makes the next flush raise the lease for it.
    pub(crate) fn hold(&mut self, limit: u64, demand: Demand, now_ms: u64, register: bool) -> Answer {
        let remaining = self.remaining(limit);
        let amount = demand.full.min(remaining).max(demand.least);
        if amount > remaining {
            return Answer::Exhausted { for_now: self.spent.saturating_add(amount) <= limit };
        }
        self.active_ms = now_ms;
        // More would take a small budget as a whole from its key, should the process die.
        self.cushion = self.cushion.max(demand.cushion.min(limit / 4));
        self.ahead = self.ahead.max(demand.ahead.min(limit / 16));
        if self.used().saturating_add(amount).saturating_add(self.cushion) > self.lease {
            if register {
                // Not more than can be admitted, however many wait.
                self.wanted = self.wanted.saturating_add(amount).min(remaining);
            }
            return Answer::Wait;
        }
        if register {
            self.wanted = self.wanted.saturating_sub(amount);
        }
        self.held = self.held.saturating_add(amount);
        Answer::Hold(amount)
    }

    /// Hold more for a call that uses more than it reserved. True if the flush should not wait.
    pub(crate) fn extend(&mut self, era: u32, more: u64, now_ms: u64) -> bool {
        if era != self.era {
            return false;
        }
        self.active_ms = now_ms;
        self.held = self.held.saturating_add(more);
        self.is_pressed()
    }

    /// Turn what a call held into what it used. True if the flush should not wait.
    pub(crate) fn settle(&mut self, era: u32, held: u64, used: u64, now_ms: u64) -> bool {
        if era != self.era {
            return false;
        }
        self.active_ms = now_ms;
        self.held = self.held.saturating_sub(held);
        self.spent = self.spent.saturating_add(used);
        self.is_pressed()
    }

    /// What the store should say is used, if that is not what it says. A lower number holds from now
    /// on, a higher one when [`Budget::raise`] says that it is written. A key that rests gives back what
    /// it does not need.
    pub(crate) fn renew(&mut self, rest: Rest) -> Option<u64> {
        let wanted = mem::take(&mut self.wanted);
        let (wanted, rests) = match rest {
            Rest::Nobody => (wanted, false),
            Rest::SinceMs(since_ms) => (wanted, wanted == 0 && self.active_ms < since_ms),
            // Whoever waits nevertheless will ask again.
            Rest::Now => (0, true),
        };
        if rests && self.held == 0 {
            (self.cushion, self.ahead) = (0, 0);
        }
        let least = self.used().saturating_add(wanted).saturating_add(self.cushion);
        let most = least.saturating_add(self.ahead);
        // Half of what is ahead may be used up, or be too much, before it is worth a write.
        let slack = self.ahead / 2;
        let is_enough = self.lease >= least.saturating_add(slack);
        let is_too_much = self.lease > most.saturating_add(slack) && !matches!(rest, Rest::Nobody);
        if is_enough && !is_too_much {
            return None;
        }
        self.lease = self.lease.min(most);
        Some(most)
    }

    /// The store says that so much is used.
    pub(crate) fn raise(&mut self, era: u32, lease: u64) {
        if era == self.era {
            self.lease = lease;
        }
    }

    /// Whether the store says exactly what is spent, so that the flush need not look again.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.held == 0 && self.wanted == 0 && self.lease == self.spent
    }

    /// Whether this can be forgotten: it is over, or says nothing.
    pub(crate) fn is_over(&self, today: Day) -> bool {
        self.held == 0 && (self.start < today.period_start(self.period) || (self.spent, self.lease) == (0, 0))
    }

    /// How much of a limit is left.
    pub(crate) fn remaining(&self, limit: u64) -> u64 {
        limit.saturating_sub(self.used())
    }

    /// What the store should be told.
    pub(crate) fn record(&self, holder: Arc<str>, used: u64) -> BudgetRecord {
        BudgetRecord { holder, period: self.period, start: self.start, unit: self.unit, used }
    }

    pub(crate) fn era(&self) -> u32 {
        self.era
    }

    pub(crate) fn unit(&self) -> Unit {
        self.unit
    }

    /// The first days of its period and of the next one.
    pub(crate) fn span(&self) -> (Day, Day) {
        (self.start, self.start.period_end(self.period))
    }

    fn used(&self) -> u64 {
        self.spent.saturating_add(self.held)
    }

    /// Whether calls have used up half of the cushion.
    fn is_pressed(&self) -> bool {
        self.used().saturating_add(self.cushion / 2) > self.lease
    }
}

/// What an amount counts.
pub(crate) fn unit(amount: Amount) -> Unit {
    match amount {
        Amount::Tokens(_) => Unit::Tokens,
        Amount::MicroUnits(_) => Unit::MicroUnits,
    }
}

/// How much an amount is, in its unit.
pub(crate) fn number(amount: Amount) -> u64 {
    match amount {
        Amount::Tokens(number) | Amount::MicroUnits(number) => number,
    }
}
