//! The consistency check: what must never be, looked for.
//!
//! Foreign keys and checks in the schema forbid some of it already. They are asked again, because a
//! file can be damaged from outside, and because a schema can be wrong.

use std::collections::BTreeMap;

use breezeway_core::{FileId, StoreError};
use breezeway_knowledge::{LogOp, Seq};

use crate::{
    counters::{self, Counter},
    db::{INTEGRITY, Tx},
    log,
};

/// Sentences of one kind at most; whoever reads them knows what to do after a few.
const EACH: usize = 20;

/// Entries of the log read at a time.
const LOG_PAGE: u32 = 4096;

/// A query that answers one column `id`, and what it means that a row is there.
const RULES: &[(&str, &str)] = &[
    (
        "key `{}` belongs to no account",
        "SELECT id FROM api_keys WHERE owner NOT IN (SELECT id FROM accounts)",
    ),
    (
        "a membership names group `{}`, which does not exist",
        "SELECT DISTINCT group_id AS id FROM group_members WHERE group_id NOT IN (SELECT id FROM groups)",
    ),
    (
        "an access list belongs to collection `{}`, which does not exist",
        "SELECT DISTINCT resource_id AS id FROM grants \
         WHERE resource_type = 'collection' AND resource_id NOT IN (SELECT id FROM collections)",
    ),
    (
        "an access list belongs to model `{}`, which does not exist",
        "SELECT DISTINCT resource_id AS id FROM grants \
         WHERE resource_type = 'model' AND resource_id NOT IN (SELECT id FROM models)",
    ),
    (
        "file `{}` belongs to an account that was deleted",
        "SELECT id FROM files WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') \
         AND owner NOT IN (SELECT id FROM accounts)",
    ),
    (
        "collection `{}` belongs to an account that was deleted",
        "SELECT id FROM collections WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') \
         AND owner NOT IN (SELECT id FROM accounts)",
    ),
    (
        "model `{}` belongs to an account that was deleted",
        "SELECT id FROM models WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') \
         AND owner NOT IN (SELECT id FROM accounts)",
    ),
    (
        "response `{}` belongs to an account that was deleted",
        "SELECT id FROM responses WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') \
         AND owner NOT IN (SELECT id FROM accounts)",
    ),
    (
        "chat `{}` belongs to an account that was deleted",
        "SELECT id FROM chats WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') \
         AND owner NOT IN (SELECT id FROM accounts)",
    ),
    (
        "folder `{}` belongs to an account that was deleted",
        "SELECT id FROM chat_folders WHERE owner IN (SELECT id FROM departed WHERE kind = 'user') \
         AND owner NOT IN (SELECT id FROM accounts)",
    ),
    (
        "chat `{}` is in a folder that is not its owner's",
        "SELECT c.id AS id FROM chats AS c JOIN chat_folders AS f ON f.id = c.folder WHERE f.owner <> c.owner",
    ),
    (
        "folder `{}` is in one that is not its owner's",
        "SELECT c.id AS id FROM chat_folders AS c JOIN chat_folders AS f ON f.id = c.parent \
         WHERE f.owner <> c.owner",
    ),
    (
        "chat `{}` cannot be found by its words",
        "SELECT id FROM chats WHERE number NOT IN (SELECT rowid FROM chat_texts)",
    ),
    (
        "words belong to chat number {}, which does not exist",
        "SELECT CAST(rowid AS TEXT) AS id FROM chat_texts WHERE rowid NOT IN (SELECT number FROM chats)",
    ),
    (
        "an access list names account `{}`, which was deleted",
        "SELECT DISTINCT grantee_id AS id FROM grants WHERE grantee_type = 'user' \
         AND grantee_id IN (SELECT id FROM departed WHERE kind = 'user') \
         AND grantee_id NOT IN (SELECT id FROM accounts)",
    ),
    (
        "an access list names group `{}`, which was deleted",
        "SELECT DISTINCT grantee_id AS id FROM grants WHERE grantee_type = 'group' \
         AND grantee_id IN (SELECT id FROM departed WHERE kind = 'group') \
         AND grantee_id NOT IN (SELECT id FROM groups)",
    ),
    (
        "a membership names account `{}`, which was deleted",
        "SELECT DISTINCT user_id AS id FROM group_members \
         WHERE user_id IN (SELECT id FROM departed WHERE kind = 'user') \
         AND user_id NOT IN (SELECT id FROM accounts)",
    ),
    (
        "a membership names collection `{}`, which does not exist",
        "SELECT DISTINCT collection_id AS id FROM collection_files \
         WHERE collection_id NOT IN (SELECT id FROM collections)",
    ),
    (
        "a membership names file `{}`, which does not exist",
        "SELECT DISTINCT file_id AS id FROM collection_files WHERE file_id NOT IN (SELECT id FROM files)",
    ),
    (
        "a document belongs to file `{}`, which does not exist",
        "SELECT file_id AS id FROM documents WHERE file_id NOT IN (SELECT id FROM files)",
    ),
    (
        "file `{}` is completed and has no document",
        "SELECT id FROM files WHERE state = 'completed' \
         AND (text_hash IS NULL OR id NOT IN (SELECT file_id FROM documents))",
    ),
    (
        "file `{}` waits for a worker and no worker would ever take it",
        "SELECT id FROM files WHERE (state IN ('pending', 'processing')) <> (due_at IS NOT NULL)",
    ),
    (
        "chunks belong to file `{}`, which does not exist",
        "SELECT DISTINCT file_id AS id FROM chunks WHERE file_id NOT IN (SELECT id FROM files)",
    ),
    (
        "file `{}` has chunks and no document",
        "SELECT DISTINCT file_id AS id FROM chunks WHERE file_id NOT IN (SELECT file_id FROM documents)",
    ),
    (
        "the chunks of file `{}` are not numbered one after another",
        "SELECT file_id AS id FROM chunks GROUP BY file_id HAVING max(id) - min(id) + 1 <> count(*) \
         OR min(ordinal) <> 0 OR max(ordinal) + 1 <> count(*)",
    ),
    (
        "chunk {} has a number that was never given",
        "SELECT CAST(id AS TEXT) AS id FROM chunks \
         WHERE id > (SELECT last FROM counters WHERE name = 'chunk')",
    ),
    (
        "vectors without any chunk: {}",
        "SELECT CAST(count(*) AS TEXT) AS id FROM vectors WHERE hash NOT IN (SELECT hash FROM chunks) \
         HAVING count(*) > 0",
    ),
];

