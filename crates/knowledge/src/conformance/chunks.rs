use std::{collections::HashMap, time::Duration};

use breezeway_core::FileId;
use breezeway_embedding::{Fingerprint, Vector};

use super::{at, chunk, document, insert};
use crate::{
    ChunkHash, ChunkId, ChunkRange, ChunkStore, Claim, Document, DraftStore, File, FileCommit, FileState,
    LibraryStore, LogEntry, LogOp, NewChunk, Section, Seq,
};

const LEASE: Duration = Duration::from_secs(60);

/// Check stores made by `fresh` against the contract of [`ChunkStore`], and [`LibraryStore`] where
/// the two meet.
///
/// # Panics
/// With the sentence that does not hold.
pub async fn chunk_store<S: LibraryStore + ChunkStore + DraftStore>(fresh: impl AsyncFn() -> S) {
    a_pending_file_is_claimed_once_and_oldest_first(&fresh().await).await;
    a_lease_that_runs_out_gives_the_file_to_another(&fresh().await).await;
    a_failed_file_waits_for_its_retry_or_for_good(&fresh().await).await;
    a_released_claim_is_free_at_once(&fresh().await).await;
    a_requeued_file_takes_the_claim_away(&fresh().await).await;
    a_cancelled_file_takes_the_claim_away(&fresh().await).await;
    a_commit_makes_a_file_searchable(&fresh().await).await;
    a_stale_commit_changes_nothing(&fresh().await).await;
    a_second_commit_replaces_the_first(&fresh().await).await;
    deleting_a_file_removes_its_chunks_and_says_so(&fresh().await).await;
    equal_texts_share_one_vector(&fresh().await).await;
    missing_vectors_are_found_and_added(&fresh().await).await;
    the_log_is_read_in_pieces(&fresh().await).await;
}

pub(super) fn model() -> Fingerprint {
    Fingerprint::new("conformance-2")
}

pub(super) fn vector(angle: f32) -> Vector {
    Vector::normalized(vec![angle.cos(), angle.sin()]).expect("finite")
}

pub(super) async fn claim<S: ChunkStore>(store: &S, seconds: i64) -> Option<Claim> {
    store.claim_pending(at(seconds), LEASE).await.expect("asked")
}

fn commit(claim: &Claim, texts: &[&str], vectors: &[(&str, f32)]) -> FileCommit {
    let vectors: HashMap<_, _> =
        vectors.iter().map(|(text, angle)| (ChunkHash::of(text), vector(*angle))).collect();
    FileCommit {
        file: claim.file.id.clone(),
        attempt: claim.attempt,
        text_hash: "ab".repeat(32),
        document: document(&texts.concat()),
        chunks: texts.iter().map(|text| chunk(text)).collect(),
        vectors: (!vectors.is_empty()).then(|| (model(), vectors)),
    }
}

/// Insert a file and make it searchable.
pub(super) async fn committed<S: LibraryStore + ChunkStore>(
    store: &S,
    number: u8,
    texts: &[&str],
    vectors: &[(&str, f32)],
) -> File {
    let file = insert(store, "a.txt", number, i64::from(number)).await;
    let claim = claim(store, 100).await.expect("a file is pending");
    assert_eq!(claim.file.id, file.id, "the only pending file is claimed");
    assert!(store.commit_file(commit(&claim, texts, vectors), at(101)).await.expect("committed"));
    file
}

pub(super) async fn log<S: ChunkStore>(store: &S) -> Vec<LogEntry> {
    store.log_after(Seq(0), 1000).await.expect("read")
}

pub(super) async fn texts<S: ChunkStore>(store: &S, range: ChunkRange) -> Vec<String> {
    let chunks = store.chunks(range, None).await.expect("read");
    chunks.into_iter().map(|stored| stored.chunk.text).collect()
}

/// Give back the space of what is gone, in small pieces.
pub(super) async fn clear_away<S: DraftStore>(store: &S) {
    while !store.clear_away(1).await.expect("cleared") {}
}

pub(super) fn everything() -> ChunkRange {
    ChunkRange { first: ChunkId(0), last: ChunkId(u32::MAX) }
}

async fn state<S: LibraryStore>(store: &S, id: &FileId) -> FileState {
    store.file(id).await.expect("read").expect("it exists").state
}

