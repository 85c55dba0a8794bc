//! Whatever is done in whatever order: the check stays clean, the memory library agrees, and an
//! index that follows the log has what the store has.

use std::collections::BTreeMap;

use breezeway_knowledge::{
    ChunkHash, ChunkId, ChunkStore, Claim, DraftStore, FileQuery, FileState, LibraryStore, LogEntry, LogOp,
    MemoryLibrary, NewFile, Seq, Slice,
};
use breezeway_store::Store;
use proptest::{collection::vec, prelude::*};

use crate::support::{EVERYTHING, LEASE, TempStore, at, commit, hash, model, new_file, open, vectors};

#[derive(Clone, Debug)]
enum Step {
    Insert { pending: bool, blob: u8 },
    Claim,
    Commit { claim: usize, texts: Vec<u8>, embedded: Vec<u8> },
    Fail { claim: usize, retry: bool },
    Requeue { file: usize },
    Delete { files: Vec<usize> },
    Embed { texts: Vec<u8> },
    Wait,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    // Few texts, so that files share them.
    let texts = || vec(0_u8..6, 0..5);
    prop_oneof![
        3 => (prop::bool::weighted(0.9), 0_u8..4).prop_map(|(pending, blob)| Step::Insert { pending, blob }),
        4 => Just(Step::Claim),
        6 => (any::<usize>(), texts(), texts())
            .prop_map(|(claim, texts, embedded)| Step::Commit { claim, texts, embedded }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(claim, retry)| Step::Fail { claim, retry }),
        2 => any::<usize>().prop_map(|file| Step::Requeue { file }),
        2 => vec(any::<usize>(), 1..3).prop_map(|files| Step::Delete { files }),
        2 => texts().prop_map(|texts| Step::Embed { texts }),
        1 => Just(Step::Wait),
        1 => Just(Step::Reopen),
    ]
}

/// What an index knows of a chunk: its text, and whether it has its vector.
type Index = BTreeMap<ChunkId, (ChunkHash, bool)>;

async fn content(store: &Store) -> Index {
    let chunks = store.chunks(EVERYTHING, Some(&model())).await.expect("read");
    chunks.into_iter().map(|it| (it.id, (it.chunk.hash, it.vector.is_some()))).collect()
}

/// Follow the log from `from` on.
async fn follow(store: &Store, index: &mut Index, from: &mut Seq) {
    for entry in store.log_after(*from, u32::MAX).await.expect("read") {
        *from = entry.seq;
        if entry.op == LogOp::Removed {
            index.retain(|id, _| *id < entry.chunks.first || *id > entry.chunks.last);
        } else {
            let chunks = store.chunks(entry.chunks, Some(&model())).await.expect("read");
            index.extend(chunks.into_iter().map(|it| (it.id, (it.chunk.hash, it.vector.is_some()))));
        }
    }
}

/// The log without `Embedded` and positions: the memory library may tell less of the former.
async fn changes(store: &impl ChunkStore) -> Vec<LogEntry> {
    let mut log = store.log_after(Seq(0), u32::MAX).await.expect("read");
    log.retain(|entry| entry.op != LogOp::Embedded);
    log.into_iter().map(|entry| LogEntry { seq: Seq(0), ..entry }).collect()
}

async fn run(steps: Vec<Step>) {
    let temp = TempStore::new().await;
    let path = temp.path();
    let mut store = temp.store.clone();
    let _folder = temp.close();
    let memory = MemoryLibrary::default();
    let (mut ids, mut claims): (Vec<_>, Vec<Claim>) = Default::default();
    let (mut index, mut seen) = (Index::new(), Seq(0));
    let mut now = 0;

    for (number, step) in (0_i64..).zip(steps) {
        now += 1;
        let time = at(now);
        match step {
            Step::Insert { pending, blob } => {
                let state = if pending { FileState::Pending } else { FileState::Stored };
                let file = NewFile { state, ..new_file("a.txt", blob) };
                let stored = store.insert_file(file.clone(), None, time).await.expect("inserted");
                assert_eq!(stored, memory.insert_file(file, None, time).await.expect("inserted"));
                ids.push(stored.id);
            }
            Step::Claim => {
                let claim = store.claim_pending(time, LEASE).await.expect("asked");
                assert_eq!(claim, memory.claim_pending(time, LEASE).await.expect("asked"));
                claims.extend(claim);
            }
            Step::Commit { claim, texts, embedded } => {
                if claims.is_empty() {
                    continue;
                }
                // Not always the newest claim: stale ones must bounce.
                let claim = &claims[claim % claims.len()];
                let commit = commit(claim, &texts, &embedded);
                let done = store.commit_file(commit.clone(), time).await.expect("asked");
                assert_eq!(done, memory.commit_file(commit, time).await.expect("asked"));
            }
            Step::Fail { claim, retry } => {
                if claims.is_empty() {
                    continue;
                }
                let Claim { file, attempt } = &claims[claim % claims.len()];
                let retry = retry.then(|| at(now + 5));
                let done = store.fail_file(&file.id, *attempt, "why", retry, time).await.expect("asked");
                let same = memory.fail_file(&file.id, *attempt, "why", retry, time).await;
                assert_eq!(done, same.expect("asked"));
            }
            Step::Requeue { file } => {
                if ids.is_empty() {
                    continue;
                }
                let id = &ids[file % ids.len()];
                let file = store.requeue_file(id, time).await.expect("asked");
                assert_eq!(file, memory.requeue_file(id, time).await.expect("asked"));
            }
            Step::Delete { files } => {
                if ids.is_empty() {
                    continue;
                }
                let files: Vec<_> = files.into_iter().map(|file| ids[file % ids.len()].clone()).collect();
                let blobs = store.delete_files(&files).await.expect("deleted");
                assert_eq!(blobs, memory.delete_files(&files).await.expect("deleted"));
            }
            Step::Embed { texts } => {
                store.add_vectors(&model(), vectors(&texts)).await.expect("added");
                memory.add_vectors(&model(), vectors(&texts)).await.expect("added");
            }
            Step::Wait => now += 100,
            Step::Reopen => {
                drop(store);
                store = open(&path).await;
            }
        }
        // At once, because the memory library has nothing to clear away.
        while !store.clear_away(2).await.expect("cleared") {}
        // An index that looks now and then, not after every change.
        if number % 3 == 0 {
            follow(&store, &mut index, &mut seen).await;
        }
    }

    assert_eq!(store.check().await.expect("checked"), [""; 0]);
    follow(&store, &mut index, &mut seen).await;
    assert_eq!(index, content(&store).await, "an index that followed has what the store has");
    assert_eq!(changes(&store).await, changes(&memory).await);
    let (ours, theirs) =
        (store.chunks(EVERYTHING, Some(&model())).await, memory.chunks(EVERYTHING, Some(&model())).await);
    assert_eq!(ours.expect("read"), theirs.expect("read"));
    let all = FileQuery { slice: Slice { offset: 0, limit: 1000 }, ..FileQuery::default() };
    assert_eq!(store.files(&all).await.expect("listed"), memory.files(&all).await.expect("listed"));
    let lacking = store.chunks_without_vector(&model(), 100).await.expect("asked");
    assert_eq!(lacking, memory.chunks_without_vector(&model(), 100).await.expect("asked"));
    let hashes: Vec<_> = (0..6).map(hash).collect();
    let known = store.known_vectors(&model(), &hashes).await.expect("read");
    assert_eq!(known, memory.known_vectors(&model(), &hashes).await.expect("read"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_keeps_the_store_consistent(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");

        runtime.block_on(run(steps));
    }
}
