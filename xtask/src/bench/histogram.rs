//! Latencies in a fixed amount of memory.

use std::time::Duration;

/// Bits kept of a value: a quantile is off by less than one part in 128.
const BITS: u32 = 7;
const PER_DOUBLING: usize = 1 << BITS;
const BUCKETS: usize = PER_DOUBLING * (64 - BITS as usize + 1);

/// Counts of latencies in buckets whose width grows with the value.
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub(super) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    pub(super) fn count(&self) -> u64 {
        self.total
    }

    /// The latency that `quantile` of all calls did not exceed; zero if there were none.
    pub(super) fn quantile(&self, quantile: f64) -> Duration {
        let wanted = (quantile * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(middle(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (64 - nanos.leading_zeros()).saturating_sub(BITS + 1);
    PER_DOUBLING * shift as usize + (nanos >> shift) as usize
}

fn middle(bucket: usize) -> u64 {
    let shift = (bucket / PER_DOUBLING).saturating_sub(1);
    let low = ((bucket - PER_DOUBLING * shift) as u64) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_values_near_its_middle() {
        for nanos in [0, 1, 127, 128, 255, 256, 999, 123_456, 10_000_000_000, u64::MAX / 2] {
            let told = middle(bucket(nanos));

            assert!(told.abs_diff(nanos) <= nanos / 128, "{nanos} is told as {told}");
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn buckets_are_in_the_order_of_their_values() {
        let buckets: Vec<usize> = (0..100_000).map(bucket).collect();

        assert!(buckets.is_sorted());
    }

    #[test]
    fn half_of_the_calls_are_no_slower_than_the_median() {
        let mut all = Histogram::new();
        let mut second = Histogram::new();
        for micros in 1..=50 {
            all.record(Duration::from_micros(micros));
            second.record(Duration::from_micros(50 + micros));
        }
        all.add(&second);

        let median = all.quantile(0.5).as_nanos();

        assert_eq!(all.count(), 100);
        assert!((49_500..=50_500).contains(&median), "{median}");
    }

    #[test]
    fn no_calls_have_no_latency() {
        assert_eq!(Histogram::new().quantile(0.99), Duration::ZERO);
    }
}
