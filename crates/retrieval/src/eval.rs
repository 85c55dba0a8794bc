//! How good an order is, judged by people: the usual measures over ranked ids.
//!
//! The definitions are those of trec_eval: gain is the grade and the discount is `log2(rank + 1)`,
//! a document counts as relevant when its grade is above zero, and a question for which nothing is
//! relevant has no score.

use std::{collections::HashMap, hash::Hash};

mod report;

pub use self::report::{Percentiles, Report, StageTimes, Summary, Verdict};

/// Grades of the judged documents of one question. What is not in it counts as 0.
pub type Judged<Id> = HashMap<Id, u32>;

/// Normalised discounted cumulative gain of the first `k`: 1 if no order could be better.
pub fn ndcg<Id: Eq + Hash>(ranked: &[Id], judged: &Judged<Id>, k: usize) -> Option<f64> {
    let gain = |grades: &mut dyn Iterator<Item = u32>| -> f64 {
        (2_u32..).zip(grades.take(k)).map(|(rank, grade)| f64::from(grade) / f64::from(rank).log2()).sum()
    };
    let mut ideal: Vec<_> = judged.values().copied().filter(|&grade| grade > 0).collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = gain(&mut ideal.into_iter());
    let got = gain(&mut ranked.iter().map(|id| judged.get(id).copied().unwrap_or(0)));
    (best > 0.0).then(|| got / best)
}

/// The share of relevant documents among the first `k`.
pub fn recall<Id: Eq + Hash>(ranked: &[Id], judged: &Judged<Id>, k: usize) -> Option<f64> {
    let relevant = judged.values().filter(|&&grade| grade > 0).count();
    let found = ranked.iter().take(k).filter(|&id| is_relevant(id, judged)).count();
    (relevant > 0).then(|| found as f64 / relevant as f64)
}

/// One over the rank of the first relevant document, 0 if it is not among the first `k`. The mean
/// over questions is the MRR.
pub fn reciprocal_rank<Id: Eq + Hash>(ranked: &[Id], judged: &Judged<Id>, k: usize) -> Option<f64> {
    if !judged.values().any(|&grade| grade > 0) {
        return None;
    }
    let first = ranked.iter().take(k).position(|id| is_relevant(id, judged));
    Some(first.map_or(0.0, |at| 1.0 / (at + 1) as f64))
}

/// The mean of what has a score, 0 if nothing has.
pub fn mean(scores: impl IntoIterator<Item = Option<f64>>) -> f64 {
    let (sum, count) =
        scores.into_iter().flatten().fold((0.0, 0_u32), |(sum, count), score| (sum + score, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

fn is_relevant<Id: Eq + Hash>(id: &Id, judged: &Judged<Id>) -> bool {
    judged.get(id).is_some_and(|&grade| grade > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged() -> Judged<&'static str> {
        HashMap::from([("a", 3), ("b", 1), ("c", 0)])
    }

    #[test]
    fn the_ideal_order_scores_one() {
        assert_eq!(ndcg(&["a", "b", "c"], &judged(), 10), Some(1.0));
    }

    #[test]
    fn a_worse_order_scores_what_the_formula_says() {
        let got = ndcg(&["c", "b", "a"], &judged(), 10).expect("there are relevant documents");

        // (1 / log2 3 + 3 / log2 4) / (3 / log2 2 + 1 / log2 3)
        let third = 3.0_f64.log2();
        assert!((got - (1.0 / third + 1.5) / (3.0 + 1.0 / third)).abs() < 1e-12);
    }

    #[test]
    fn recall_and_rank_look_no_further_than_asked() {
        assert_eq!(recall(&["x", "b", "a"], &judged(), 2), Some(0.5));
        assert_eq!(reciprocal_rank(&["x", "b", "a"], &judged(), 2), Some(0.5));
        assert_eq!(reciprocal_rank(&["x", "b"], &judged(), 1), Some(0.0));
    }

    #[test]
    fn a_question_without_relevant_documents_does_not_count() {
        let none = Judged::from([("c", 0)]);

        assert_eq!(mean([ndcg(&["c"], &none, 10), recall(&["c"], &none, 10), Some(0.5)]), 0.5);
    }
}
