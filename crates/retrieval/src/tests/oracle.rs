//! Search against an oracle that does everything naively and from scratch: BM25 over a list of term
//! lists, cosines one by one, fusion by the book.

use std::collections::{BTreeMap, HashSet};

use breezeway_embedding::{EmbeddingModel, Purpose, Vector};
use breezeway_knowledge::{ChunkId, ChunkRange, ChunkStore, StoredChunk};
use proptest::prelude::*;

use super::in_folder;
use crate::{
    Leg, Question, RetrieverConfig, analyser::terms, lexical::Statistics, testing::*, vector::score,
};

const FILES: [&str; 4] = ["a", "b", "c", "d"];
const WORDS: [&str; 9] = ["whale", "zebra", "tale", "sea", "the", "gateway", "鲸鱼", "running", "model42"];

#[derive(Clone, Debug)]
enum Step {
    Write { file: usize, texts: Vec<Vec<usize>>, embedded: bool },
    Delete(usize),
    CatchUp,
    Fold,
    Reopen,
    DeleteIndex,
    Ask { words: Vec<usize>, files: Vec<usize>, legs: Leg, candidates_first: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let words = || prop::collection::vec(0..WORDS.len(), 1..5);
    let files = prop::collection::vec(0..FILES.len(), 0..4);
    let legs = prop_oneof![3 => Just(Leg::Both), 1 => Just(Leg::Lexical), 1 => Just(Leg::Dense)];
    prop_oneof![
        4 => (0..FILES.len(), prop::collection::vec(words(), 1..5), any::<bool>())
            .prop_map(|(file, texts, embedded)| Step::Write { file, texts, embedded }),
        1 => (0..FILES.len()).prop_map(Step::Delete),
        1 => Just(Step::CatchUp),
        2 => Just(Step::Fold),
        1 => Just(Step::Reopen),
        1 => Just(Step::DeleteIndex),
        5 => (words(), files, legs, any::<bool>()).prop_map(|(words, files, legs, candidates_first)| {
            Step::Ask { words, files, legs, candidates_first }
        }),
    ]
}

fn sentence(words: &[usize]) -> String {
    words.iter().map(|&word| WORDS[word]).collect::<Vec<_>>().join(" ")
}

/// Every living chunk, with its vector.
async fn everything(shelf: &Shelf) -> Vec<StoredChunk> {
    let all = ChunkRange { first: ChunkId(0), last: ChunkId(u32::MAX) };
    shelf.store.chunks(all, Some(shelf.model.fingerprint())).await.expect("the store is in memory")
}

/// What the search should answer: text and score, best first.
async fn expected(shelf: &Shelf, asked: &Question, config: &RetrieverConfig) -> Vec<(String, u32)> {
    let chunks = everything(shelf).await;
    let analysed: BTreeMap<_, _> =
        chunks.iter().map(|chunk| (chunk.id.0, terms(&chunk.chunk.text))).collect();
    let statistics = Statistics {
        documents: chunks.len() as u64,
        tokens: analysed.values().map(|terms| terms.len() as u64).sum(),
    };
    let mut question_terms = Vec::new();
    for term in terms(&asked.text) {
        if !question_terms.contains(&term) {
            question_terms.push(term);
        }
    }
    let bm25 = |chunk: &StoredChunk| {
        let mut score = 0.0_f32;
        for term in &question_terms {
            let with = analysed.values().filter(|terms| terms.contains(term)).count() as u64;
            let own = &analysed[&chunk.id.0];
            let times = own.iter().filter(|other| *other == term).count() as u32;
            if times > 0 {
                score += statistics.score(statistics.rarity(with), times, own.len() as u32);
            }
        }
        score
    };
    let vector: Vector = shelf
        .model
        .embed(Purpose::Query, &[asked.text.as_str()])
        .await
        .expect("the model never fails")
        .remove(0);
    let cosine = |chunk: &StoredChunk| chunk.vector.as_ref().map(|own| score(&vector, own));
    let allowed: Vec<_> = chunks.iter().filter(|chunk| asked.files.contains(&chunk.file)).collect();
    let best = |score: &dyn Fn(&StoredChunk) -> Option<f32>| -> Vec<&StoredChunk> {
        let mut scored: Vec<_> = allowed.iter().filter_map(|chunk| Some((score(chunk)?, *chunk))).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id)));
        scored.into_iter().take(config.candidates.max(asked.limit)).map(|(_, chunk)| chunk).collect()
    };
    let nearest = if asked.legs == Leg::Lexical { Vec::new() } else { best(&cosine) };
    let uses_words = asked.legs != Leg::Dense || nearest.is_empty();
    let matching =
        if uses_words { best(&|chunk| Some(bm25(chunk)).filter(|&score| score > 0.0)) } else { Vec::new() };
    let mut union: Vec<_> = nearest.iter().chain(&matching).copied().collect();
    union.sort_by_key(|chunk| chunk.id);
    union.dedup_by_key(|chunk| chunk.id);
    let place = |scores: &[f32]| {
        let count = scores.len().max(1) as f64;
        let mean = scores.iter().map(|&score| f64::from(score)).sum::<f64>() / count;
        let variance = scores.iter().map(|&score| (f64::from(score) - mean).powi(2)).sum::<f64>() / count;
        move |score: f32| {
            if variance.sqrt() < 1e-6 { 0.0 } else { (f64::from(score) - mean) / variance.sqrt() }
        }
    };
    let words = place(&union.iter().map(|chunk| bm25(chunk)).collect::<Vec<_>>());
    let meaning = place(&union.iter().filter_map(|chunk| cosine(chunk)).collect::<Vec<_>>());
    let mut ranked: Vec<_> = union
        .iter()
        .map(|chunk| {
            let score = if matching.is_empty() {
                cosine(chunk).unwrap_or(-1.0)
            } else if nearest.is_empty() {
                bm25(chunk)
            } else {
                let weight = f64::from(asked.dense_weight.expect("the test sets it"));
                let dense = cosine(chunk).map_or(0.0, &meaning);
                (weight * dense + (1.0 - weight) * words(bm25(chunk))) as f32
            };
            (score, *chunk)
        })
        .collect();
    ranked.sort_by(|a, b| {
        b.0.total_cmp(&a.0).then_with(|| (&a.1.file, a.1.ordinal).cmp(&(&b.1.file, b.1.ordinal)))
    });
    let mut seen = HashSet::new();
    ranked
        .into_iter()
        .filter(|(_, chunk)| seen.insert(chunk.chunk.text.clone()))
        .take(asked.limit)
        .map(|(score, chunk)| (chunk.chunk.text.clone(), score.to_bits()))
        .collect()
}

