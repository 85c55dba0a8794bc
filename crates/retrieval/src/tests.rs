//! The retriever as its callers see it.

mod explained;
mod oracle;
mod rerank;
mod trouble;

use std::{fs, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use breezeway_embedding::{EmbedError, EmbeddingModel, Fingerprint, HashedModel, Purpose, Vector};

use crate::{Answer, Leg, Question, RetrieverConfig, testing::*};

fn in_folder(folder: &tempfile::TempDir) -> RetrieverConfig {
    RetrieverConfig { index_folder: Some(folder.path().to_owned()), ..RetrieverConfig::default() }
}

/// What an answer says, scores to the last bit.
fn said(answer: &Answer) -> Vec<(String, u32, Option<u32>, Option<u32>)> {
    let bits = |score: Option<f32>| score.map(f32::to_bits);
    let of = |passage: &crate::Passage| {
        let text = passage.chunk.chunk.text.clone();
        (text, passage.score.to_bits(), bits(passage.bm25), bits(passage.cosine))
    };
    answer.passages.iter().map(of).collect()
}

#[tokio::test]
async fn what_was_committed_is_found_by_the_next_question() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["Gateways connect clients to models.", "Cats sleep."]).await;

    let answer =
        retriever.search(question("Which gateways connect clients?", &["a"])).await.expect("a search");

    assert_eq!(texts(&answer)[0], "Gateways connect clients to models.");
    assert_eq!(answer.degraded, None);
}

#[tokio::test]
async fn what_was_deleted_or_replaced_is_gone_from_the_next_question() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["an old tale"]).await;
    shelf.write("b", &["another tale"]).await;
    retriever.search(question("tale", &["a", "b"])).await.expect("a search");

    shelf.write("a", &["a new tale"]).await;
    shelf.delete("b").await;

    let answer = retriever.search(question("tale", &["a", "b"])).await.expect("a search");
    assert_eq!(texts(&answer), ["a new tale"]);
}

#[tokio::test]
async fn only_the_files_asked_for_are_searched() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig { candidates: 1, ..RetrieverConfig::default() }).await;
    shelf.write("secret", &["whale whale whale", "whale song"]).await;
    shelf.write("open", &["the sea, and somewhere in it perhaps a whale"]).await;

    for legs in [Leg::Both, Leg::Lexical, Leg::Dense] {
        let asked = Question { legs, ..question("whale", &["open", "unknown"]) };
        let answer = retriever.search(asked).await.expect("a search");

        // The better matches would have used up the only candidate if rights came after ranking.
        assert_eq!(texts(&answer), ["the sea, and somewhere in it perhaps a whale"]);
    }
    let nothing = retriever.search(question("whale", &[])).await.expect("a search");
    assert!(nothing.passages.is_empty());
}

#[tokio::test]
async fn a_filter_to_few_chunks_changes_no_score() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    let many: Vec<_> = (0..100).map(|number| format!("whale {number}{}", " and".repeat(number))).collect();
    shelf.write("many", &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    shelf.write("few", &["a whale, a zebra", "zebras", "nothing of the kind"]).await;
    let asked = |files: &[&str]| Question {
        limit: 200,
        legs: Leg::Lexical,
        ..question("whales and zebras and 42", files)
    };
    retriever.search(asked(&["few"])).await.expect("a search");
    retriever.inner().fold().await.expect("memory takes it");

    let few = said(&retriever.search(asked(&["few"])).await.expect("a search"));
    let all = said(&retriever.search(asked(&["few", "many"])).await.expect("a search"));

    assert_eq!(few.len(), 2);
    assert_eq!(all.len(), 102);
    assert!(few.iter().all(|passage| all.contains(passage)));
}

#[tokio::test]
async fn equal_texts_are_answered_once() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["a licence", "a licence", "another licence"]).await;
    shelf.write("b", &["a licence"]).await;

    let asked = Question { limit: 2, ..question("licence", &["b", "a"]) };
    let answer = retriever.search(asked).await.expect("a search");

    assert_eq!(texts(&answer), ["a licence", "another licence"]);
    assert_eq!(answer.passages[0].chunk.file, id("a"), "of equals the first file answers");
}

#[tokio::test]
async fn a_chunk_without_a_vector_is_found_by_its_words() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write_words("a", &["zebra crossing"]).await;

    let before = retriever.search(question("zebra", &["a"])).await.expect("a search");
    shelf.catch_up().await;
    let after = retriever.search(question("zebra", &["a"])).await.expect("a search");

    assert_eq!(texts(&before), ["zebra crossing"]);
    assert_eq!(before.degraded.as_deref(), Some("none of the chunks searched has a vector yet"));
    assert_eq!(after.degraded, None);
    assert!(after.passages[0].cosine.is_some());
}

#[tokio::test]
async fn without_a_model_words_are_searched_and_the_answer_says_so() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever_with(RetrieverConfig::default(), None).await;
    shelf.write("a", &["zebra crossing"]).await;

    let answer = retriever.search(question("zebras", &["a"])).await.expect("a search");

    assert_eq!(texts(&answer), ["zebra crossing"]);
    assert_eq!(answer.degraded.as_deref(), Some("no embedding model is available"));
    let words = Question { legs: Leg::Lexical, ..question("zebras", &["a"]) };
    assert_eq!(retriever.search(words).await.expect("a search").degraded, None);
}

