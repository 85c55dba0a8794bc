//! How fast an offer answers: an average that forgets.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::moment::Moment;

/// After this time a sample counts about a third of what it counted.
const MEMORY: Duration = Duration::from_secs(10);

/// An offer that is not asked is taken to get better at this pace, so that one that was slow is tried
/// again.
const FORGIVENESS: Duration = Duration::from_secs(60);

/// The time to the first byte as an exponentially weighted moving average over time. Two samples at once
/// may lose one of them, which an average can bear.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Seconds, as the bits of a float.
    average: AtomicU64,
    /// When the last sample came; 0 if none did.
    last: AtomicU64,
}

impl Pace {
    /// Take in a sample.
    pub(crate) fn sample(&self, took: Duration, now: Moment) {
        let took = took.as_secs_f64();
        let average = match Moment(self.last.swap(now.0, Ordering::Relaxed)) {
            Moment(0) => took,
            last => {
                let old = f64::from_bits(self.average.load(Ordering::Relaxed));
                // At least a little, or samples that come together would leave no trace.
                let kept = (-now.since(last).as_secs_f64() / MEMORY.as_secs_f64()).exp().min(0.95);
                took + (old - took) * kept
            }
        };
        self.average.store(average.to_bits(), Ordering::Relaxed);
    }

    /// The average in seconds; `None` if nothing is known.
    pub(crate) fn seconds(&self, now: Moment) -> Option<f64> {
        let last = Moment(self.last.load(Ordering::Relaxed));
        let silence = now.since(last).as_secs_f64() / FORGIVENESS.as_secs_f64();
        (last != Moment(0)).then(|| f64::from_bits(self.average.load(Ordering::Relaxed)) * (-silence).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(1).plus(Duration::from_secs(seconds))
    }

    #[test]
    fn nothing_is_known_before_the_first_sample_and_that_counts_whole() {
        let pace = Pace::default();
        let unknown = pace.seconds(at(0));

        pace.sample(Duration::from_millis(300), at(1));

        assert_eq!(unknown, None);
        assert_eq!(pace.seconds(at(1)), Some(0.3));
    }

    #[test]
    fn it_follows_what_it_is_told_and_forgives_in_silence() {
        let pace = Pace::default();
        pace.sample(Duration::from_millis(100), at(0));

        for second in 1..60 {
            pace.sample(Duration::from_secs(1), at(second));
        }

        let slow = pace.seconds(at(60)).unwrap();
        assert!((0.9..1.01).contains(&slow), "{slow}");
        assert!(pace.seconds(at(300)).unwrap() < slow / 10.0);
    }
}
