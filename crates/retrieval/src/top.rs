//! The best few of many.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// A chunk's number and its score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scored {
    pub(crate) chunk: u32,
    pub(crate) score: f32,
}

/// Better is greater. Of equal scores the smaller number is the better one, so that what is cut off
/// does not depend on the order in which chunks are looked at.
impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.chunk.cmp(&self.chunk))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

/// Keeps the `limit` best of what is offered.
pub(crate) struct Top {
    limit: usize,
    worst_first: BinaryHeap<Reverse<Scored>>,
}

impl Top {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, worst_first: BinaryHeap::new() }
    }

    /// Whether [`Top::offer`] would keep this; for callers whose other conditions cost more.
    pub(crate) fn wants(&self, scored: Scored) -> bool {
        self.worst_first.len() < self.limit
            || self.worst_first.peek().is_some_and(|Reverse(worst)| scored > *worst)
    }

    pub(crate) fn offer(&mut self, scored: Scored) {
        if !self.wants(scored) {
            return;
        }
        if self.worst_first.len() == self.limit {
            self.worst_first.pop();
        }
        self.worst_first.push(Reverse(scored));
    }

    /// The worst of what is kept; `None` while there is room for more.
    pub(crate) fn worst(&self) -> Option<f32> {
        let worst = self.worst_first.peek().filter(|_| self.worst_first.len() == self.limit);
        worst.map(|Reverse(scored)| scored.score)
    }

    /// What was kept, best first.
    pub(crate) fn into_sorted(self) -> Vec<Scored> {
        self.worst_first.into_sorted_vec().into_iter().map(|Reverse(scored)| scored).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_best_are_kept_in_order(scores in prop::collection::vec(0_u8..5, 0..40), limit in 0_usize..12) {
            let all: Vec<_> = (0_u32..).zip(&scores)
                .map(|(chunk, &score)| Scored { chunk, score: f32::from(score) })
                .collect();
            let mut top = Top::new(limit);

            all.iter().for_each(|&scored| top.offer(scored));

            let mut sorted = all;
            sorted.sort_by(|a, b| b.cmp(a));
            sorted.truncate(limit);
            prop_assert_eq!(top.into_sorted(), sorted);
        }
    }
}