/// A model that knows the passages of another and cannot answer a question.
struct Mute {
    of: Arc<HashedModel>,
    stalls: bool,
}

#[async_trait]
impl EmbeddingModel for Mute {
    fn fingerprint(&self) -> &Fingerprint {
        self.of.fingerprint()
    }

    fn dimensions(&self) -> Option<usize> {
        self.of.dimensions()
    }

    fn is_multilingual(&self) -> bool {
        false
    }

    async fn embed(&self, _purpose: Purpose, _texts: &[&str]) -> Result<Vec<Vector>, EmbedError> {
        if self.stalls {
            std::future::pending::<()>().await;
        }
        Err(EmbedError::Transient("try later".to_owned()))
    }
}

#[tokio::test]
async fn a_model_that_fails_or_stalls_leaves_the_words() {
    let shelf = Shelf::new();
    shelf.write("a", &["zebra crossing"]).await;

    for (stalls, reason) in [(false, "try later"), (true, "no answer within 10ms")] {
        let config =
            RetrieverConfig { embed_deadline: Duration::from_millis(10), ..RetrieverConfig::default() };
        let mute = Arc::new(Mute { of: shelf.model.clone(), stalls });
        let retriever = shelf.retriever_with(config, Some(mute)).await;

        let answer = retriever.search(question("zebra", &["a"])).await.expect("a search");

        assert_eq!(texts(&answer), ["zebra crossing"]);
        assert!(answer.degraded.is_some_and(|why| why.contains(reason)));
    }
}

#[tokio::test]
async fn another_model_never_meets_the_vectors_of_the_first() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["zebra crossing"]).await;
    retriever.search(question("zebra", &["a"])).await.expect("a search");

    retriever.set_model(Some(Arc::new(HashedModel::new(16)))).await.expect("the store is in memory");
    let other = retriever.search(question("zebra", &["a"])).await.expect("a search");
    retriever.set_model(Some(shelf.model.clone())).await.expect("the store is in memory");
    let first = retriever.search(question("zebra", &["a"])).await.expect("a search");
    retriever.set_model(None).await.expect("nothing is read");
    let none = retriever.search(question("zebra", &["a"])).await.expect("a search");

    assert_eq!(other.passages[0].cosine, None);
    assert!(first.passages[0].cosine.is_some_and(|cosine| cosine > 0.5));
    assert_eq!(none.passages[0].cosine, None);
}

#[tokio::test]
async fn dissimilar_passages_are_dropped_on_request() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["zebra", "zebra with a great many words that have nothing to do with it"]).await;

    let asked = Question { min_similarity: 0.95, ..question("zebra", &["a"]) };
    let answer = retriever.search(asked).await.expect("a search");

    assert_eq!(texts(&answer), ["zebra"]);
    assert!(answer.passages[0].similarity().is_some_and(|similarity| similarity > 0.99));
}

#[tokio::test]
async fn answers_do_not_change_when_the_index_is_deleted_or_reopened() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new();
    let asked = || question("the tale of whales and zebras", &["a", "b", "c"]);
    let retriever = shelf.retriever(in_folder(&folder)).await;
    shelf.write("a", &["a tale of whales", "zebras", "more tales of more whales"]).await;
    shelf.write("b", &["whales, tales"]).await;
    retriever.search(asked()).await.expect("a search");
    retriever.inner().fold().await.expect("the disk takes it");
    shelf.delete("b").await;
    shelf.write("c", &["zebras and whales", "a tale"]).await;
    let unfolded = said(&retriever.search(asked()).await.expect("a search"));

    retriever.inner().fold().await.expect("the disk takes it");
    let folded = said(&retriever.search(asked()).await.expect("a search"));
    drop(retriever);
    let retriever = shelf.retriever(in_folder(&folder)).await;
    let reopened = said(&retriever.search(asked()).await.expect("a search"));
    drop(retriever);
    fs::remove_dir_all(folder.path()).expect("it is ours");
    let retriever = shelf.retriever(in_folder(&folder)).await;
    let anew = said(&retriever.search(asked()).await.expect("a search"));

    assert_eq!(unfolded.len(), 5);
    assert_eq!(folded, unfolded);
    assert_eq!(reopened, unfolded);
    assert_eq!(anew, unfolded);
}

#[tokio::test]
async fn what_is_deleted_on_disk_is_not_deleted_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new();
    let retriever = shelf.retriever(in_folder(&folder)).await;
    shelf.write("a", &["whales", "zebras"]).await;
    shelf.write("b", &["walruses"]).await;
    retriever.search(question("whale", &["a"])).await.expect("a search");
    retriever.inner().fold().await.expect("the disk takes it");
    shelf.delete("b").await;
    retriever.search(question("whale", &["a"])).await.expect("a search");
    assert_eq!(retriever.inner().state().lexical.unfolded(), 1);
    retriever.inner().fold().await.expect("the disk takes it");
    drop(retriever);

    let retriever = shelf.retriever(in_folder(&folder)).await;
    retriever.search(question("whale", &["a"])).await.expect("a search");

    assert_eq!(retriever.inner().state().lexical.unfolded(), 0);
}

