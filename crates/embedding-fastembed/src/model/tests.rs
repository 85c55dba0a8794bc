use std::fs;

use breezeway_core::LaneConfig;

use super::*;
use crate::test_model;

async fn model() -> Arc<FastembedModel> {
    let files = test_model::files().await;
    FastembedModel::load(files, ModelOptions::default(), test_model::lane()).await.unwrap()
}

#[tokio::test]
async fn the_model_keeps_the_contract() {
    breezeway_embedding::conformance::embedding_model(&*model().await).await;
}

#[tokio::test]
async fn texts_of_like_meaning_are_near_and_others_are_not() {
    let model = model().await;
    let passages = [
        "The night tram waits at the depot until six.",
        "Boil the pasta in salted water for nine minutes.",
        "Our quarterly revenue rose by four percent.",
    ];

    let passages = model.embed(Purpose::Passage, &passages).await.unwrap();
    let question = model.embed(Purpose::Query, &["Where is the streetcar parked overnight?"]).await.unwrap();

    let near: Vec<f32> = passages.iter().map(|passage| passage.cosine(&question[0])).collect();
    assert!(near[0] > 0.4 && near[1] < 0.15 && near[2] < 0.15, "{near:?}");
    assert_eq!(model.dimensions(), Some(384));
    assert!(!model.is_multilingual());
    let fingerprint = model.fingerprint().as_str();
    assert_eq!(
        fingerprint,
        "all-MiniLM-L6-v2:8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6:mean,256"
    );
}

#[tokio::test]
async fn a_text_is_read_up_to_its_256th_token_whatever_its_size() {
    let model = model().await;
    let long = "tram ".repeat(20_000);
    let (cut, other) = ("tram ".repeat(254), format!("{}boats", "tram ".repeat(300)));

    let vectors = model.embed(Purpose::Passage, &[&long, &cut, &other, "tram"]).await.unwrap();

    assert!(vectors[0].cosine(&vectors[1]) > 0.9999);
    assert!(vectors[0].cosine(&vectors[2]) > 0.9999, "what follows is not read");
    assert!(vectors[0].cosine(&vectors[3]) < 0.999, "what precedes is");
}

#[tokio::test]
async fn the_tokens_of_a_text_of_any_length_are_told() {
    let model = model().await;
    let text = "Trams, naïve ones. ".repeat(400);

    let ends = model.token_ends(&text).expect("a tokenizer");

    let first: Vec<&str> = ends.iter().take(5).map(|&end| &text[..end]).collect();
    assert_eq!(first, ["Trams", "Trams,", "Trams, naïve", "Trams, naïve ones", "Trams, naïve ones."]);
    assert_eq!(ends.len(), 5 * 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_answer_like_one() {
    let files = test_model::files().await;
    let lane = Lane::new("embed", LaneConfig { threads: 2, queue: 64 });
    let options = ModelOptions { sessions: 2, batch: 2, ..ModelOptions::default() };
    let two = FastembedModel::load(files, options, lane).await.unwrap();
    let texts: Vec<String> = (1..12).map(|number| "a tram waits ".repeat(number)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let together = two.embed(Purpose::Passage, &texts).await.unwrap();

    for (text, vector) in texts.iter().zip(&together) {
        let alone = two.embed(Purpose::Query, &[text]).await.unwrap();
        assert!(alone[0].cosine(vector) > 0.9999, "`{text}`");
    }
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_an_error_that_says_so() {
    let files = test_model::files().await;
    let folder = tempfile::tempdir().unwrap();
    let rubbish = folder.path().join("rubbish.so");
    fs::write(&rubbish, "no library").unwrap();
    for name in TOKENIZER {
        fs::copy(files.path(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join(ONNX), "no model").unwrap();
    let load = async |files: ModelFiles| {
        FastembedModel::load(files, ModelOptions::default(), test_model::lane()).await.unwrap_err()
    };

    let no_library = load(ModelFiles { library: folder.path().join("gone.so"), ..files.clone() }).await;
    let not_a_library = load(ModelFiles { library: rubbish, ..files.clone() }).await;
    let no_model = load(ModelFiles { folder: folder.path().join("gone"), ..files.clone() }).await;
    let not_a_model = load(ModelFiles { folder: folder.path().to_owned(), ..files }).await;

    assert!(matches!(&no_library, LoadError::Missing(path) if path.ends_with("gone.so")));
    assert!(matches!(not_a_library, LoadError::NotALibrary(_)));
    assert!(matches!(no_model, LoadError::Missing(_)));
    assert!(matches!(&not_a_model, LoadError::Model { .. }));
    let told = EmbedError::from(no_library).to_string();
    assert!(told.contains("gone.so` is missing"), "{told}");
}
