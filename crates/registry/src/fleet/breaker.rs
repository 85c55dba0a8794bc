//! The circuit breaker of an offer: a model at a connection.
//!
//! It is closed while calls go well. Failures in a row, or too large a part of the last ones, open it for
//! a time that grows; then it is half open, and one call is let through to see. After
//! Nygard, "Release It!" (2007), and with the exponential times of most that followed.
//!
//! What goes well costs one load: the lock is only taken while something has gone wrong lately.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{BreakerConfig, moment::Moment};

/// Outcomes this old say nothing about now.
const STALE: Duration = Duration::from_secs(60);

/// Whether an offer can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// As usual.
    Ready,
    /// One call may see whether it works again.
    OnTrial,
    /// Not before this moment.
    Not(Moment),
}

/// The right to make a call, and what its outcome means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pass {
    /// A call like all others.
    Plain,
    /// The one call that decides whether the breaker closes.
    Probe,
}

/// A breaker, and the time until which its upstream asked to be left alone.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Until when it is open; 0 while it is closed.
    open_until: AtomicU64,
    /// Until when its upstream wants no calls (`retry-after`); 0 if it never said so.
    cool_until: AtomicU64,
    /// Whether there is a failure among the outcomes in `core`.
    troubled: AtomicBool,
    core: Mutex<Core>,
}

#[derive(Debug, Default)]
struct Core {
    /// The last outcomes, the newest in the lowest bit; a set bit is a failure.
    outcomes: u64,
    /// How many of them there are.
    count: u32,
    /// Failures since the last success.
    in_a_row: u32,
    /// How often it opened since it was last closed.
    opened: u32,
    /// Whether the one call of a half open breaker is under way.
    probing: bool,
    last: Moment,
}

impl Breaker {
    /// Whether it lets calls through.
    pub(crate) fn readiness(&self, now: Moment) -> Readiness {
        let cool = Moment(self.cool_until.load(Ordering::Relaxed));
        if cool > now {
            return Readiness::Not(cool);
        }
        match Moment(self.open_until.load(Ordering::Relaxed)) {
            Moment(0) => Readiness::Ready,
            until if until > now => Readiness::Not(until),
            until if self.core().probing => Readiness::Not(until),
            _ => Readiness::OnTrial,
        }
    }

    /// Begin a call; `None` if another call has just become the probe. A breaker that is open lets the
    /// call through as well: whoever calls then had no better choice.
    pub(crate) fn enter(&self, now: Moment) -> Option<Pass> {
        let until = self.open_until.load(Ordering::Relaxed);
        if until == 0 || Moment(until) > now {
            return Some(Pass::Plain);
        }
        let mut core = self.core();
        if core.probing {
            return None;
        }
        core.probing = true;
        Some(Pass::Probe)
    }

    /// A call went well.
    pub(crate) fn succeeded(&self, now: Moment, config: &BreakerConfig) {
        if !self.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut core = self.core();
        // Whoever let it through, one that works is closed.
        if self.open_until.swap(0, Ordering::Relaxed) != 0 {
            *core = Core::default();
        } else {
            core.note(false, now, config.window);
        }
        self.troubled.store(core.outcomes != 0, Ordering::Relaxed);
    }

    /// A call went wrong. Says for how long that opens the breaker, if it does; `luck`, from 0 to 1,
    /// lengthens it by up to a quarter, so that gateways do not come back together.
    pub(crate) fn failed(
        &self,
        pass: Pass,
        now: Moment,
        config: &BreakerConfig,
        luck: f64,
    ) -> Option<Duration> {
        let mut core = self.core();
        self.troubled.store(true, Ordering::Relaxed);
        core.note(true, now, config.window);
        let is_open = self.open_until.load(Ordering::Relaxed) != 0;
        let opens = match pass {
            Pass::Probe => true,
            // Calls that began before it opened, and those that had no better choice, change nothing.
            Pass::Plain if is_open => false,
            Pass::Plain => core.is_too_much(config),
        };
        if pass == Pass::Probe {
            core.probing = false;
        }
        if !opens {
            return None;
        }
        let time = config.open_for.saturating_mul(1 << core.opened.min(16)).min(config.open_at_most);
        let time = time.mul_f64(1.0 + luck / 4.0);
        core.opened = core.opened.saturating_add(1);
        // 0 means closed.
        self.open_until.store(now.plus(time).0.max(1), Ordering::Relaxed);
        Some(time)
    }

    /// A call ended without saying anything about the upstream: its client left.
    pub(crate) fn abandoned(&self, pass: Pass) {
        if pass == Pass::Probe {
            self.core().probing = false;
        }
    }

    /// The upstream wants no calls before `until`.
    pub(crate) fn cool(&self, until: Moment) {
        self.cool_until.fetch_max(until.0, Ordering::Relaxed);
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // No change leaves it half done, so a panic elsewhere does not spoil it.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn note(&mut self, failed: bool, now: Moment, window: u32) {
        if now.since(self.last) > STALE {
            (self.outcomes, self.count, self.in_a_row) = (0, 0, 0);
        }
        self.last = now;
        let window = window.clamp(1, 64);
        self.outcomes = (self.outcomes << 1 | u64::from(failed)) & (u64::MAX >> (64 - window));
        self.count = (self.count + 1).min(window);
        self.in_a_row = if failed { self.in_a_row.saturating_add(1) } else { 0 };
    }

    fn is_too_much(&self, config: &BreakerConfig) -> bool {
        let failures = f64::from(self.outcomes.count_ones());
        self.in_a_row >= config.failures
            || (self.count >= config.at_least && failures >= config.ratio * f64::from(self.count))
    }
}

#[cfg(test)]
mod tests;
