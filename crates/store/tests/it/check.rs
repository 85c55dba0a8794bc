//! Each kind of damage is found, and nothing else is.

use breezeway_core::Grants;
use breezeway_knowledge::{
    ChunkStore, DraftStore, FileQuery, FileState, LibraryStore, LogOp, NewCollection, Seq,
};

use crate::support::{EVERYTHING, TempStore, at, committed, insert, raw};

/// A store with a bit of everything, damaged by `sql`; what the check says.
async fn findings(sql: &str) -> Vec<String> {
    let temp = TempStore::new().await;
    let first = committed(&temp.store, "first", &[1, 2], &[1]).await;
    committed(&temp.store, "second", &[2, 3], &[2, 3]).await;
    insert(&temp.store, "pending", 9).await;
    let new = NewCollection {
        name: "trams".to_owned(),
        description: String::new(),
        grants: Grants::new([breezeway_core::AccessGrant::PUBLIC_READ]),
    };
    let made = temp.store.insert_collection(&"ada".parse().expect("an id"), new, at(1)).await.expect("made");
    assert!(temp.store.add_members(&made.id, std::slice::from_ref(&first), at(2)).await.expect("added"));
    assert_eq!(temp.store.check().await.expect("checked"), [""; 0], "sound before");

    raw(&temp.path()).execute_batch(sql).expect("the damage is done");

    let named = |text: String| text.replace(first.as_str(), "[first]").replace(made.id.as_str(), "[trams]");
    temp.store.check().await.expect("checked").into_iter().map(named).collect()
}

async fn finds(sql: &str, sentence: &str) {
    let findings = findings(sql).await;
    assert!(findings.iter().any(|finding| finding.contains(sentence)), "{sql}\n{findings:#?}");
}

const FIRST: &str = "(SELECT id FROM files WHERE name = 'first')";

#[tokio::test]
async fn a_sound_store_has_no_findings() {
    assert_eq!(findings("SELECT 1").await, [""; 0]);
}

#[tokio::test]
async fn whatever_hangs_on_a_file_that_is_gone_is_found() {
    let sql = format!("DELETE FROM files WHERE id = {FIRST}");
    finds(&sql, "chunks belong to file `[first]`, which does not exist").await;
    finds(&sql, "a document belongs to file `[first]`, which does not exist").await;
    finds(&sql, "a membership names file `[first]`, which does not exist").await;
    finds(&sql, "table `documents` has a reference to nothing").await;
}

#[tokio::test]
async fn whatever_hangs_on_a_collection_that_is_gone_is_found() {
    let sql = "DELETE FROM collections";
    finds(sql, "a membership names collection `[trams]`, which does not exist").await;
    finds(sql, "an access list belongs to collection `[trams]`, which does not exist").await;
}

#[tokio::test]
async fn a_completed_file_without_its_document_is_found() {
    let sql = format!("DELETE FROM documents WHERE file_id = {FIRST}");
    finds(&sql, "file `[first]` is completed and has no document").await;
}

#[tokio::test]
async fn a_job_nobody_would_take_is_found() {
    finds("UPDATE files SET due_at = NULL WHERE state = 'pending'", "waits for a worker").await;
}

#[tokio::test]
async fn a_vector_without_a_chunk_is_found() {
    finds("INSERT INTO vectors VALUES (zeroblob(32), 'test-2', zeroblob(8))", "vectors without any chunk: 1")
        .await;
}

#[tokio::test]
async fn chunks_that_do_not_belong_together_are_found() {
    finds("UPDATE chunks SET ordinal = 7 WHERE id = 2", "are not numbered one after another").await;
    finds("UPDATE chunks SET id = 77 WHERE id = 2", "are not numbered one after another").await;
    finds("UPDATE chunks SET id = 77 WHERE id = 2", "chunk 77 has a number that was never given").await;
}

#[tokio::test]
async fn a_log_that_contradicts_the_chunks_is_found() {
    let sql = format!("DELETE FROM chunks WHERE file_id = {FIRST}");
    finds(&sql, "the log knows chunks of file `[first]` that are not there").await;
    let sql = format!("DELETE FROM chunk_log WHERE file_id = {FIRST}");
    finds(&sql, "file `[first]` has chunks the log does not know").await;
    finds(&sql, "the log has a gap before entry").await;
    finds("UPDATE counters SET last = 99 WHERE name = 'log'", "its counter elsewhere").await;
    finds("UPDATE chunk_log SET op = 'removed'", "removes chunks file `[first]` does not have").await;
    finds("UPDATE chunk_log SET first_chunk = 1, last_chunk = 2", "gives chunk number 1 a second time").await;
    finds(
        "INSERT INTO chunk_log VALUES (4, 'nobody', 1, 1, 'embedded'); UPDATE counters SET last = 4 WHERE name = 'log'",
        "log entry 4 embeds chunks file `nobody` does not have",
    )
    .await;
}

