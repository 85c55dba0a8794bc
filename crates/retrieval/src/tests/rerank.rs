//! The reranker: what it says counts, and what goes wrong with it costs nothing.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    CutReason, Question, RerankConfig, RerankError, Reranked, Reranker, Retriever, RetrieverConfig,
    testing::*,
};

/// Prefers passages by how late their text comes in the alphabet, fails or hangs.
enum Scripted {
    LastFirst,
    Fails,
    Hangs,
    Short,
}

#[async_trait]
impl Reranker for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn rerank(&self, _question: &str, passages: &[&str]) -> Result<Vec<f32>, RerankError> {
        match self {
            Self::LastFirst => Ok(passages.iter().map(|text| f32::from(text.as_bytes()[0]) * 10.0).collect()),
            Self::Fails => Err(RerankError("the service is down".into())),
            Self::Hangs => std::future::pending().await,
            Self::Short => Ok(vec![1.0]),
        }
    }
}

async fn shelf() -> (Shelf, Retriever) {
    let shelf = Shelf::new();
    shelf.write("a", &["a whale whale whale", "m whale and zebra", "z zebra and one whale"]).await;
    let rerank = RerankConfig { weight: 1.0, deadline: Duration::from_secs(5), candidates: 40 };
    let retriever = shelf.retriever(RetrieverConfig { rerank, ..RetrieverConfig::default() }).await;
    (shelf, retriever)
}

#[tokio::test]
async fn a_reranker_puts_the_candidates_into_its_order() {
    let (_shelf, retriever) = shelf().await;
    retriever.set_reranker(Some(Arc::new(Scripted::LastFirst)));

    let asked = Question { limit: 2, ..question("whale", &["a"]) };
    let answer = retriever.search(asked).await.unwrap();

    assert_eq!(texts(&answer), ["z zebra and one whale", "m whale and zebra"]);
    assert_eq!(answer.trace.rerank, Some(Reranked::Done(3)));
    assert_eq!(answer.trace.cut.iter().map(|cut| cut.why).collect::<Vec<_>>(), [CutReason::OverLimit]);
    assert!(answer.passages.iter().all(|passage| passage.place.reranked.is_some()));
    assert_ne!(answer.passages[0].place.fused_rank, 1);
}

#[tokio::test(start_paused = true)]
async fn without_its_answer_the_fused_order_stands_and_that_is_said() {
    let (_shelf, retriever) = shelf().await;
    let fused = retriever.search(question("whale", &["a"])).await.unwrap();

    for (reranker, why) in [
        (Scripted::Fails, "the service is down"),
        (Scripted::Hangs, "no answer within 5s"),
        (Scripted::Short, "1 usable scores for 3 passages"),
    ] {
        retriever.set_reranker(Some(Arc::new(reranker)));

        let answer = retriever.search(question("whale", &["a"])).await.unwrap();

        assert_eq!(texts(&answer), texts(&fused));
        assert_eq!(answer.trace.rerank, Some(Reranked::FellBack(why.to_owned())));
    }
}

#[tokio::test]
async fn a_question_may_do_without_it() {
    let (_shelf, retriever) = shelf().await;
    retriever.set_reranker(Some(Arc::new(Scripted::Fails)));

    let asked = Question { without_reranker: true, ..question("whale", &["a"]) };
    let answer = retriever.search(asked).await.unwrap();

    assert_eq!(answer.trace.rerank, None);
}
