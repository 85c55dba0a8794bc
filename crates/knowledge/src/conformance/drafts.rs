use std::collections::HashMap;

use breezeway_core::FileId;

use super::{
    at, blob, chunk,
    chunks::{claim, clear_away, committed, everything, log, model, texts, vector},
    document, insert,
};
use crate::{
    ChunkHash, ChunkStore, Claim, Draft, DraftKey, DraftStore, FileState, LibraryStore, LogOp, NewChunk,
    NewDraft,
};

/// Check stores made by `fresh` against the contract of [`DraftStore`].
///
/// # Panics
/// With the sentence that does not hold.
pub async fn draft_store<S: LibraryStore + ChunkStore + DraftStore>(fresh: impl AsyncFn() -> S) {
    a_draft_is_seen_by_nobody_until_it_is_published(&fresh().await).await;
    a_draft_outlives_its_worker(&fresh().await).await;
    a_draft_of_something_else_is_none(&fresh().await).await;
    a_draft_whose_claim_is_lost_takes_nothing(&fresh().await).await;
    a_published_draft_replaces_what_there_was(&fresh().await).await;
    vectors_of_a_draft_are_kept_and_found(&fresh().await).await;
    a_draft_goes_with_its_file(&fresh().await).await;
    an_empty_draft_is_a_file_without_chunks(&fresh().await).await;
}

fn key(number: u8) -> DraftKey {
    DraftKey { blob: blob(number), plan: "1000/100".to_owned() }
}

fn draft(claim: &Claim, texts: &[&str]) -> NewDraft {
    NewDraft {
        file: claim.file.id.clone(),
        attempt: claim.attempt,
        key: key(1),
        text_hash: "cd".repeat(32),
        document: document(&texts.concat()),
        chunks: u32::try_from(texts.len()).expect("a few"),
    }
}

fn pieces(texts: &[&str]) -> Vec<NewChunk> {
    texts.iter().map(|text| chunk(text)).collect()
}

/// Claim the one pending file and begin its draft; `written` of its chunks are.
async fn begun<S: ChunkStore + DraftStore>(store: &S, texts: &[&str], written: usize) -> Claim {
    let claim = claim(store, 100).await.expect("a file is pending");
    assert!(store.begin_draft(draft(&claim, texts)).await.expect("begun"), "the claim holds");
    assert!(write(store, &claim, &texts[..written]).await, "the claim holds");
    claim
}

async fn write<S: DraftStore>(store: &S, claim: &Claim, texts: &[&str]) -> bool {
    store.write_draft(&claim.file.id, claim.attempt, pieces(texts)).await.expect("written")
}

async fn missing<S: DraftStore>(store: &S, file: &FileId, after: Option<u32>, limit: u32) -> Vec<String> {
    let missing = store.draft_without_vector(file, &model(), after, limit).await.expect("asked");
    missing.into_iter().map(|stored| format!("{} {}", stored.ordinal, stored.chunk.text)).collect()
}

async fn a_draft_is_seen_by_nobody_until_it_is_published<S: LibraryStore + ChunkStore + DraftStore>(
    store: &S,
) {
    let file = insert(store, "a.txt", 1, 1).await;
    let claim = begun(store, &["one", "two", "three"], 2).await;

    assert_eq!(texts(store, everything()).await, [""; 0], "no chunk of a draft is found");
    assert_eq!(log(store).await, [], "the log does not speak of it");
    assert_eq!(store.document(&file.id).await.expect("read"), None, "nor is there a text");
    let none = store.chunks_without_vector(&model(), 9).await.expect("asked");
    assert!(none.is_empty(), "nor does anybody else embed it");
    assert!(store.publish_draft(&file.id, claim.attempt, at(101)).await.is_err(), "a chunk is missing");
    assert!(write(store, &claim, &["three"]).await);
    assert!(store.write_draft(&file.id, claim.attempt, pieces(&["four"])).await.is_err(), "one too many");
    assert!(store.publish_draft(&file.id, claim.attempt, at(102)).await.expect("published"), "it is whole");

    let read = store.file(&file.id).await.expect("read").expect("it exists");
    assert_eq!((&read.state, read.updated_at), (&FileState::Completed, at(102)), "the file is completed");
    assert_eq!(read.text_hash, Some("cd".repeat(32)), "its text's hash is kept");
    let document = store.document(&file.id).await.expect("read").expect("there is one");
    assert_eq!(document.text, "onetwothree", "the text is the draft's");
    let [entry] = &log(store).await[..] else { panic!("a first commit is one entry") };
    assert_eq!((&entry.file, entry.op), (&file.id, LogOp::Added), "the log says what was added");
    assert_eq!(texts(store, entry.chunks).await, ["one", "two", "three"], "the entry covers all, in order");
    assert_eq!(store.draft(&file.id, &key(1)).await.expect("asked"), None, "the draft has ended");
    assert!(
        !store.publish_draft(&file.id, claim.attempt, at(103)).await.expect("asked"),
        "a claim ends once"
    );
}

async fn a_draft_outlives_its_worker<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    begun(store, &["one", "two"], 1).await;
    store.release_claims(at(101)).await.expect("released");

    let next = claim(store, 102).await.expect("nobody holds it");

    let found = store.draft(&file.id, &key(1)).await.expect("asked");
    assert_eq!(found, Some(Draft { chunks: 2, written: 1 }), "the draft says how far it has come");
    assert!(write(store, &next, &["two"]).await, "another attempt goes on with it");
    assert!(store.publish_draft(&file.id, next.attempt, at(103)).await.expect("published"));
    assert_eq!(texts(store, everything()).await, ["one", "two"], "both have written it");
}

