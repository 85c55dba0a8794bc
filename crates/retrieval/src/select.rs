//! From hits to passages: their texts are read, the reranker is asked, and what is too many, too much
//! alike or the same again is left out.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use breezeway_knowledge::{ChunkId, ChunkRange, StoredChunk};
use tracing::warn;

use crate::{
    Cut, CutReason, Passage, Question, Reranked, Result, Trace,
    rerank::{self, Reranker},
    retriever::Inner,
    state::Hit,
};

/// Candidates that are told to have been cut, at most.
const MOST_CUT: usize = 1_000;

/// What a future answers, and how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = work.await;
    (done, began.elapsed())
}

impl Inner {
    /// The passages of an answer, best first, each text once. A chunk that was deleted since the search
    /// is passed over, and so is one that is less similar than wanted; one whose similarity is unknown
    /// is not.
    pub(crate) async fn selected(
        &self,
        question: &Question,
        hits: Vec<Hit>,
        limit: usize,
        trace: &mut Trace,
    ) -> Result<Vec<Passage>> {
        let reranker = self.reranker().filter(|_| !question.without_reranker && !hits.is_empty());
        let wanted = match &reranker {
            Some(_) => limit.max(self.config.rerank.candidates),
            None => limit,
        };
        let (mut passages, read) = {
            let (read, time) = timed(self.read(question, hits, wanted, trace)).await;
            (read?, time)
        };
        trace.stages.read = read;
        if let Some(reranker) = reranker {
            let (told, time) = timed(self.reorder(reranker.as_ref(), &question.text, &mut passages)).await;
            trace.rerank = Some(told);
            trace.stages.rerank = time;
        }
        let over = passages.split_off(passages.len().min(limit));
        // What the reranker put behind the limit comes before what it was not shown.
        let cut = over.iter().map(|passage| Cut {
            chunk: passage.chunk.id,
            file: Some(passage.chunk.file.clone()),
            score: passage.score,
            why: CutReason::OverLimit,
        });
        trace.cut.splice(0..0, cut);
        trace.cut.truncate(MOST_CUT);
        Ok(passages)
    }

    async fn read(
        &self,
        question: &Question,
        hits: Vec<Hit>,
        wanted: usize,
        trace: &mut Trace,
    ) -> Result<Vec<Passage>> {
        let mut passages: Vec<Passage> = Vec::new();
        let mut texts = HashSet::new();
        let mut cut = Vec::new();
        for hit in hits {
            let is_too_far =
                hit.cosine.is_some_and(|cosine| f32::midpoint(1.0, cosine) < question.min_similarity);
            let why = if is_too_far {
                CutReason::BelowThreshold
            } else if passages.len() == wanted {
                CutReason::OverLimit
            } else {
                match self.chunk(hit.chunk).await? {
                    Some(chunk) if texts.insert(chunk.chunk.hash) => {
                        passages.push(passage(chunk, &hit));
                        continue;
                    }
                    Some(_) => CutReason::SameText,
                    None => CutReason::Gone,
                }
            };
            if cut.len() < MOST_CUT {
                cut.push((hit.chunk, hit.score, why));
            }
        }
        let state = self.state();
        trace.cut.extend(cut.into_iter().map(|(chunk, score, why)| Cut {
            chunk: ChunkId(chunk),
            file: state.file(chunk).cloned(),
            score,
            why,
        }));
        Ok(passages)
    }

    async fn chunk(&self, chunk: u32) -> Result<Option<StoredChunk>> {
        let id = ChunkId(chunk);
        Ok(self.chunks.chunks(ChunkRange { first: id, last: id }, None).await?.into_iter().next())
    }

    /// Have the first passages put into another order.
    async fn reorder(
        &self,
        reranker: &dyn Reranker,
        question: &str,
        passages: &mut Vec<Passage>,
    ) -> Reranked {
        let config = self.config.rerank;
        let shown = passages.len().min(config.candidates);
        let texts: Vec<&str> =
            passages[..shown].iter().map(|passage| passage.chunk.chunk.text.as_str()).collect();
        let scores = match rerank::scores(reranker, config.deadline, question, &texts).await {
            Ok(scores) => scores,
            Err(error) => {
                warn!(reranker = reranker.name(), %error, "Passages were not reranked and stay in the fused order");
                return Reranked::FellBack(error.to_string());
            }
        };
        let fused: Vec<f32> = passages[..shown].iter().map(|passage| passage.score).collect();
        let order = rerank::order(&fused, &scores, config.weight);
        let rest = passages.split_off(shown);
        let mut before: Vec<Option<Passage>> = passages.drain(..).map(Some).collect();
        for at in order {
            if let Some(mut passage) = before[at].take() {
                passage.place.reranked = Some(scores[at]);
                passages.push(passage);
            }
        }
        passages.extend(rest);
        Reranked::Done(shown)
    }
}

fn passage(chunk: StoredChunk, hit: &Hit) -> Passage {
    Passage { chunk, score: hit.score, bm25: hit.bm25, cosine: hit.cosine, place: hit.place }
}