async fn a_pending_file_is_claimed_once_and_oldest_first<S: LibraryStore + ChunkStore>(store: &S) {
    let (second, first) = (insert(store, "b.txt", 1, 2).await, insert(store, "a.txt", 2, 1).await);
    let kept = crate::NewFile { state: FileState::Stored, ..super::new_file("kept.txt", 3) };
    store.insert_file(kept, None, at(0)).await.expect("inserted");

    let claims = [claim(store, 10).await, claim(store, 11).await, claim(store, 12).await];

    let ids = claims.each_ref().map(|claim| claim.as_ref().map(|claim| claim.file.id.clone()));
    assert_eq!(ids, [Some(first.id.clone()), Some(second.id), None], "oldest first, each once, no kept file");
    let claim = claims[0].as_ref().expect("compared above");
    assert_eq!((claim.attempt, &claim.file.state), (1, &FileState::Processing), "the first attempt is 1");
    assert_eq!(state(store, &first.id).await, FileState::Processing, "a claimed file is being processed");
}

async fn a_lease_that_runs_out_gives_the_file_to_another<S: LibraryStore + ChunkStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    let first = claim(store, 10).await.expect("it is pending");
    assert_eq!(claim(store, 69).await, None, "a lease holds until it runs out");
    assert!(store.extend_claim(&file.id, 1, at(65), LEASE).await.expect("asked"), "a claim can be kept");
    assert_eq!(claim(store, 80).await, None, "an extended lease holds longer");

    let second = claim(store, 130).await.expect("the lease ran out");

    assert_eq!((second.attempt, &second.file.id), (2, &file.id), "another attempt has the file");
    assert!(
        !store.extend_claim(&file.id, 1, at(131), LEASE).await.expect("asked"),
        "the first claim is lost"
    );
    let late = store.commit_file(commit(&first, &["late"], &[]), at(131)).await.expect("asked");
    assert!(!late, "a commit under an older attempt is refused");
    assert!(!store.fail_file(&file.id, 1, "late", None, at(131)).await.expect("asked"), "so is a failure");
    assert_eq!(
        (state(store, &file.id).await, log(store).await),
        (FileState::Processing, vec![]),
        "no change"
    );
    assert!(
        store.commit_file(commit(&second, &["in time"], &[]), at(500)).await.expect("committed"),
        "a lease that ran out is good until someone else takes the file"
    );
}

async fn a_failed_file_waits_for_its_retry_or_for_good<S: LibraryStore + ChunkStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    claim(store, 10).await.expect("it is pending");

    let retry = store.fail_file(&file.id, 1, "busy", Some(at(50)), at(11)).await.expect("failed");

    assert!(retry, "a claim can end without success");
    assert_eq!(state(store, &file.id).await, FileState::Pending, "a file to try again is pending");
    assert!(!store.extend_claim(&file.id, 1, at(12), LEASE).await.expect("asked"), "the claim has ended");
    assert_eq!(claim(store, 49).await, None, "it waits for its retry time");
    let second = claim(store, 50).await.expect("its time has come");
    assert_eq!(second.attempt, 2, "attempts are counted");
    assert!(store.fail_file(&file.id, 2, "no text", None, at(51)).await.expect("failed"));
    let failed = store.file(&file.id).await.expect("read").expect("it exists");
    assert_eq!(failed.state, FileState::Failed("no text".to_owned()), "the reason is kept");
    assert_eq!(failed.updated_at, at(51), "a change of state sets the time");
    assert_eq!(claim(store, 10_000).await, None, "a file failed for good is not tried again");
    let again = store.fail_file(&file.id, 2, "again", None, at(52)).await.expect("asked");
    assert!(!again, "a claim ends once");
    let gone = "no-such-file".parse().expect("free text is an id");
    assert!(!store.fail_file(&gone, 1, "gone", None, at(52)).await.expect("asked"), "unknown: `false`");
}

async fn a_released_claim_is_free_at_once<S: LibraryStore + ChunkStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    let first = claim(store, 10).await.expect("it is pending");

    assert_eq!(store.release_claims(at(11)).await.expect("released"), 1, "one lease was running");
    assert_eq!(store.release_claims(at(11)).await.expect("released"), 0, "and now none is");

    let second = claim(store, 11).await.expect("nobody holds it");
    assert_eq!((second.attempt, &second.file.id), (2, &file.id), "another attempt has the file");
    let late = store.commit_file(commit(&first, &["late"], &[]), at(12)).await.expect("asked");
    assert!(!late, "the holder before is refused");
}

