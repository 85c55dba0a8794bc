//! What an answer says about how it came about.

use crate::{CutReason, Leg, Question, RetrieverConfig, testing::*};

#[tokio::test]
async fn an_answer_says_what_each_leg_proposed_and_what_was_cut() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["whale whale", "whale and sea", "zebra", "the sea"]).await;
    shelf.write("b", &["whale whale"]).await;
    shelf.write("secret", &["whale"]).await;

    let asked = Question { limit: 2, ..question("a whale", &["a", "b"]) };
    let answer = retriever.search(asked).await.unwrap();

    let trace = &answer.trace;
    assert_eq!((trace.allowed, trace.by_words, trace.by_meaning, trace.candidates), (5, 3, 5, 5));
    assert_eq!(trace.terms, ["whale"]);
    assert_eq!(trace.dense_weight, Some(0.65));
    let reasons: Vec<_> = trace.cut.iter().map(|cut| cut.why).collect();
    assert_eq!(reasons, [CutReason::SameText, CutReason::OverLimit, CutReason::OverLimit]);
    assert_eq!(trace.cut[0].file, Some(id("b")));
    let place = answer.passages[0].place;
    assert_eq!((place.fused_rank, place.bm25_rank, place.cosine_rank), (1, Some(1), Some(1)));
    assert!((place.shares.0 + place.shares.1 - answer.passages[0].score).abs() < 1e-6);
    assert!(trace.stages.total >= trace.stages.lexical);
}

#[tokio::test]
async fn what_is_too_far_is_told_to_be() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["zebra", "whale"]).await;

    let asked = Question { min_similarity: 0.95, legs: Leg::Dense, ..question("zebra", &["a"]) };
    let answer = retriever.search(asked).await.unwrap();

    assert_eq!(texts(&answer), ["zebra"]);
    assert_eq!(answer.trace.cut[0].why, CutReason::BelowThreshold);
    assert_eq!(answer.trace.dense_weight, None);
}
