use std::{collections::HashMap, time::Instant};

use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{
    ChunkHash, ChunkRange, ChunkStore, DraftStore, FileCommit, FileState, LibraryStore, LogOp, NewChunk, Seq,
};
use tokio::task::JoinSet;

use crate::support::{
    EVERYTHING, LEASE, TempStore, at, commit, committed, hash, insert, model, open, raw, vector, vectors,
    word,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simultaneous_workers_never_get_the_same_file() {
    let temp = TempStore::new().await;
    for number in 0..20 {
        insert(&temp.store, "a.txt", number).await;
    }

    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let store = temp.store.clone();
        tasks.spawn(async move { store.claim_pending(at(100), LEASE).await.expect("asked") });
    }
    let mut claimed: Vec<_> =
        tasks.join_all().await.into_iter().flatten().map(|claim| claim.file.id).collect();

    claimed.sort();
    let claims = claimed.len();
    claimed.dedup();
    assert_eq!((claims, claimed.len()), (20, 20));
}

#[tokio::test]
async fn files_that_need_no_worker_are_never_claimed() {
    let temp = TempStore::new().await;
    committed(&temp.store, "done.txt", &[1], &[]).await;
    let failed = insert(&temp.store, "bad.txt", 1).await;
    temp.store.claim_pending(at(2), LEASE).await.expect("asked").expect("it is pending");
    assert!(temp.store.fail_file(&failed.id, 1, "no text", None, at(3)).await.expect("failed"));
    let kept =
        breezeway_knowledge::NewFile { state: FileState::Stored, ..crate::support::new_file("kept.bin", 2) };
    temp.store.insert_file(kept, None, at(4)).await.expect("inserted");

    let claim = temp.store.claim_pending(at(1_000_000_000), LEASE).await.expect("asked");

    assert_eq!(claim, None);
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_hide_a_pending_file() {
    let temp = TempStore::new().await;
    let file = insert(&temp.store, "a.txt", 1000).await;

    let claim = temp.store.claim_pending(at(10), LEASE).await.expect("asked").expect("it is pending");

    assert_eq!(claim.file.id, file.id);
}

#[tokio::test]
async fn a_claim_outlives_the_process() {
    let temp = TempStore::new().await;
    insert(&temp.store, "a.txt", 1).await;
    let claim = temp.store.claim_pending(at(2), LEASE).await.expect("asked").expect("it is pending");
    let path = temp.path();
    let _folder = temp.close();

    let store = open(path).await;

    assert_eq!(store.claim_pending(at(3), LEASE).await.expect("asked"), None);
    assert!(store.commit_file(commit(&claim, &[1], &[1]), at(4)).await.expect("committed"));
}

#[tokio::test]
async fn a_commit_that_brings_a_vector_tells_the_files_that_waited_for_it() {
    let temp = TempStore::new().await;
    let waiting = committed(&temp.store, "a.txt", &[1, 2, 3], &[]).await;
    let before = temp.store.last_seq().await.expect("read");

    let bringing = committed(&temp.store, "b.txt", &[2, 4], &[2, 4]).await;

    let entries = temp.store.log_after(before, 10).await.expect("read");
    let told: Vec<_> = entries.iter().map(|entry| (&entry.file, entry.op)).collect();
    assert_eq!(told, [(&bringing, LogOp::Added), (&waiting, LogOp::Embedded)]);
    let gained = temp.store.chunks(entries[1].chunks, Some(&model())).await.expect("read");
    assert_eq!(gained.len(), 1);
    assert_eq!(gained[0].vector, Some(vector(2)));
    assert_eq!(temp.store.check().await.expect("checked"), [""; 0]);
}

#[tokio::test]
async fn a_vector_is_kept_for_chunks_only_and_as_long_as_they_are() {
    let temp = TempStore::new().await;
    let (first, second) = (
        committed(&temp.store, "a.txt", &[1, 2], &[1, 2, 9]).await,
        committed(&temp.store, "b.txt", &[2], &[]).await,
    );
    let known = async || {
        while !temp.store.clear_away(1).await.expect("cleared") {}
        let hashes = [1, 2, 9].map(hash);
        let mut known: Vec<_> =
            temp.store.known_vectors(&model(), &hashes).await.expect("read").into_keys().collect();
        known.sort();
        known
    };
    let sorted = |numbers: &[u8]| {
        let mut hashes: Vec<_> = numbers.iter().map(|&number| hash(number)).collect();
        hashes.sort();
        hashes
    };
    assert_eq!(known().await, sorted(&[1, 2]), "a vector beside the chunks is not kept");

    temp.store.delete_files(&[first]).await.expect("deleted");
    assert_eq!(known().await, sorted(&[2]), "one that another file uses stays");
    temp.store.delete_files(&[second]).await.expect("deleted");

    assert_eq!(known().await, []);
}

#[tokio::test]
async fn vectors_of_several_models_live_side_by_side_and_go_together() {
    let temp = TempStore::new().await;
    let file = committed(&temp.store, "a.txt", &[1], &[1]).await;
    let other = Fingerprint::new("other-3");
    let wide = Vector::normalized(vec![1.0, 2.0, 3.0]).expect("finite");

    temp.store.add_vectors(&other, HashMap::from([(hash(1), wide.clone())])).await.expect("added");

    let of = async |fingerprint: &Fingerprint| {
        temp.store.chunks(EVERYTHING, Some(fingerprint)).await.expect("read")[0].vector.clone()
    };
    assert_eq!((of(&model()).await, of(&other).await), (Some(vector(1)), Some(wide)));
    temp.store.delete_files(&[file]).await.expect("deleted");
    while !temp.store.clear_away(1).await.expect("cleared") {}
    let left: i64 =
        raw(&temp.path()).query_row("SELECT count(*) FROM vectors", [], |row| row.get(0)).expect("counted");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn adding_vectors_again_or_for_nothing_appends_nothing() {
    let temp = TempStore::new().await;
    committed(&temp.store, "a.txt", &[1], &[1]).await;
    let before = temp.store.last_seq().await.expect("read");

    temp.store.add_vectors(&model(), vectors(&[1, 8])).await.expect("added");

    assert_eq!(temp.store.last_seq().await.expect("read"), before);
    assert!(temp.store.known_vectors(&model(), &[hash(8)]).await.expect("read").is_empty());
}

#[tokio::test]
async fn chunk_numbers_run_out_with_an_error_and_not_with_a_repetition() {
    let temp = TempStore::new().await;
    raw(&temp.path())
        .execute("UPDATE counters SET last = 4294967294 WHERE name = 'chunk'", [])
        .expect("changed");
    committed(&temp.store, "last.txt", &[1], &[]).await;
    let file = insert(&temp.store, "too late.txt", 5).await;
    let claim = temp.store.claim_pending(at(6), LEASE).await.expect("asked").expect("it is pending");

    let refused = temp.store.commit_file(commit(&claim, &[2], &[]), at(7)).await;

    assert_eq!(refused.expect_err("no number is left").to_string(), "the store failed to commit a file");
    let state = temp.store.file(&file.id).await.expect("read").expect("it is there").state;
    assert_eq!(state, FileState::Processing, "a failed commit changes nothing");
    assert_eq!(temp.store.chunks(EVERYTHING, None).await.expect("read")[0].id.0, u32::MAX);
}

/// Five thousand chunks with their vectors are one transaction of prepared statements. The deadline
/// is generous, for busy machines; committing them one by one or preparing each anew misses it by far.
#[tokio::test]
async fn a_large_commit_is_quick() {
    let temp = TempStore::new().await;
    insert(&temp.store, "large.txt", 1).await;
    let claim = temp.store.claim_pending(at(2), LEASE).await.expect("asked").expect("it is pending");
    let text = "word ".repeat(200);
    let chunks: Vec<_> = (0..5000_usize)
        .map(|number| NewChunk {
            hash: ChunkHash::of(&number.to_string()),
            start: number * text.len(),
            end: (number + 1) * text.len(),
            text: text.clone(),
            page: Some(3),
            headings: vec!["Heading".to_owned()],
        })
        .collect();
    let numbers = Vector::normalized((1..=384_u16).map(f32::from).collect()).expect("finite");
    let vectors = chunks.iter().map(|chunk| (chunk.hash, numbers.clone())).collect();
    let whole = FileCommit { chunks, vectors: Some((model(), vectors)), ..commit(&claim, &[], &[]) };

    let began = Instant::now();
    assert!(temp.store.commit_file(whole, at(3)).await.expect("committed"));
    let committed = began.elapsed();
    let read = temp.store.chunks(EVERYTHING, Some(&model())).await.expect("read");
    let read_back = began.elapsed() - committed;

    assert!(read.len() == 5000 && read.iter().all(|chunk| chunk.vector.is_some()));
    println!("5000 chunks: committed in {committed:?}, read in {read_back:?}");
    assert!(committed.as_secs() < 10 && read_back.as_secs() < 10, "{committed:?} {read_back:?}");
    assert_eq!(temp.store.log_after(Seq(0), 10).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_range_reads_what_still_exists_of_it() {
    let temp = TempStore::new().await;
    let first = committed(&temp.store, "a.txt", &[1, 2], &[]).await;
    committed(&temp.store, "b.txt", &[3, 4], &[]).await;
    let all = temp.store.chunks(EVERYTHING, None).await.expect("read");

    temp.store.delete_files(&[first]).await.expect("deleted");

    let range = ChunkRange { first: all[1].id, last: all[2].id };
    let left = temp.store.chunks(range, None).await.expect("read");
    assert_eq!(left, all[2..3]);
}

#[tokio::test]
async fn a_deleted_text_is_in_no_byte_of_the_closed_database() {
    let temp = TempStore::new().await;
    let secret = "the night tram to the harbour is cancelled ".repeat(500);
    let file = insert(&temp.store, "secret.txt", 1).await;
    let claim = temp.store.claim_pending(at(2), LEASE).await.expect("asked").expect("it is pending");
    let chunk = NewChunk {
        text: secret.clone(),
        start: 0,
        end: secret.len(),
        page: None,
        headings: Vec::new(),
        hash: ChunkHash::of(&secret),
    };
    let document = breezeway_knowledge::Document { text: secret, ..Default::default() };
    let whole = FileCommit { document, chunks: vec![chunk], ..commit(&claim, &[], &[]) };
    assert!(temp.store.commit_file(whole, at(3)).await.expect("committed"));
    committed(&temp.store, "other.txt", &[1, 2], &[1]).await;

    temp.store.delete_files(&[file.id]).await.expect("deleted");
    while !temp.store.clear_away(1000).await.expect("cleared") {}

    let path = temp.path();
    let folder = temp.close();
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("listed").map(|it| it.expect("read").file_name()).collect();
    assert_eq!(names, ["test.db"], "closing folds the log into the file");
    let bytes = std::fs::read(path).expect("read");
    let found = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(found(word(1).as_bytes()), "the other text is there as it is");
    assert!(!found(b"night tram"));
}