async fn a_requeued_file_takes_the_claim_away<S: LibraryStore + ChunkStore>(store: &S) {
    let file = committed(store, 1, &["old text"], &[]).await;
    store.requeue_file(&file.id, at(200)).await.expect("requeued").expect("it exists");
    assert!(store.document(&file.id).await.expect("read").is_some(), "the document stays until replaced");
    assert_eq!(texts(store, everything()).await, ["old text"], "so do the chunks");
    let stale = claim(store, 201).await.expect("it is pending");
    store.requeue_file(&file.id, at(202)).await.expect("requeued").expect("it exists");

    assert!(!store.commit_file(commit(&stale, &["stale"], &[]), at(203)).await.expect("asked"), "claim lost");
    let fresh = claim(store, 204).await.expect("it is pending at once");
    assert!(fresh.attempt > stale.attempt, "attempts only rise");
    assert!(!store.commit_file(commit(&stale, &["stale"], &[]), at(205)).await.expect("asked"), "claim lost");
    assert!(store.commit_file(commit(&fresh, &["fresh"], &[]), at(206)).await.expect("committed"));
    assert_eq!(texts(store, everything()).await, ["fresh"], "the new commit counts");
}

async fn a_cancelled_file_takes_the_claim_away<S: LibraryStore + ChunkStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    let stale = claim(store, 10).await.expect("it is pending");
    store.cancel_file(&file.id, at(11)).await.expect("cancelled").expect("it was being processed");

    assert!(!store.extend_claim(&file.id, 1, at(12), LEASE).await.expect("asked"), "the claim is lost");
    assert!(!store.commit_file(commit(&stale, &["stale"], &[]), at(12)).await.expect("asked"), "claim lost");
    assert_eq!(claim(store, 10_000).await, None, "nobody takes a cancelled file");
}

async fn a_commit_makes_a_file_searchable<S: LibraryStore + ChunkStore>(store: &S) {
    let file = insert(store, "a.pdf", 1, 1).await;
    let claim = claim(store, 10).await.expect("it is pending");
    let text = "Trams wait.日本Boats drift.";
    let mut metadata = serde_json::Map::new();
    metadata.insert("total_pages".to_owned(), 2.into());
    let section = |start, end, page| Section {
        start,
        end,
        page: Some(page),
        page_label: Some("iv".to_owned()),
        title: None,
    };
    let document = Document {
        text: text.to_owned(),
        sections: vec![section(0, 17, 0), section(17, text.len(), 1)],
        metadata,
    };
    let piece = |start: usize, end: usize, page| NewChunk {
        start,
        end,
        page,
        headings: Vec::new(),
        ..chunk(&text[start..end])
    };
    let chunks = vec![piece(0, 11, None), chunk("日本"), piece(17, text.len(), Some(1))];
    let done = FileCommit {
        document: document.clone(),
        chunks: chunks.clone(),
        vectors: Some((model(), HashMap::from([(chunks[0].hash, vector(0.5))]))),
        ..commit(&claim, &[], &[])
    };

    assert!(store.commit_file(done, at(11)).await.expect("committed"));

    let read = store.file(&file.id).await.expect("read").expect("it exists");
    assert_eq!((&read.state, read.updated_at), (&FileState::Completed, at(11)), "the file is completed");
    assert_eq!(read.text_hash, Some("ab".repeat(32)), "its text's hash is kept");
    assert_eq!(store.document(&file.id).await.expect("read"), Some(document), "the document reads back");
    let [entry] = &log(store).await[..] else { panic!("a first commit is one entry") };
    assert_eq!((&entry.file, entry.op), (&file.id, LogOp::Added), "the log says what was added");
    assert_eq!(store.last_seq().await.expect("read"), entry.seq, "the entry is the newest");
    let stored = store.chunks(entry.chunks, Some(&model())).await.expect("read");
    let ids: Vec<_> = stored.iter().map(|stored| stored.id.0).collect();
    let first = entry.chunks.first.0;
    assert_eq!(ids, [first, first + 1, first + 2], "numbers of a commit are consecutive");
    assert_eq!(entry.chunks.last.0, first + 2, "the entry covers them");
    assert!(first > 0, "numbers begin at 1");
    let ordinals: Vec<_> = stored.iter().map(|stored| stored.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2], "chunks know their place in the file");
    assert!(stored.iter().all(|stored| stored.file == file.id), "and their file");
    let vectors: Vec<_> = stored.iter().map(|stored| stored.vector.clone()).collect();
    assert_eq!(vectors, [Some(vector(0.5)), None, None], "a chunk may have no vector yet");
    let pieces: Vec<_> = stored.into_iter().map(|stored| stored.chunk).collect();
    assert_eq!(pieces, chunks, "chunks read back as they were cut");
    let without = store.chunks(entry.chunks, None).await.expect("read");
    assert!(without.iter().all(|stored| stored.vector.is_none()), "no vectors unless asked for");
    let other = Fingerprint::new("other");
    let foreign = store.chunks(entry.chunks, Some(&other)).await.expect("read");
    assert!(foreign.iter().all(|stored| stored.vector.is_none()), "vectors belong to their fingerprint");
}

