//! Reranking: a model that reads question and passage together looks at the best candidates again.
//!
//! # Design
//! What it says is blended with the fused score instead of replacing it, each on the scale of its own
//! spread: a small reranker is wrong about names and numbers that words are right about
//! (docs/decisions/0004-ranking.md). It is a guest: it has a deadline, a bounded number of candidates,
//! and whatever goes wrong with it leaves the fused order, and a sentence that says so.

use std::time::Duration;

use async_trait::async_trait;

use crate::fuse::Scale;

/// Scores passages by reading each beside the question.
///
/// # Contract
/// - one finite score for each passage, in the order given; greater fits better;
/// - scores are comparable within one call only;
/// - a call either scores all passages or fails as a whole; dropping its future gives it up.
#[async_trait]
pub trait Reranker: Send + Sync + 'static {
    /// What it is called.
    fn name(&self) -> &str;

    /// Score `passages` for `question`.
    async fn rerank(&self, question: &str, passages: &[&str]) -> Result<Vec<f32>, RerankError>;
}

/// Why passages were not reranked: a sentence for whoever runs the server, without their text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RerankError(pub String);

/// How a reranker is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RerankConfig {
    /// The most candidates it is shown, the best by their fused score.
    pub candidates: usize,
    /// How long it may take.
    pub deadline: Duration,
    /// The weight of what it says, 0 to 1; the fused score has the rest.
    pub weight: f32,
}

impl Default for RerankConfig {
    /// Forty candidates: the first fifty hold nearly all there is to gain (docs/decisions/0004-ranking.md).
    fn default() -> Self {
        Self { candidates: 40, deadline: Duration::from_secs(5), weight: 0.6 }
    }
}

/// Ask `reranker` within the deadline. The scores are one for each passage and finite.
pub(crate) async fn scores(
    reranker: &dyn Reranker,
    deadline: Duration,
    question: &str,
    passages: &[&str],
) -> Result<Vec<f32>, RerankError> {
    let scores = match tokio::time::timeout(deadline, reranker.rerank(question, passages)).await {
        Ok(answer) => answer?,
        Err(_) => return Err(RerankError(format!("no answer within {deadline:?}"))),
    };
    if scores.len() != passages.len() || scores.iter().any(|score| !score.is_finite()) {
        let text = format!("{} usable scores for {} passages", scores.len(), passages.len());
        return Err(RerankError(text));
    }
    Ok(scores)
}

/// The places of passages after reranking, best first: indexes into both lists. `fused` falls.
pub(crate) fn order(fused: &[f32], reranked: &[f32], weight: f32) -> Vec<usize> {
    let weight = f64::from(weight.clamp(0.0, 1.0));
    let (fused, reranked) = (spread(fused), spread(reranked));
    let blended: Vec<f64> =
        fused.iter().zip(&reranked).map(|(fused, again)| (1.0 - weight) * fused + weight * again).collect();
    let mut order: Vec<usize> = (0..blended.len()).collect();
    // Stable: equals stay in the fused order.
    order.sort_by(|&a, &b| blended[b].total_cmp(&blended[a]));
    order
}

/// Each score on the scale of all. Rerankers that answer probabilities tell poor passages apart far below
/// what the legs of a search do.
fn spread(scores: &[f32]) -> Vec<f64> {
    let scale = Scale::of(scores.iter().copied(), 1e-9);
    scores.iter().map(|&score| scale.place(score)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_decides_between_both_orders() {
        let (fused, reranked) = ([3.0, 2.0, 1.0], [0.1, 0.2, 0.9]);

        assert_eq!(order(&fused, &reranked, 0.0), [0, 1, 2]);
        assert_eq!(order(&fused, &reranked, 1.0), [2, 1, 0]);
        assert_eq!(order(&fused, &[0.5; 3], 1.0), [0, 1, 2]);
    }
}