async fn a_draft_of_something_else_is_none<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    let claim = begun(store, &["old"], 1).await;

    let other = DraftKey { plan: "500/50".to_owned(), ..key(1) };
    assert_eq!(store.draft(&file.id, &other).await.expect("asked"), None, "cut in another way");
    assert_eq!(store.draft(&file.id, &key(2)).await.expect("asked"), None, "made of other bytes");
    let anew = NewDraft { key: other.clone(), ..draft(&claim, &["new"]) };
    assert!(store.begin_draft(anew).await.expect("begun"), "a draft takes the place of another");
    assert!(write(store, &claim, &["new"]).await);
    assert!(store.publish_draft(&file.id, claim.attempt, at(102)).await.expect("published"));
    clear_away(store).await;
    assert_eq!(texts(store, everything()).await, ["new"], "nothing of the first is left");
}

async fn a_draft_whose_claim_is_lost_takes_nothing<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    let stale = begun(store, &["one"], 0).await;
    store.requeue_file(&file.id, at(101)).await.expect("requeued").expect("it exists");

    assert!(!write(store, &stale, &["one"]).await, "a chunk of a lost claim is refused");
    assert!(!store.begin_draft(draft(&stale, &["x"])).await.expect("asked"), "so is another draft");
    assert!(!store.publish_draft(&file.id, stale.attempt, at(102)).await.unwrap_or(false), "so is its end");
    let state = store.file(&file.id).await.expect("read").expect("it exists").state;
    assert_eq!(state, FileState::Pending, "nothing has changed");
}

async fn a_published_draft_replaces_what_there_was<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    let file = committed(store, 1, &["old", "both"], &[("both", 0.1)]).await;
    store.requeue_file(&file.id, at(200)).await.expect("requeued").expect("it exists");
    let claim = claim(store, 201).await.expect("it is pending");
    assert!(store.begin_draft(draft(&claim, &["both", "new"])).await.expect("begun"));
    assert!(write(store, &claim, &["both", "new"]).await);
    assert_eq!(texts(store, everything()).await, ["old", "both"], "until then the former text answers");

    assert!(store.publish_draft(&file.id, claim.attempt, at(202)).await.expect("published"));
    clear_away(store).await;

    let ops: Vec<_> = log(store).await.iter().map(|entry| entry.op).collect();
    assert_eq!(ops, [LogOp::Added, LogOp::Removed, LogOp::Added], "old chunks go before new ones come");
    let stored = store.chunks(everything(), Some(&model())).await.expect("read");
    let found: Vec<_> = stored.into_iter().map(|it| (it.chunk.text, it.vector)).collect();
    let expected = [("both".to_owned(), Some(vector(0.1))), ("new".to_owned(), None)];
    assert_eq!(found, expected, "a vector already there is used again");
}

async fn vectors_of_a_draft_are_kept_and_found<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    committed(store, 2, &["known"], &[("known", 0.1)]).await;
    let file = insert(store, "a.txt", 1, 1).await;
    let claim = begun(store, &["a", "known", "b", "c"], 4).await;

    assert_eq!(missing(store, &file.id, None, 9).await, ["0 a", "2 b", "3 c"], "a known text has its vector");
    assert_eq!(missing(store, &file.id, Some(0), 1).await, ["2 b"], "behind a place, at most `limit`");
    let before = log(store).await.len();
    let new = HashMap::from(["a", "c"].map(|text| (ChunkHash::of(text), vector(0.5))));
    store.add_vectors(&model(), new).await.expect("added");
    assert_eq!(missing(store, &file.id, None, 9).await, ["2 b"], "vectors are kept for a draft");
    assert_eq!(log(store).await.len(), before, "and nobody is told");
    assert_eq!(store.draft_embedded(&file.id, &model()).await.expect("asked"), 3, "they are counted");
    assert!(store.publish_draft(&file.id, claim.attempt, at(102)).await.expect("published"));

    let last = log(store).await.pop().expect("the newest");
    let stored = store.chunks(last.chunks, Some(&model())).await.expect("read");
    let have: Vec<_> = stored.iter().map(|stored| stored.vector.is_some()).collect();
    assert_eq!(have, [true, true, false, true], "and are there when it is published");
}

async fn a_draft_goes_with_its_file<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    let claim = begun(store, &["one"], 1).await;
    store.add_vectors(&model(), HashMap::from([(ChunkHash::of("one"), vector(0.5))])).await.expect("added");

    store.delete_files(std::slice::from_ref(&file.id)).await.expect("deleted");
    clear_away(store).await;

    assert!(!store.publish_draft(&file.id, claim.attempt, at(102)).await.expect("asked"), "the file is gone");
    assert_eq!(log(store).await, [], "nobody had seen anything");
    let known = store.known_vectors(&model(), &[ChunkHash::of("one")]).await.expect("asked");
    assert!(known.is_empty(), "its vectors are gone");

    let other = insert(store, "b.txt", 1, 2).await;
    begun(store, &["two"], 1).await;
    store.discard_draft(&other.id).await.expect("discarded");
    assert_eq!(store.draft(&other.id, &key(1)).await.expect("asked"), None, "a draft can be given up");
}

async fn an_empty_draft_is_a_file_without_chunks<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    let file = insert(store, "film.mp4", 1, 1).await;
    let claim = begun(store, &[], 0).await;

    assert!(store.publish_draft(&file.id, claim.attempt, at(102)).await.expect("published"));

    assert_eq!(log(store).await, [], "nothing was added");
    let state = store.file(&file.id).await.expect("read").expect("it exists").state;
    assert_eq!(state, FileState::Completed, "and the file is completed");
}