async fn a_stale_commit_changes_nothing<S: LibraryStore + ChunkStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;
    let claim = claim(store, 10).await.expect("it is pending");
    store.delete_files(std::slice::from_ref(&file.id)).await.expect("deleted");

    let late = store.commit_file(commit(&claim, &["late"], &[("late", 1.0)]), at(11)).await.expect("asked");

    assert!(!late, "a commit for a file that is gone answers `false`");
    assert_eq!(log(store).await, [], "nothing has changed");
    assert_eq!(texts(store, everything()).await, Vec::<String>::new(), "no chunk was kept");
    let known = store.known_vectors(&model(), &[ChunkHash::of("late")]).await.expect("asked");
    assert!(known.is_empty(), "nor a vector");
    assert!(!store.extend_claim(&file.id, 1, at(11), LEASE).await.expect("asked"), "the claim is lost");
}

async fn a_second_commit_replaces_the_first<S: LibraryStore + ChunkStore + DraftStore>(store: &S) {
    let file = committed(store, 1, &["one", "two"], &[("one", 0.1), ("two", 0.2)]).await;
    store.requeue_file(&file.id, at(200)).await.expect("requeued").expect("it exists");
    let claim = claim(store, 201).await.expect("it is pending");
    let known = store.known_vectors(&model(), &["one", "new"].map(ChunkHash::of)).await.expect("asked");
    assert_eq!(known, HashMap::from([(ChunkHash::of("one"), vector(0.1))]), "known vectors are told");

    let second = commit(&claim, &["one", "new", "more"], &[("new", 0.3)]);
    assert!(store.commit_file(second, at(202)).await.expect("committed"));

    let entries = log(store).await;
    let ops: Vec<_> = entries.iter().map(|entry| entry.op).collect();
    assert_eq!(ops, [LogOp::Added, LogOp::Removed, LogOp::Added], "old chunks go before new ones come");
    assert_eq!(entries[0].chunks, entries[1].chunks, "what was added is removed");
    assert!(entries[2].chunks.first > entries[1].chunks.last, "numbers are larger than all before");
    assert_eq!(texts(store, everything()).await, ["one", "new", "more"], "only the new chunks remain");
    let vectors = store.chunks(everything(), Some(&model())).await.expect("read");
    let vectors: Vec<_> = vectors.into_iter().map(|stored| stored.vector).collect();
    assert_eq!(vectors, [Some(vector(0.1)), Some(vector(0.3)), None], "a vector already there is used again");
    clear_away(store).await;
    let two = store.known_vectors(&model(), &[ChunkHash::of("two")]).await.expect("asked");
    assert!(two.is_empty(), "a vector is kept no longer than a chunk has its hash");

    store.requeue_file(&file.id, at(300)).await.expect("requeued").expect("it exists");
    let third = self::claim(store, 301).await.expect("it is pending");
    assert!(store.commit_file(commit(&third, &[], &[]), at(302)).await.expect("committed"));
    let ops: Vec<_> = log(store).await.iter().skip(3).map(|entry| entry.op).collect();
    assert_eq!(ops, [LogOp::Removed], "a commit without chunks adds nothing to the log");
    assert_eq!(state(store, &file.id).await, FileState::Completed, "and completes the file");
}

async fn deleting_a_file_removes_its_chunks_and_says_so<S: LibraryStore + ChunkStore + DraftStore>(
    store: &S,
) {
    let first = committed(store, 1, &["shared", "own"], &[("shared", 0.1), ("own", 0.2)]).await;
    let second = committed(store, 2, &["shared"], &[]).await;
    let silent = insert(store, "never processed.txt", 3, 3).await;
    let added = log(store).await;

    store.delete_files(&[first.id.clone(), silent.id]).await.expect("deleted");

    let removed = log(store).await.split_off(added.len());
    let [removed] = &removed[..] else { panic!("one file had chunks, so one entry is appended") };
    assert_eq!((removed.op, &removed.file), (LogOp::Removed, &first.id), "the log says what is gone");
    assert_eq!(removed.chunks, added[0].chunks, "the entry covers the chunks that are gone");
    assert_eq!(texts(store, added[0].chunks).await, Vec::<String>::new(), "the chunks are gone");
    assert_eq!(store.document(&first.id).await.expect("read"), None, "so is the document");
    clear_away(store).await;
    let known = store.known_vectors(&model(), &["shared", "own"].map(ChunkHash::of)).await.expect("asked");
    assert_eq!(known.len(), 1, "and the vector no other chunk uses");
    let left = store.chunks(everything(), Some(&model())).await.expect("read");
    assert!(left.len() == 1 && left[0].vector.is_some(), "another file's chunk keeps its vector");

    store.delete_files(std::slice::from_ref(&second.id)).await.expect("deleted");
    let third = committed(store, 4, &["again"], &[]).await;
    let last = log(store).await.pop().expect("the log is not empty");
    assert_eq!(last.file, third.id, "the newest entry is the newest change");
    assert!(last.chunks.first > added[1].chunks.last, "numbers of deleted chunks are not given again");
}

