//! One key: its windows and its budget.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use breezeway_core::{Limits, MINUTE};

use super::Now;
use crate::{
    BudgetRecord, Exceeded, LimitKind, Price, Rate, RateState, Refusal, Tokens, Unit,
    budget::{self, Answer, Budget, Demand, Rest},
    pending::lock,
    window::Window,
};

/// When to try again if open calls hold what is missing: nobody knows when they end.
const SOON: Duration = Duration::from_secs(5);

/// What a call wants to use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) input: u64,
    /// Its maximum, or what is assumed.
    pub(crate) output: u64,
    /// Whether the maximum is only assumed, so that less will do.
    pub(crate) assumed: bool,
    pub(crate) price: Price,
    /// In output tokens, as in the configuration.
    pub(crate) overshoot: u64,
    pub(crate) ahead: u64,
}

/// What becomes of it.
pub(crate) enum Verdict {
    Held(Box<Hold>),
    Refused(Refusal),
    /// The lease of the budget must be raised first.
    Wait,
}

/// A key with limits.
pub(crate) struct Key {
    holder: Arc<str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// There while anything is in them.
    windows: Option<Box<Windows>>,
    /// Tokens that open calls reserved.
    tokens_held: u64,
    budget: Option<Budget>,
    /// Whether the flush knows that it should look here.
    touched: bool,
}

#[derive(Default)]
struct Windows {
    requests: Window,
    tokens: Window,
}

/// What a call holds of a key's limits. It must be given to [`Key::settle`].
pub(crate) struct Hold {
    pub(crate) key: Arc<Key>,
    pub(crate) state: RateState,
    /// What it was priced for.
    tokens: Tokens,
    pub(crate) price: Price,
    window: bool,
    /// Era, unit and amount.
    budget: Option<(u32, Unit, u64)>,
}

impl Hold {
    /// How much output it covers.
    pub(crate) fn output(&self) -> u64 {
        self.tokens.output
    }
}

impl Key {
    pub(crate) fn new(holder: Arc<str>, budget: Option<Budget>) -> Self {
        Self { holder, state: Mutex::new(State { budget, ..State::default() }) }
    }

    pub(crate) fn admit(&self, limits: &Limits, now: Now) -> Result<RateState, Refusal> {
        let mut state = lock(&self.state);
        if let Some(limit) = limits.requests_per_minute {
            let limit = u64::from(limit);
            let requests = &mut state.windows().requests;
            let used = requests.sum(now.ms);
            if used >= limit {
                let wait = requests.until_at_most(now.ms, limit.saturating_sub(1));
                return Err(state.exceeded(
                    limits,
                    now,
                    LimitKind::Requests,
                    limit,
                    (limit.saturating_sub(used), 1),
                    wait,
                ));
            }
            requests.add(now.ms, 1);
        }
        Ok(state.rates(limits, now))
    }

    pub(crate) fn hold(self: &Arc<Self>, limits: &Limits, ask: &Ask, now: Now, register: bool) -> Verdict {
        let mut state = lock(&self.state);
        let mut tokens = Tokens { input: ask.input, output: ask.output, cached: 0 };
        if let Some(limit) = limits.tokens_per_minute {
            match state.fit(u64::from(limit), ask, now) {
                Ok(output) => tokens.output = output,
                Err((left, wait)) => {
                    let needed = tokens_needed(ask);
                    let kind = LimitKind::Tokens;
                    return Verdict::Refused(state.exceeded(
                        limits,
                        now,
                        kind,
                        limit.into(),
                        (left, needed),
                        wait,
                    ));
                }
            }
        }
        let budget = match state.hold_budget(limits, ask, tokens, now, register) {
            Ok(Some(held)) => held,
            Ok(None) => return Verdict::Wait,
            Err(refusal) => return Verdict::Refused(refusal),
        };
        let window = limits.tokens_per_minute.is_some();
        if window {
            state.tokens_held = state.tokens_held.saturating_add(tokens.total());
        }
        let rates = state.rates(limits, now);
        drop(state);
        Verdict::Held(Box::new(Hold {
            key: self.clone(),
            state: rates,
            tokens,
            price: ask.price,
            window,
            budget,
        }))
    }