#[tokio::test]
async fn accounts_groups_and_models_are_looked_at_too() {
    finds(
        "INSERT INTO api_keys VALUES ('k', 'nobody', NULL, zeroblob(32), zeroblob(1), '', NULL, NULL, 0, NULL)",
        "key `k` belongs to no account",
    )
    .await;
    finds("INSERT INTO group_members VALUES ('g', 'u')", "a membership names group `g`").await;
    finds(
        "INSERT INTO grants VALUES ('model', 'm', 'everyone', '', 'read')",
        "an access list belongs to model `m`, which does not exist",
    )
    .await;
}

#[tokio::test]
async fn a_flood_of_damage_is_a_few_sentences() {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
               INSERT INTO group_members SELECT 'group ' || i, 'user' FROM n";

    let findings = findings(sql).await;
    let of_one_kind =
        findings.iter().filter(|finding| finding.starts_with("a membership names group")).count();
    assert_eq!((of_one_kind, findings.len()), (20, 21), "the foreign key is asked too");
}

#[tokio::test]
async fn what_a_deleted_account_or_group_left_behind_is_found() {
    let departed = "INSERT INTO departed (kind, id) VALUES ('user', 'ada'), ('group', 'staff');";
    let line = |kind: &str, id: &str| {
        format!(
            "{departed} INSERT INTO grants SELECT 'collection', id, '{kind}', '{id}', 'read' FROM collections"
        )
    };

    finds(departed, "collection `[trams]` belongs to an account that was deleted").await;
    finds(&format!("{departed} UPDATE files SET owner = 'ada'"), "file `[first]` belongs to an account")
        .await;
    finds(&line("user", "ada"), "an access list names account `ada`, which was deleted").await;
    finds(&line("group", "staff"), "an access list names group `staff`, which was deleted").await;
    let model = "INSERT INTO models VALUES ('zed', 1, 'ada', NULL, 'Zed', '{}', '{}', 1, 1, 1)";
    finds(&format!("{departed} {model}"), "model `zed` belongs to an account that was deleted").await;
    let member = "INSERT INTO groups VALUES ('g', 'x', 'g', '', NULL, NULL, NULL, 1, 1); \
                  INSERT INTO group_members VALUES ('g', 'ada')";
    finds(&format!("{departed} {member}"), "a membership names account `ada`, which was deleted").await;
}

#[tokio::test]
async fn chats_and_folders_are_looked_at_too() {
    let chat = "INSERT INTO chats VALUES (1, 'talk', 'ada', 't', NULL, 0, 0, 1, 1, '{}', '{}');";
    let words = "INSERT INTO chat_texts (rowid, text) VALUES (1, 't');";
    let folders = "INSERT INTO chat_folders VALUES ('f', 'eve', NULL, 'f', NULL, NULL, 0, 1, 1); \
                   INSERT INTO chat_folders VALUES ('g', 'ada', 'f', 'g', NULL, NULL, 0, 1, 1);";
    let departed = "INSERT INTO departed (kind, id) VALUES ('user', 'ada');";

    finds(chat, "chat `talk` cannot be found by its words").await;
    finds(words, "words belong to chat number 1, which does not exist").await;
    finds(&format!("{chat}{words}{departed}"), "chat `talk` belongs to an account that was deleted").await;
    finds(&format!("{folders}{departed}"), "folder `g` belongs to an account that was deleted").await;
    finds(folders, "folder `g` is in one that is not its owner's").await;
    finds(
        &format!("{chat}{words}{folders} UPDATE chats SET folder = 'f'"),
        "chat `talk` is in a folder that is not its owner's",
    )
    .await;
}

