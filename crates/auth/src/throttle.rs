//! Throttling guesses: at most [`TRIES`] failures for one address in any [`WINDOW`].
//!
//! # Design
//! A map of addresses would have to forget some when strangers send many, and what it forgets first
//! is what an attacker gets it to forget. Here an address has a place in a table of fixed size,
//! chosen by a hash with a random key. Two addresses may share a place and then share their tries,
//! which nobody can bring about on purpose. To fill a notable part of the table takes several
//! hundred thousand guesses in one window, far more than a hashing lane answers.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use breezeway_core::UnixTime;

use crate::{Error, Result};

/// Failures allowed, as in Open WebUI.
pub(crate) const TRIES: usize = 15;
/// Within how long.
pub(crate) const WINDOW: Duration = Duration::from_secs(180);
const PLACES: usize = 16 * 1024;

/// When the latest tries of one place were made; zero where there was none.
type Place = [i64; TRIES];

pub(crate) struct Throttle {
    /// Zeroed pages cost nothing until they are written to.
    places: Mutex<Vec<Place>>,
    hasher: RandomState,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { places: Mutex::new(vec![[0; TRIES]; PLACES]), hasher: RandomState::new() }
    }

    /// Count a try before it is answered, so that many at once cannot slip past the limit.
    pub(crate) fn begin(&self, subject: &str, now: UnixTime) -> Result<Try<'_>> {
        let index = usize::try_from(self.hasher.hash_one(subject)).unwrap_or(usize::MAX) % PLACES;
        // A clock before 1970 would look like a free slot.
        let at = now.seconds().max(1);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut places[index];
        let age = |slot: i64| now.since(UnixTime::from_seconds(slot));
        let free = place.iter_mut().find(|slot| **slot == 0 || age(**slot) >= WINDOW);
        if let Some(slot) = free {
            *slot = at;
            return Ok(Try { throttle: self, index, at });
        }
        let oldest = place.iter().map(|slot| age(*slot)).max().unwrap_or_default();
        Err(Error::Throttled(WINDOW.saturating_sub(oldest)))
    }
}

/// A try that has been counted.
pub(crate) struct Try<'a> {
    throttle: &'a Throttle,
    index: usize,
    at: i64,
}

impl Try<'_> {
    /// It was no guess after all: the password was right, or nobody looked at it.
    pub(crate) fn forgive(self) {
        let mut places = self.throttle.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = places[self.index].iter_mut().find(|slot| **slot == self.at) {
            *slot = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    #[test]
    fn the_sixteenth_try_in_a_window_is_refused_and_later_ones_are_not() {
        let throttle = Throttle::new();
        for _ in 0..TRIES {
            assert!(throttle.begin("ada", NOW).is_ok());
        }

        let later = NOW.plus(Duration::from_secs(30));
        assert!(matches!(throttle.begin("ada", NOW), Err(Error::Throttled(WINDOW))));
        assert!(matches!(throttle.begin("ada", later), Err(Error::Throttled(wait)) if wait.as_secs() == 150));
        assert!(throttle.begin("bob", NOW).is_ok());
        assert!(throttle.begin("ada", NOW.plus(WINDOW)).is_ok());
    }

    #[test]
    fn a_forgiven_try_does_not_count() {
        let throttle = Throttle::new();

        for _ in 0..100 {
            throttle.begin("ada", NOW).expect("nothing was held against it").forgive();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_window_holds_more_than_the_limit(steps in proptest::collection::vec(0_u64..30, 1..120)) {
            let throttle = Throttle::new();
            let (mut now, mut allowed) = (NOW, Vec::new());

            for step in steps {
                now = now.plus(Duration::from_secs(step));
                if throttle.begin("ada", now).is_ok() {
                    allowed.push(now);
                }
                let recent = allowed.iter().filter(|&&at| now.since(at) < WINDOW).count();
                prop_assert!(recent <= TRIES);
            }
        }
    }
}