async fn equal_texts_share_one_vector<S: LibraryStore + ChunkStore>(store: &S) {
    committed(store, 1, &["same", "same"], &[("same", 0.4)]).await;
    committed(store, 2, &["same"], &[]).await;

    let stored = store.chunks(everything(), Some(&model())).await.expect("read");

    assert_eq!(stored.len(), 3, "equal texts are chunks of their own");
    assert!(stored.iter().all(|stored| stored.vector == Some(vector(0.4))), "and share their vector");
}

async fn missing_vectors_are_found_and_added<S: LibraryStore + ChunkStore>(store: &S) {
    let first = committed(store, 1, &["a", "b", "b", "c", "d"], &[("a", 0.1)]).await;
    let second = committed(store, 2, &["b"], &[]).await;
    let third = committed(store, 3, &["a"], &[]).await;
    let before = log(store).await;
    let missing = async |fingerprint: &Fingerprint, limit| {
        let found = store.chunks_without_vector(fingerprint, limit).await.expect("asked");
        found.into_iter().map(|stored| stored.chunk.text).collect::<Vec<_>>()
    };
    assert_eq!(missing(&model(), 10).await, ["b", "c", "d"], "oldest first, one for each hash");
    assert_eq!(missing(&model(), 1).await, ["b"], "at most `limit`");
    assert_eq!(missing(&Fingerprint::new("other"), 9).await, ["a", "b", "c", "d"], "by fingerprint");

    let new = HashMap::from(["b", "c", "unused"].map(|text| (ChunkHash::of(text), vector(0.7))));
    store.add_vectors(&model(), new).await.expect("added");

    assert_eq!(missing(&model(), 10).await, ["d"], "added vectors are no longer missing");
    let unused = store.known_vectors(&model(), &[ChunkHash::of("unused")]).await.expect("asked");
    assert!(unused.is_empty(), "a vector that no chunk has the hash of is passed over");
    let mut entries = log(store).await.split_off(before.len());
    assert!(entries.iter().all(|entry| entry.op == LogOp::Embedded), "the log says what was embedded");
    entries.sort_by_key(|entry| entry.chunks.first);
    let files: Vec<_> = entries.iter().map(|entry| &entry.file).collect();
    assert_eq!(files, [&first.id, &second.id], "one entry for every file that gained a vector");
    let start = before[0].chunks.first.0;
    let gained = ChunkRange { first: ChunkId(start + 1), last: ChunkId(start + 3) };
    assert_eq!(
        entries[0].chunks, gained,
        "an entry reaches from the first to the last chunk that gained one"
    );
    assert!(!files.contains(&&third.id), "a file that gained none is not mentioned");

    let last = store.last_seq().await.expect("read");
    let again = HashMap::from([(ChunkHash::of("b"), vector(0.7))]);
    store.add_vectors(&model(), again).await.expect("added");
    assert_eq!(store.last_seq().await.expect("read"), last, "a vector already there is no change");
}

async fn the_log_is_read_in_pieces<S: LibraryStore + ChunkStore>(store: &S) {
    assert_eq!(store.last_seq().await.expect("read"), Seq(0), "an empty log ends at 0");
    for number in 1..=5 {
        committed(store, number, &["text"], &[]).await;
    }
    let whole = log(store).await;
    assert_eq!(whole.len(), 5, "every change is an entry");
    assert!(whole.is_sorted_by(|left, right| left.seq < right.seq), "positions rise");

    let (mut read, mut after) = (Vec::new(), Seq(0));
    loop {
        let part = store.log_after(after, 2).await.expect("read");
        assert!(part.len() <= 2, "at most `limit` entries");
        let Some(last) = part.last() else { break };
        after = last.seq;
        read.extend(part);
    }

    assert_eq!(read, whole, "pieces make the whole");
    assert_eq!(store.last_seq().await.expect("read"), after, "the last entry is the newest");
    let backwards = ChunkRange { first: ChunkId(5), last: ChunkId(1) };
    assert_eq!(texts(store, backwards).await, Vec::<String>::new(), "a range turned round is empty");
}
