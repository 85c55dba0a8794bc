//! A source of random numbers that a test can seed.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// Random numbers for choices, not for secrets. Rolling takes one atomic addition and never waits.
///
/// `SplitMix64` of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): its
/// state only counts, so many threads can roll at once.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// Dice that fall alike for the same seed, or as the process's own randomness has it.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(AtomicU64::new(seed.unwrap_or_else(|| RandomState::new().build_hasher().finish())))
    }

    /// Any number.
    pub(crate) fn roll(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        mixed(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }

    /// A number from 0 up to, but not including, 1.
    pub(crate) fn part(&self) -> f64 {
        unit(self.roll())
    }
}

impl fmt::Debug for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dice")
    }
}

/// The number with every bit of it in every bit of the answer.
pub(crate) fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The number as a part of one: its upper 53 bits, which a float holds exactly.
pub(crate) fn unit(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_dice_fall_alike() {
        let (one, other) = (Dice::new(Some(7)), Dice::new(Some(7)));

        let rolls: Vec<_> = (0..9).map(|_| one.roll()).collect();

        assert_eq!(rolls, (0..9).map(|_| other.roll()).collect::<Vec<_>>());
        assert_ne!(rolls[0], rolls[1]);
    }

    #[test]
    fn a_part_is_less_than_one() {
        assert_eq!(unit(0), 0.0);
        assert!(unit(u64::MAX) < 1.0);
    }
}