async fn check(steps: Vec<Step>, candidates: usize) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new();
    let config = RetrieverConfig { candidates, ..in_folder(&folder) };
    let mut retriever = shelf.retriever(config.clone()).await;
    for step in steps {
        match step {
            Step::Write { file, texts, embedded } => {
                let texts: Vec<_> = texts.iter().map(|words| sentence(words)).collect();
                let texts: Vec<_> = texts.iter().map(String::as_str).collect();
                if embedded {
                    shelf.write(FILES[file], &texts).await;
                } else {
                    shelf.write_words(FILES[file], &texts).await;
                }
            }
            Step::Delete(file) => shelf.delete(FILES[file]).await,
            Step::CatchUp => shelf.catch_up().await,
            Step::Fold => retriever.inner().fold().await.expect("the disk takes it"),
            Step::Reopen | Step::DeleteIndex => {
                drop(retriever);
                if matches!(step, Step::DeleteIndex) {
                    std::fs::remove_dir_all(folder.path()).expect("it is ours");
                }
                retriever = shelf.retriever(config.clone()).await;
            }
            Step::Ask { words, files, legs, candidates_first } => {
                let asked = Question {
                    text: sentence(&words),
                    files: files.iter().map(|&file| id(FILES[file])).collect(),
                    limit: if candidates_first { 1 } else { 5 },
                    min_similarity: 0.0,
                    legs,
                    dense_weight: Some(0.65),
                    without_reranker: false,
                };

                let answer = retriever.search(asked.clone()).await.expect("a search");

                let found: Vec<_> = answer
                    .passages
                    .iter()
                    .map(|passage| (passage.chunk.chunk.text.clone(), passage.score.to_bits()))
                    .collect();
                prop_assert_eq!(found, expected(&shelf, &asked, &config).await, "asked {:?}", asked);
                for passage in &answer.passages {
                    prop_assert!(asked.files.contains(&passage.chunk.file));
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn search_equals_the_naive_one(
        steps in prop::collection::vec(step(), 1..24),
        candidates in prop_oneof![Just(2_usize), Just(100)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(check(steps, candidates))?;
    }
}
