//! The consistency check: what must never be, looked for.
//!
//! Foreign keys and checks in the schema forbid some of it already. They are asked again, because a
//! file can be damaged from outside, and because a schema can be wrong.

use std::collections::BTreeMap;

use breezeway_core::{FileId, StoreError};
use breezeway_knowledge::{LogOp, Seq};

use self::rules::RULES;
use crate::{
    counters::{self, Counter},
    db::{INTEGRITY, Tx},
    log,
};

mod rules;

/// Sentences of one kind at most; whoever reads them knows what to do after a few.
const EACH: usize = 20;

/// One sentence for each contradiction found.
pub(crate) fn run(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    let rules = RULES.iter().map(|rule| (rule.sentence, rule.query));
    for (sentence, query) in rules.chain(INTEGRITY.iter().copied()) {
        findings.extend(found(tx, sentence, query)?);
    }
    let mut contradictions = replay(tx)?;
    contradictions.truncate(EACH);
    findings.extend(contradictions);
    Ok(findings)
}

fn found(tx: &mut Tx<'_>, sentence: &str, query: &str) -> Result<Vec<String>, StoreError> {
    let ids = tx.query(&format!("{query} LIMIT ?1"), &[EACH.into()], |row| row.text("id"))?;
    Ok(ids.iter().map(|id| sentence.replace("{}", id)).collect())
}

/// Repair what can be repaired, and answer what was: a sentence as [`run`] has for each.
///
/// What cannot be known any more is made anew: a file whose chunks contradict each other is processed
/// again, and a log that contradicts the chunks is written from them.
pub(crate) fn repair(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut repaired = Vec::new();
    for rule in RULES.iter().filter(|rule| !rule.repair.is_empty()) {
        let sentences = found(tx, rule.sentence, rule.query)?;
        if !sentences.is_empty() {
            tx.execute(rule.repair, &[])?;
            repaired.extend(sentences);
        }
    }
    let contradictions = replay(tx)?;
    if !contradictions.is_empty() {
        log::write_anew(tx)?;
        repaired.extend(contradictions.into_iter().take(EACH));
    }
    // Files that have lost their chunks with all of this. An empty text has none either, and reading it
    // once more does no harm.
    if !repaired.is_empty() {
        tx.execute(
            "UPDATE files SET state = 'pending', due_at = 0 WHERE state = 'completed' \
             AND NOT EXISTS (SELECT 1 FROM living_chunks AS c WHERE c.file_id = files.id)",
            &[],
        )?;
    }
    Ok(repaired)
}

/// Read the log as an index does and compare what it leaves with the chunks there are.
fn replay(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    let mut live: BTreeMap<FileId, (u32, u32)> = BTreeMap::new();
    let mut last = Seq(0);
    let floor = log::floor(tx)?;
    let mut given: BTreeMap<u32, u32> = BTreeMap::new();
    loop {
        let entries = log::after(tx, last, log::PAGE)?;
        let Some(newest) = entries.last().map(|entry| entry.seq) else { break };
        for entry in entries {
            let (seq, file) = (entry.seq.0, &entry.file);
            let (first, end) = (entry.chunks.first.0, entry.chunks.last.0);
            // Below the floor, what was compacted is missing.
            if seq != last.0 + 1 && seq > floor.0 + 1 {
                findings.push(format!("the log has a gap before entry {seq}"));
            }
            last = entry.seq;
            match entry.op {
                LogOp::Added => {
                    if given.range(..=end).next_back().is_some_and(|(_, &before)| before >= first) {
                        findings.push(format!("log entry {seq} gives chunk number {first} a second time"));
                    }
                    given.insert(first, end);
                    if live.insert(file.clone(), (first, end)).is_some() {
                        findings
                            .push(format!("log entry {seq} adds chunks to file `{file}`, which has some"));
                    }
                }
                LogOp::Removed => {
                    if live.remove(file) != Some((first, end)) && seq > floor.0 {
                        findings.push(format!("log entry {seq} removes chunks file `{file}` does not have"));
                    }
                }
                LogOp::Embedded => {
                    let known = live.get(file).is_some_and(|range| range.0 <= first && end <= range.1);
                    if !known && seq > floor.0 {
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
    if counters::last(tx, Counter::Log)? != i64::try_from(last.0.max(floor.0)).unwrap_or(i64::MAX) {
        findings.push(format!("the log ends at entry {} and its counter elsewhere", last.0));
    }
    let present: BTreeMap<FileId, (u32, u32)> = tx
        .query(
            "SELECT file_id, min(id) AS first, max(id) AS last FROM living_chunks GROUP BY file_id",
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
