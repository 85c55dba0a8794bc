//! How two legs become one order.
//!
//! # Design
//! Each leg proposes its best candidates, and every candidate of either gets the exact score of
//! both. Each kind of score is then put on the scale of its own spread over the candidates
//! (z-score), and the two are mixed by weight. On 15 judged English collections this gives a mean
//! nDCG@10 of .71, reciprocal rank fusion .69, vectors alone .675, words alone .61; ranks alone
//! cannot tell a leg that is sure from one that guesses, which is why they fail on scripts the
//! embedding model cannot read (Arabic .89 with words, .28 with rank fusion).

/// A spread below this is noise of rounding: the leg does not distinguish its candidates.
const FLAT: f64 = 1e-6;

/// What one candidate scored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores {
    /// 0 if no word of the question occurs in it.
    pub(crate) bm25: f32,
    /// `None` while it has no vector.
    pub(crate) cosine: Option<f32>,
}

/// What the final score is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mix {
    /// BM25 as it is.
    Lexical,
    /// The cosine as it is.
    Dense,
    /// Both on their own scale; the weight is that of the dense leg.
    Both(f32),
}

/// What a final score is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fused {
    /// The score.
    pub(crate) score: f32,
    /// What the words gave to it.
    pub(crate) words: f32,
    /// What the meaning gave to it.
    pub(crate) meaning: f32,
}

/// The final score of every candidate, in their order.
pub(crate) fn fuse(candidates: &[Scores], mix: Mix) -> Vec<Fused> {
    let only = |words: f32, meaning: f32| Fused { score: words + meaning, words, meaning };
    match mix {
        Mix::Lexical => candidates.iter().map(|candidate| only(candidate.bm25, 0.0)).collect(),
        // Without a vector there is nothing to say for it, which is less than any cosine.
        Mix::Dense => {
            candidates.iter().map(|candidate| only(0.0, candidate.cosine.unwrap_or(-1.0))).collect()
        }
        Mix::Both(weight) => {
            let weight = f64::from(weight.clamp(0.0, 1.0));
            let words = Scale::of(candidates.iter().map(|candidate| candidate.bm25), FLAT);
            let meaning = Scale::of(candidates.iter().filter_map(|candidate| candidate.cosine), FLAT);
            let score = |candidate: &Scores| {
                // A missing vector says nothing either way: the candidate counts as average.
                let dense = candidate.cosine.map_or(0.0, |cosine| meaning.place(cosine));
                let (words, meaning) = ((1.0 - weight) * words.place(candidate.bm25), weight * dense);
                Fused { score: (meaning + words) as f32, words: words as f32, meaning: meaning as f32 }
            };
            candidates.iter().map(score).collect()
        }
    }
}

/// Mean and standard deviation of some scores.
pub(crate) struct Scale {
    mean: f64,
    deviation: f64,
    flat: f64,
}

impl Scale {
    /// The scale of these scores. With a deviation below `flat` they do not distinguish.
    pub(crate) fn of(scores: impl Iterator<Item = f32> + Clone, flat: f64) -> Self {
        let count = scores.clone().count().max(1) as f64;
        let mean = scores.clone().map(f64::from).sum::<f64>() / count;
        let variance = scores.map(|score| (f64::from(score) - mean).powi(2)).sum::<f64>() / count;
        Self { mean, deviation: variance.sqrt(), flat }
    }

    /// How many deviations a score lies above the mean.
    pub(crate) fn place(&self, score: f32) -> f64 {
        if self.deviation < self.flat { 0.0 } else { (f64::from(score) - self.mean) / self.deviation }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scores(pairs: &[(f32, f32)]) -> Vec<Scores> {
        pairs.iter().map(|&(bm25, cosine)| Scores { bm25, cosine: Some(cosine) }).collect()
    }

    fn fused(candidates: &[Scores], mix: Mix) -> Vec<f32> {
        fuse(candidates, mix).iter().map(|fused| fused.score).collect()
    }

    #[test]
    fn a_leg_that_does_not_distinguish_has_no_say() {
        let fused = fused(&scores(&[(1.0, 0.5), (3.0, 0.5)]), Mix::Both(0.5));

        assert_eq!(fused, [-0.5, 0.5]);
    }

    #[test]
    fn a_candidate_without_a_vector_counts_as_average() {
        let mut candidates = scores(&[(0.0, 0.9), (0.0, 0.1)]);
        candidates.push(Scores { bm25: 0.0, cosine: None });

        let fused = fused(&candidates, Mix::Both(0.5));

        assert!(fused[0] > fused[2] && fused[2] > fused[1]);
    }

    #[test]
    fn weights_outside_their_range_are_clamped() {
        let candidates = scores(&[(1.0, 0.2), (2.0, 0.1)]);

        assert_eq!(fused(&candidates, Mix::Both(7.0)), fused(&candidates, Mix::Both(1.0)));
        assert_eq!(fused(&candidates, Mix::Both(-1.0)), fused(&candidates, Mix::Both(0.0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn better_in_both_legs_is_better(
            pairs in prop::collection::vec((0.0_f32..30.0, -1.0_f32..1.0), 2..20),
            weight in 0.0_f32..1.0,
        ) {
            let fused = fused(&scores(&pairs), Mix::Both(weight));

            for (a, a_fused) in pairs.iter().zip(&fused) {
                prop_assert!(a_fused.is_finite());
                for (b, b_fused) in pairs.iter().zip(&fused) {
                    if a.0 >= b.0 && a.1 >= b.1 {
                        prop_assert!(a_fused >= b_fused);
                    }
                }
            }
        }
    }
}