/// One sentence for each contradiction found.
pub(crate) fn run(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    for (sentence, sql) in RULES.iter().chain(INTEGRITY) {
        let found = tx.query(&format!("{sql} LIMIT ?1"), &[EACH.into()], |row| row.text("id"))?;
        findings.extend(found.iter().map(|id| sentence.replace("{}", id)));
    }
    let mut contradictions = replay(tx)?;
    contradictions.truncate(EACH);
    findings.extend(contradictions);
    Ok(findings)
}

/// Read the log as an index does and compare what it leaves with the chunks there are.
fn replay(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    let mut live: BTreeMap<FileId, (u32, u32)> = BTreeMap::new();
    let mut last = Seq(0);
    let mut highest = 0;
    loop {
        let entries = log::after(tx, last, LOG_PAGE)?;
        let Some(newest) = entries.last().map(|entry| entry.seq) else { break };
        for entry in entries {
            let (seq, file) = (entry.seq.0, &entry.file);
            let (first, end) = (entry.chunks.first.0, entry.chunks.last.0);
            if seq != last.0 + 1 {
                findings.push(format!("the log has a gap before entry {seq}"));
            }
            last = entry.seq;
            match entry.op {
                LogOp::Added => {
                    if first <= highest {
                        findings.push(format!("log entry {seq} gives chunk number {first} a second time"));
                    }
                    highest = highest.max(end);
                    if live.insert(file.clone(), (first, end)).is_some() {
                        findings
                            .push(format!("log entry {seq} adds chunks to file `{file}`, which has some"));
                    }
                }
                LogOp::Removed => {
                    if live.remove(file) != Some((first, end)) {
                        findings.push(format!("log entry {seq} removes chunks file `{file}` does not have"));
                    }
                }
                LogOp::Embedded => {
                    if !live.get(file).is_some_and(|range| range.0 <= first && end <= range.1) {
                        findings.push(format!("log entry {seq} embeds chunks file `{file}` does not have"));
                    }
                }
            }
        }
        last = newest;
        // A log this contradictory need not be read to its end.
        if findings.len() >= EACH {
            return Ok(findings);
        }
    }
    if counters::last(tx, Counter::Log)? != i64::try_from(last.0).unwrap_or(i64::MAX) {
        findings.push(format!("the log ends at entry {} and its counter elsewhere", last.0));
    }
    let present: BTreeMap<FileId, (u32, u32)> = tx
        .query(
            "SELECT file_id, min(id) AS first, max(id) AS last FROM chunks GROUP BY file_id",
            &[],
            |row| Ok((row.id("file_id")?, (row.number("first")?, row.number("last")?))),
        )?
        .into_iter()
        .collect();
    let differs = |(file, range): (&FileId, &(u32, u32)), other: &BTreeMap<_, _>| {
        (other.get(file) != Some(range)).then(|| file.clone())
    };
    let unlogged = present.iter().filter_map(|chunks| differs(chunks, &live));
    findings.extend(unlogged.map(|file| format!("file `{file}` has chunks the log does not know")));
    let missing = live.iter().filter_map(|chunks| differs(chunks, &present));
    findings.extend(missing.map(|file| format!("the log knows chunks of file `{file}` that are not there")));
    Ok(findings)
}
