//! Many judged questions together: what their orders are worth and how long each stage took.

use std::{hash::Hash, time::Duration};

use super::{Judged, mean, ndcg, recall, reciprocal_rank};
use crate::Stages;

/// What one order is worth; `None` where nothing relevant is known for the question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// nDCG of the first ten.
    pub ndcg_10: Option<f64>,
    /// Recall of the first ten.
    pub recall_10: Option<f64>,
    /// Recall of the first hundred.
    pub recall_100: Option<f64>,
    /// Reciprocal rank within the first ten.
    pub mrr_10: Option<f64>,
}

impl Verdict {
    /// Judge an order of documents. One that comes several times counts where it comes first.
    pub fn of<Id: Eq + Hash + Clone>(ranked: &[Id], judged: &Judged<Id>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let ranked: Vec<Id> = ranked.iter().filter(|&id| seen.insert(id)).cloned().collect();
        Self {
            ndcg_10: ndcg(&ranked, judged, 10),
            recall_10: recall(&ranked, judged, 10),
            recall_100: recall(&ranked, judged, 100),
            mrr_10: reciprocal_rank(&ranked, judged, 10),
        }
    }
}

/// Verdicts and times of many questions.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Why the first question that was searched by words alone was.
    pub degraded: Option<String>,
    verdicts: Vec<Verdict>,
    stages: Vec<Stages>,
}

/// Means over all questions with a verdict, and times.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many questions had something relevant to find.
    pub questions: usize,
    /// Mean nDCG@10.
    pub ndcg_10: f64,
    /// Mean recall@10.
    pub recall_10: f64,
    /// Mean recall@100.
    pub recall_100: f64,
    /// MRR@10.
    pub mrr_10: f64,
    /// How long each stage took.
    pub times: StageTimes,
}

/// Picks the time of one stage.
type Stage = fn(&Stages) -> Duration;

/// Times by the name of the stage, in the order of the work.
pub type StageTimes = Vec<(&'static str, Percentiles)>;

/// The middle and the slow end of some times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

impl Report {
    /// Count a question.
    pub fn add(&mut self, verdict: Verdict, stages: &Stages) {
        self.verdicts.push(verdict);
        self.stages.push(*stages);
    }

    /// The means.
    pub fn summary(&self) -> Summary {
        let of = |measure: fn(&Verdict) -> Option<f64>| mean(self.verdicts.iter().map(measure));
        Summary {
            questions: self.verdicts.iter().filter(|verdict| verdict.ndcg_10.is_some()).count(),
            ndcg_10: of(|verdict| verdict.ndcg_10),
            recall_10: of(|verdict| verdict.recall_10),
            recall_100: of(|verdict| verdict.recall_100),
            mrr_10: of(|verdict| verdict.mrr_10),
            times: self.times(),
        }
    }

    fn times(&self) -> StageTimes {
        const STAGES: [(&str, Stage); 10] = [
            ("follow", |stages| stages.follow),
            ("embed", |stages| stages.embed),
            ("wait", |stages| stages.wait),
            ("filter", |stages| stages.filter),
            ("dense", |stages| stages.dense),
            ("lexical", |stages| stages.lexical),
            ("fuse", |stages| stages.fuse),
            ("read", |stages| stages.read),
            ("rerank", |stages| stages.rerank),
            ("total", |stages| stages.total),
        ];
        STAGES.map(|(name, of)| (name, percentiles(self.stages.iter().map(of).collect()))).to_vec()
    }
}

fn percentiles(mut times: Vec<Duration>) -> Percentiles {
    times.sort_unstable();
    // The nearest rank: a time that was measured, and not one between two.
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied().unwrap_or_default()
    };
    Percentiles { p50: at(50), p99: at(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_comes_twice_counts_once() {
        let judged = Judged::from([("a", 1), ("b", 1)]);

        let verdict = Verdict::of(&["a", "a", "b"], &judged);

        assert_eq!(verdict.ndcg_10, Some(1.0));
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=200).map(Duration::from_millis).collect();

        let found = percentiles(times);

        assert_eq!(found, Percentiles { p50: Duration::from_millis(100), p99: Duration::from_millis(198) });
        assert_eq!(percentiles(Vec::new()), Percentiles::default());
    }
}
