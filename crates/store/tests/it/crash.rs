//! A writer that is killed, again and again.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use breezeway_knowledge::{ChunkStore, FileQuery, LibraryStore};

use crate::support::{LEASE, TempStore, at, commit, new_file, open};

/// Tells the copy of this test program where to write, and that it is the one to be killed.
const PATH: &str = "BREEZEWAY_STORE_CRASH_PATH";

/// Not a test of its own: the program that [`a_killed_writer_loses_nothing_it_has_answered`] starts
/// and kills. Without the variable there is nothing to do.
#[tokio::test]
async fn the_writer_that_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "a test program that starts itself is told so this way")]
    let Ok(path) = std::env::var(PATH) else { return };
    let store = open(path).await;
    let mut recent = std::collections::VecDeque::new();
    // More rounds than any test waits for, but an end in case its parent is gone.
    for round in 0..100_000_u32 {
        let number = u8::try_from(round % 40).expect("below 40");
        let id =
            store.insert_file(new_file("a.txt", number), None, at(round.into())).await.expect("inserted").id;
        let claim = store.claim_pending(at(1_000_000), LEASE).await.expect("asked").expect("one is pending");
        // Large enough that most of the time is spent inside the transaction, and sharing its texts
        // with the files before and after.
        let texts: Vec<_> = (number..number + 200).collect();
        let done = store.commit_file(commit(&claim, &texts, &texts[..100]), at(1_000_001)).await;
        assert!(done.expect("committed"));
        println!("committed {}", claim.file.id);
        recent.push_back(id);
        if recent.len() > 5 {
            let old = recent.pop_front().expect("it is not empty");
            // Said before it is done: a kill in between may leave it or not.
            println!("deleting {old}");
            store.delete_files(&[old]).await.expect("deleted");
        }
    }
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_it_has_answered() {
    let temp = TempStore::new().await;
    let path = temp.path();
    let _folder = temp.close();
    let program = std::env::current_exe().expect("a test knows its program");

    for round in 0..8 {
        let mut child = Command::new(&program)
            .args(["--exact", "crash::the_writer_that_is_killed", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut kept = Vec::new();
        let mut note = |line: &str| {
            // The test harness may have begun the line.
            if let Some((_, id)) = line.split_once("committed ") {
                kept.push(id.to_owned());
            } else if let Some((_, id)) = line.split_once("deleting ") {
                kept.retain(|it| it != id);
            }
        };
        // The first is killed while it starts.
        for _ in 0..round * 3 {
            note(&lines.next().expect("the writer goes on until it is killed").expect("text"));
        }
        child.kill().expect("killed");
        child.wait().expect("reaped");
        // What it had said before it died counts; a line cut by the kill does not.
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.iter().filter(|line| line.len() >= "deleting ".len() + 36).for_each(|line| note(line));

        let store = open(&path).await;
        assert_eq!(store.check().await.expect("checked"), [""; 0], "round {round}");
        assert!(round == 0 || !kept.is_empty());
        for id in &kept {
            let id = id.parse().expect("an id");
            let file = store.file(&id).await.expect("read").expect("a committed file is there");
            assert_eq!(file.state.as_str(), "completed");
        }
        // The next writer begins with nothing pending.
        let all = FileQuery {
            slice: breezeway_knowledge::Slice { offset: 0, limit: 1000 },
            ..FileQuery::default()
        };
        let ids: Vec<_> =
            store.files(&all).await.expect("listed").items.into_iter().map(|file| file.id).collect();
        store.delete_files(&ids).await.expect("deleted");
        assert_eq!(store.check().await.expect("checked"), [""; 0], "round {round}, emptied");
    }
}