    /// Hold more output for a call, until it is `output`. True if the flush should not wait.
    pub(crate) fn extend(&self, hold: &mut Hold, output: u64, now_ms: u64) -> bool {
        let before = hold.tokens;
        hold.tokens.output = output.max(before.output);
        let mut state = lock(&self.state);
        if hold.window {
            state.tokens_held = state.tokens_held.saturating_add(hold.tokens.total() - before.total());
        }
        let Some((era, unit, amount)) = &mut hold.budget else { return false };
        let more = units(*unit, hold.price, hold.tokens).saturating_sub(*amount);
        *amount += more;
        state.budget.as_mut().is_some_and(|budget| budget.extend(*era, more, now_ms))
    }

    /// Turn what a call holds into what it used. True if the flush should not wait.
    pub(crate) fn settle(&self, hold: &Hold, used: Tokens, now_ms: u64) -> bool {
        let mut state = lock(&self.state);
        if hold.window {
            state.tokens_held = state.tokens_held.saturating_sub(hold.tokens.total());
            state.windows().tokens.add(now_ms, used.total());
        }
        let Some((era, unit, amount)) = hold.budget else { return false };
        let used = units(unit, hold.price, used);
        state.budget.as_mut().is_some_and(|budget| budget.settle(era, amount, used, now_ms))
    }

    /// Whether the flush should be told of this key: true once, until [`Key::renew`] says it rests.
    pub(crate) fn begin_touch(&self) -> bool {
        let mut state = lock(&self.state);
        let first = state.budget.is_some() && !state.touched;
        state.touched |= first;
        first
    }

    /// What to write down of the budget, with its era, and whether to look here again.
    pub(crate) fn renew(&self, rest: Rest) -> (Option<(u32, BudgetRecord)>, bool) {
        let mut state = lock(&self.state);
        let Some(budget) = &mut state.budget else {
            state.touched = false;
            return (None, false);
        };
        let used = budget.renew(rest);
        let record = used.map(|used| (budget.era(), budget.record(self.holder.clone(), used)));
        // A raised lease must be looked at again, for it may have to be given back.
        let rests = record.is_none() && budget.is_at_rest();
        state.touched = !rests;
        (record, !rests)
    }

    /// The record is written.
    pub(crate) fn raise(&self, era: u32, used: u64) {
        if let Some(budget) = &mut lock(&self.state).budget {
            budget.raise(era, used);
        }
    }

    /// Free what is empty; true if nothing is left.
    pub(super) fn tidy(&self, now: Now) -> bool {
        let mut state = lock(&self.state);
        if state.windows.as_mut().is_some_and(|windows| windows.are_empty(now.ms)) {
            state.windows = None;
        }
        if !state.touched && state.budget.as_ref().is_some_and(|budget| budget.is_over(now.day())) {
            state.budget = None;
        }
        state.windows.is_none() && state.budget.is_none() && state.tokens_held == 0
    }
}

impl State {
    fn windows(&mut self) -> &mut Windows {
        self.windows.get_or_insert_default()
    }

    /// How much output fits into the tokens of this minute; or what is left, and how long to wait.
    fn fit(&mut self, limit: u64, ask: &Ask, now: Now) -> Result<u64, (u64, Duration)> {
        let held = self.tokens_held;
        let window = &mut self.windows().tokens;
        let left = limit.saturating_sub(window.sum(now.ms)).saturating_sub(held);
        let needed = tokens_needed(ask);
        if needed <= left {
            return Ok(if ask.assumed { ask.output.min(left - ask.input) } else { ask.output });
        }
        let wait = match limit.checked_sub(needed) {
            None => MINUTE,
            Some(most) if held > most => SOON,
            Some(most) => window.until_at_most(now.ms, most - held),
        };
        Err((left, wait))
    }

