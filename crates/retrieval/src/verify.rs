//! Comparing what is searched with what there is.

use std::collections::BTreeMap;

use breezeway_core::FileId;
use breezeway_knowledge::{ChunkRange, LogOp, Seq};

use crate::{Result, Retriever, follow::slices, retriever::Inner};

/// Sentences at most; whoever reads them knows what to do after a few.
const FINDINGS: usize = 20;

/// Log entries read at a time.
const PAGE: u32 = 4096;

/// Times the comparison is made while the library goes on changing.
const ATTEMPTS: u32 = 3;

impl Retriever {
    /// Compare the index with the store: one sentence for each contradiction, a few at most; none in a
    /// sound index. Reads every chunk.
    ///
    /// # Errors
    /// If the store or the index cannot be read.
    pub async fn verify(&self) -> Result<Vec<String>> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.inner.pull().await?;
            let (seq, findings) = self.inner.compare().await?;
            // What was changed meanwhile looks like a contradiction and is none.
            if findings.is_empty() || attempts == ATTEMPTS || self.inner.chunks.last_seq().await? == seq {
                return Ok(findings);
            }
        }
    }

    /// Make the index anew from the store. Questions asked meanwhile wait.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn rebuild(&self) -> Result<()> {
        self.inner.broken.store(true, std::sync::atomic::Ordering::Relaxed);
        self.inner.pull().await
    }
}

impl Inner {
    /// What contradicts what, and how far the log was followed.
    async fn compare(&self) -> Result<(Seq, Vec<String>)> {
        let _turn = self.following.lock().await;
        let (seq, followed) = {
            let state = self.state();
            (state.seq, state.ranges())
        };
        let followed: BTreeMap<u32, (FileId, ChunkRange)> =
            followed.into_iter().map(|(file, range)| (range.first.0, (file, range))).collect();
        let logged = self.logged(seq).await?;

        let mut findings = Vec::new();
        for (first, (file, range)) in &logged {
            if followed.get(first) != Some(&(file.clone(), *range)) {
                findings.push(format!("the index does not know the chunks of file `{file}`"));
            } else {
                findings.extend(self.compare_range(file, *range).await?);
            }
            if findings.len() >= FINDINGS {
                break;
            }
        }
        let unknown = followed.iter().filter(|(first, _)| !logged.contains_key(first));
        findings.extend(
            unknown.map(|(_, (file, _))| format!("the index has chunks of file `{file}`, which are gone")),
        );
        findings.truncate(FINDINGS);
        Ok((seq, findings))
    }

    /// What there is according to the log, up to `seq`.
    async fn logged(&self, seq: Seq) -> Result<BTreeMap<u32, (FileId, ChunkRange)>> {
        let mut logged = BTreeMap::new();
        let mut after = Seq(0);
        loop {
            let entries = self.chunks.log_after(after, PAGE).await?;
            let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(logged) };
            for entry in entries.into_iter().take_while(|entry| entry.seq <= seq) {
                match entry.op {
                    LogOp::Added => {
                        logged.insert(entry.chunks.first.0, (entry.file, entry.chunks));
                    }
                    LogOp::Removed => {
                        logged.remove(&entry.chunks.first.0);
                    }
                    LogOp::Embedded => {}
                }
            }
            if last >= seq {
                return Ok(logged);
            }
            after = last;
        }
    }

    async fn compare_range(&self, file: &FileId, range: ChunkRange) -> Result<Vec<String>> {
        let fingerprint = self.state().fingerprint().cloned();
        let (mut there, mut without_words, mut without_vector) = (0, 0, 0);
        for read in slices(range) {
            let chunks = self.chunks.chunks(read, fingerprint.as_ref()).await?;
            there += chunks.len();
            let state = self.state();
            for chunk in &chunks {
                without_words += usize::from(state.lexical.lacks(chunk.id.0));
                let is_there = |vector| state.cosine(vector, chunk.id.0).is_some();
                without_vector += usize::from(!chunk.vector.as_ref().is_none_or(is_there));
            }
        }
        let expected = (range.last.0 - range.first.0) as usize + 1;
        let mut findings = Vec::new();
        let mut tell = |count: usize, what: &str| {
            if count > 0 {
                findings.push(format!("{count} chunks of file `{file}` {what}"));
            }
        };
        tell(expected - there.min(expected), "are in the log and nowhere else");
        tell(without_words, "cannot be found by their words");
        tell(without_vector, "cannot be found by their meaning");
        Ok(findings)
    }
}
