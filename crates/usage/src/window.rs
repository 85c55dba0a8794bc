//! How much there was in the last minute.
//!
//! A sliding window in slices of five seconds: the current slice and the twelve before it always
//! contain the whole last minute, so what is admitted never exceeds the limit in *any* minute, and
//! what is held back is held back for at most one slice too long. A token bucket or GCRA would be
//! smaller, but lets through up to twice the limit in the minute after a pause; the usual counter of
//! this window and a share of the last one guesses how the last one was spread.

use std::time::Duration;

use breezeway_core::MINUTE;

const SLICE_MS: u64 = 5_000;
const SLICES: usize = 13;
/// The same number, as times have it.
const SPAN: u64 = SLICES as u64;

const _: () = assert!((SPAN - 1) * SLICE_MS == MINUTE.as_secs() * 1000, "twelve slices are the window");

/// Amounts of the last minute. Times are milliseconds of a clock that never goes back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    slices: [u32; SLICES],
    /// Which slice of all time is the newest.
    newest: u64,
}

impl Window {
    /// Note an amount.
    pub(crate) fn add(&mut self, now_ms: u64, amount: u64) {
        self.advance(now_ms);
        let slice = &mut self.slices[index(self.newest)];
        *slice = slice.saturating_add(u32::try_from(amount).unwrap_or(u32::MAX));
    }

    /// What was noted in the last minute.
    pub(crate) fn sum(&mut self, now_ms: u64) -> u64 {
        self.advance(now_ms);
        self.slices.iter().map(|&slice| u64::from(slice)).sum()
    }

    /// How long until no more than `most` is left.
    pub(crate) fn until_at_most(&mut self, now_ms: u64, most: u64) -> Duration {
        let mut left = self.sum(now_ms);
        let oldest = (self.newest + 1).saturating_sub(SPAN);
        let mut slices = oldest..=self.newest;
        let mut gone_at = now_ms;
        while left > most
            && let Some(slice) = slices.next()
        {
            left -= u64::from(self.slices[index(slice)]);
            gone_at = (slice + SPAN) * SLICE_MS;
        }
        Duration::from_millis(gone_at.saturating_sub(now_ms))
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&mut self, now_ms: u64) -> bool {
        self.sum(now_ms) == 0
    }

    fn advance(&mut self, now_ms: u64) {
        let now = now_ms / SLICE_MS;
        if now <= self.newest {
            return;
        }
        for slice in (self.newest + 1..=now).rev().take(SLICES) {
            self.slices[index(slice)] = 0;
        }
        self.newest = now;
    }
}

/// Where a slice is kept.
const fn index(slice: u64) -> usize {
    // The remainder is below 13.
    (slice % SPAN) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_window_holds_the_last_minute_and_at_most_a_slice_more(
            steps in prop::collection::vec((0_u64..20_000, 0_u64..100), 1..60),
        ) {
            let (mut window, mut now, mut noted) = (Window::default(), 0, Vec::new());
            for (pause, amount) in steps {
                now += pause;
                window.add(now, amount);
                noted.push((now, amount));

                let within = |ms| noted.iter().filter(|(at, _)| at + ms > now).map(|(_, it)| it).sum::<u64>();
                let sum = window.sum(now);
                prop_assert!(within(60_000) <= sum && sum <= within(65_000));
            }
        }

        #[test]
        fn after_the_wait_there_is_no_more_than_was_asked_and_before_it_there_is(
            steps in prop::collection::vec((0_u64..9_000, 0_u64..100), 1..30),
            most in 0_u64..300,
        ) {
            let (mut window, mut now) = (Window::default(), 0);
            for (pause, amount) in steps {
                now += pause;
                window.add(now, amount);
            }

            let wait = u64::try_from(window.until_at_most(now, most).as_millis()).unwrap();

            prop_assert!(window.clone().sum(now + wait) <= most);
            prop_assert!(wait == 0 || window.sum(now + wait - 1) > most);
        }
    }
}