/// What is damaged by `sql`, repaired, and whether the files are searchable or on their way again.
async fn repaired(sql: &str) {
    let temp = TempStore::new().await;
    let first = committed(&temp.store, "first", &[1, 2], &[1]).await;
    committed(&temp.store, "second", &[2, 3], &[2, 3]).await;
    insert(&temp.store, "pending", 9).await;
    raw(&temp.path()).execute_batch(&sql.replace("[first]", first.as_str())).expect("the damage is done");
    let before = temp.store.check().await.expect("checked");
    assert!(!before.is_empty(), "{sql}");

    let found = temp.store.repair().await.expect("repaired");

    assert_eq!(temp.store.check().await.expect("checked"), [""; 0], "{sql}");
    assert!(!found.is_empty(), "{sql}");
    assert_eq!(temp.store.repair().await.expect("asked"), [""; 0], "nothing is repaired twice");
    let files = temp.store.files(&FileQuery::default()).await.expect("listed").items;
    for file in files.iter().filter(|file| file.state == FileState::Completed) {
        assert!(temp.store.document(&file.id).await.expect("read").is_some(), "{sql}");
    }
}

#[tokio::test]
async fn damage_is_repaired() {
    for sql in [
        "DELETE FROM files WHERE id = '[first]'",
        "DELETE FROM documents WHERE file_id = '[first]'",
        "UPDATE files SET due_at = NULL WHERE state = 'pending'",
        "INSERT INTO vectors VALUES (zeroblob(32), 'test-2', zeroblob(8))",
        "UPDATE chunks SET ordinal = 7 WHERE id = 2",
        "UPDATE chunks SET id = 77 WHERE id = 2",
        "DELETE FROM chunks WHERE file_id = '[first]'",
        "DELETE FROM chunk_log WHERE file_id = '[first]'",
        "DELETE FROM chunk_log",
        "UPDATE counters SET last = 99 WHERE name = 'log'",
        "UPDATE chunk_log SET op = 'removed'",
        "INSERT INTO hidden_chunks VALUES (1, 2, '[first]', 'unborn')",
        "INSERT INTO collection_files VALUES ('nowhere', '[first]', 1)",
        "INSERT INTO grants VALUES ('collection', 'nowhere', 'everyone', '', 'read')",
    ] {
        repaired(sql).await;
    }
}

#[tokio::test]
async fn a_shrunk_database_is_as_it_was_and_smaller() {
    let temp = TempStore::new().await;
    let mut files = Vec::new();
    for index in 0..20 {
        let texts: Vec<u8> = (index..index + 200).collect();
        files.push(committed(&temp.store, "a file", &texts, &texts).await);
    }
    let kept = files.pop().expect("there are some");
    temp.store.delete_files(&files).await.expect("deleted");
    while !temp.store.clear_away(1000).await.expect("cleared") {}
    let chunks = temp.store.chunks(EVERYTHING, None).await.expect("read");
    temp.store.shrink().await.expect("shrunk");
    let large = std::fs::metadata(temp.path()).expect("it is there").len();

    assert_eq!(temp.store.chunks(EVERYTHING, None).await.expect("read"), chunks);
    assert!(chunks.iter().all(|chunk| chunk.file == kept) && !chunks.is_empty());
    assert_eq!(temp.store.check().await.expect("checked"), [""; 0]);
    assert!(large < 2 << 20, "{large} bytes");
}

#[tokio::test]
async fn a_compacted_log_says_what_there_is() {
    let temp = TempStore::new().await;
    let mut files = Vec::new();
    for index in 0..6 {
        files.push(committed(&temp.store, "a file", &[index, index + 1], &[index]).await);
    }
    temp.store.delete_files(&files[..4]).await.expect("deleted");
    let upto = temp.store.last_seq().await.expect("read");
    files.push(committed(&temp.store, "a later file", &[9], &[9]).await);
    temp.store.delete_files(&files[4..5]).await.expect("deleted");
    let newest = temp.store.last_seq().await.expect("read");

    temp.store.compact_log(upto).await.expect("compacted");

    let log = temp.store.log_after(Seq(0), 100).await.expect("read");
    let left: Vec<_> = log.iter().map(|entry| (entry.seq > upto, entry.op, &entry.file)).collect();
    assert_eq!(
        left,
        [
            // Gone since, but not for a reader that has come to `upto`.
            (false, LogOp::Added, &files[4]),
            (false, LogOp::Added, &files[5]),
            (false, LogOp::Removed, &files[3]),
            (true, LogOp::Added, &files[6]),
            (true, LogOp::Removed, &files[4]),
        ],
        "and the entry at `upto` itself"
    );
    assert_eq!(temp.store.log_floor().await.expect("read"), upto);
    assert_eq!(temp.store.last_seq().await.expect("read"), newest);
    while !temp.store.clear_away(1).await.expect("cleared") {}
    assert_eq!(temp.store.check().await.expect("checked"), [""; 0]);
}