#[tokio::test]
async fn a_damaged_index_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new();
    shelf.write("a", &["a tale of whales", "zebras"]).await;
    let retriever = shelf.retriever(in_folder(&folder)).await;
    let sound = said(&retriever.search(question("whales", &["a"])).await.expect("a search"));
    retriever.inner().fold().await.expect("the disk takes it");
    drop(retriever);
    let files = |folder: &tempfile::TempDir| -> Vec<_> {
        let entries = fs::read_dir(folder.path().join("lexical")).expect("the index is there");
        entries.map(|entry| entry.expect("readable").path()).collect()
    };

    let mut damaged = 0;
    let extensions = ["idx", "term", "fast", "json"];
    for extension in extensions {
        let hit =
            files(&folder).into_iter().find(|path| path.extension().is_some_and(|ext| ext == extension));
        let Some(path) = hit else { continue };
        fs::write(path, "damage").expect("writable");
        damaged += 1;

        let retriever = shelf.retriever(in_folder(&folder)).await;
        let answer = said(&retriever.search(question("whales", &["a"])).await.expect("a search"));
        retriever.inner().fold().await.expect("the disk takes it");

        assert_eq!(answer, sound, "after damage to `.{extension}`");
    }
    assert!(damaged >= 3, "the index has the files that were to be damaged");
}

#[tokio::test]
async fn the_index_of_another_library_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Shelf::new();
    first.write("a", &["whales"]).await;
    first.write("b", &["walruses"]).await;
    let retriever = first.retriever(in_folder(&folder)).await;
    retriever.search(question("whales", &["a"])).await.expect("a search");
    retriever.inner().fold().await.expect("the disk takes it");
    drop(retriever);

    // One log is shorter than the index says, the other tells another story.
    let (shorter, other) = (Shelf::new(), Shelf::new());
    shorter.write("a", &["zebras"]).await;
    other.write("x", &["lions"]).await;
    other.write("a", &["zebras"]).await;

    for shelf in [shorter, other] {
        let retriever = shelf.retriever(in_folder(&folder)).await;
        let asked = |text| Question { legs: Leg::Lexical, ..question(text, &["a"]) };
        assert_eq!(texts(&retriever.search(asked("zebra")).await.expect("a search")), ["zebras"]);
        assert!(retriever.search(asked("whale")).await.expect("a search").passages.is_empty());
        retriever.inner().fold().await.expect("the disk takes it");
    }
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new();
    shelf.write("a", &["whales"]).await;
    let retriever = shelf.retriever(in_folder(&folder)).await;

    let second =
        crate::Retriever::open(in_folder(&folder), Arc::new(shelf.store.clone()), None, shelf.lane.clone())
            .await;

    assert!(second.is_err());
    assert_eq!(texts(&retriever.search(question("whale", &["a"])).await.expect("a search")), ["whales"]);
}

#[tokio::test]
async fn the_follower_folds_an_idle_tail() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["whales"]).await;
    retriever.inner().age(Duration::from_secs(60));

    let folded = async {
        while retriever.inner().state().seq.0 == 0 || retriever.inner().state().lexical.unfolded() > 0 {
            retriever.inner().age(Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
    };
    until(retriever.run(), folded).await;

    assert_eq!(texts(&retriever.search(question("whale", &["a"])).await.expect("a search")), ["whales"]);
}

/// Drive `background` until `done` is, or for ten seconds.
async fn until(background: impl Future<Output = ()>, done: impl Future<Output = ()>) {
    let both = async {
        tokio::select! {
            () = background => unreachable!("it never ends"),
            () = done => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("it is done in time");
}

#[tokio::test]
async fn a_question_in_another_script_leans_on_its_words() {
    let shelf = Shelf::new();
    let config =
        RetrieverConfig { dense_weight: 1.0, dense_weight_foreign: 0.0, ..RetrieverConfig::default() };
    let retriever = shelf.retriever(config).await;
    shelf.write("a", &["中文分词测试", "日本語", "whale", "a whale and others like it"]).await;

    let chinese = retriever.search(question("分词", &["a"])).await.expect("a search");
    let english = retriever.search(question("whale", &["a"])).await.expect("a search");

    assert_eq!(texts(&chinese)[0], "中文分词测试");
    assert_eq!(texts(&english)[0], "whale");
}

#[tokio::test]
async fn a_question_of_any_size_is_answered() {
    let shelf = Shelf::new();
    let retriever = shelf.retriever(RetrieverConfig::default()).await;
    shelf.write("a", &["whale", ""]).await;

    for text in [String::new(), "the of and".to_owned(), "whale\u{0}".repeat(40_000), "鯨".repeat(20_000)] {
        let asked = Question { limit: usize::MAX, dense_weight: Some(f32::NAN), ..question(&text, &["a"]) };
        assert!(retriever.search(asked).await.is_ok());
    }
}