    /// Hold something of the budget: `None` means to wait for the lease.
    #[expect(clippy::type_complexity, reason = "the inner option is the field of `Hold` as it stands")]
    fn hold_budget(
        &mut self,
        limits: &Limits,
        ask: &Ask,
        tokens: Tokens,
        now: Now,
        register: bool,
    ) -> Result<Option<Option<(u32, Unit, u64)>>, Refusal> {
        let Some(terms) = limits.budget else { return Ok(Some(None)) };
        let budget = self.budget.get_or_insert_with(|| Budget::new(terms, now.day()));
        budget.roll(terms, now.day());
        let (unit, limit) = (budget.unit(), budget::number(terms.amount));
        let output = |output| units(unit, ask.price, Tokens { output, ..Tokens::default() });
        let full = units(unit, ask.price, tokens);
        let least = Tokens { output: tokens.output.min(1), ..tokens };
        let demand = Demand {
            full,
            least: if ask.assumed { units(unit, ask.price, least) } else { full },
            cushion: output(ask.overshoot),
            ahead: output(ask.ahead),
        };
        match budget.hold(limit, demand, now.ms, register) {
            Answer::Hold(amount) => Ok(Some(Some((budget.era(), unit, amount)))),
            Answer::Wait => Ok(None),
            Answer::Exhausted { for_now } => {
                let end = budget.span().1.start().since(now.time);
                let wait = if for_now { SOON.min(end) } else { end };
                let numbers = (budget.remaining(limit), demand.least);
                Err(self.exceeded(limits, now, LimitKind::Budget(unit), limit, numbers, wait))
            }
        }
    }

    fn exceeded(
        &mut self,
        limits: &Limits,
        now: Now,
        kind: LimitKind,
        limit: u64,
        (remaining, requested): (u64, u64),
        retry_after: Duration,
    ) -> Refusal {
        let state = self.rates(limits, now);
        Box::new(Exceeded { kind, limit, remaining, requested, retry_after, state }).into()
    }

    fn rates(&mut self, limits: &Limits, now: Now) -> RateState {
        let held = self.tokens_held;
        let minute = |limit: u32, window: &mut Window, held: u64| Rate {
            limit: limit.into(),
            remaining: u64::from(limit).saturating_sub(window.sum(now.ms)).saturating_sub(held),
            reset: window.until_at_most(now.ms, 0),
            window: MINUTE,
        };
        RateState {
            requests: limits.requests_per_minute.map(|limit| minute(limit, &mut self.windows().requests, 0)),
            tokens: limits.tokens_per_minute.map(|limit| minute(limit, &mut self.windows().tokens, held)),
            budget: limits.budget.map(|terms| {
                let fresh = || Budget::new(terms, now.day());
                let budget = self.budget.get_or_insert_with(fresh);
                budget.roll(terms, now.day());
                let (limit, (start, end)) = (budget::number(terms.amount), budget.span());
                let rate = Rate {
                    limit,
                    remaining: budget.remaining(limit),
                    reset: end.start().since(now.time),
                    window: end.start().since(start.start()),
                };
                (budget.unit(), rate)
            }),
        }
    }
}

impl Windows {
    fn are_empty(&mut self, now_ms: u64) -> bool {
        self.requests.is_empty(now_ms) && self.tokens.is_empty(now_ms)
    }
}

/// The least that will do.
fn tokens_needed(ask: &Ask) -> u64 {
    ask.input.saturating_add(if ask.assumed { ask.output.min(1) } else { ask.output })
}

fn units(unit: Unit, price: Price, tokens: Tokens) -> u64 {
    match unit {
        Unit::Tokens => tokens.total(),
        Unit::MicroUnits => price.cost(tokens),
    }
}
