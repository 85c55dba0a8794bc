//! Following the chunk log: what was committed is findable by the next question.
//!
//! A question first [pulls](Inner::pull): it reads whatever the log has gained and applies it to the
//! state in memory. Folding into the index happens behind that, from time to time, and nobody waits
//! for the disk.

use std::{
    collections::HashSet,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use breezeway_core::FileId;
use breezeway_embedding::Fingerprint;
use breezeway_knowledge::{ChunkId, ChunkRange, LogEntry, LogOp, Seq, StoredChunk};
use tracing::{debug, warn};

use crate::{
    Result, analyser,
    error::Error,
    lexical::{Analysed, Lexical, Mark, Storage, indexed_text},
    retriever::Inner,
    state::{Batch, Change, ReadChunk, State},
    vector::{FixedVectors, VectorIndex},
};

/// Log entries read at a time.
const PAGE: u32 = 256;

/// Chunks read and applied at a time.
const SLICE: u32 = 1024;

/// Unfolded changes that make the follower fold.
const FOLD_AT: usize = 2_000;

/// Unfolded changes that make a pull fold before it reads on. Bounds the memory of the tail.
const FOLD_NOW: usize = 8_000;

/// How long after the last change a small tail is folded as well.
const IDLE: Duration = Duration::from_secs(5);

/// How often the follower looks at the log when nothing asks.
const POLL: Duration = Duration::from_secs(1);

/// Entries of the log after which it is compacted.
const COMPACT_AFTER: u64 = 1_000;

/// The longest wait after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Changes that are gathered until they are worth a visit to the lane.
struct Gathered {
    /// The state's position that they follow on.
    after: Seq,
    /// The last entry that is in them as a whole.
    upto: Option<LogEntry>,
    changes: Vec<Read>,
    weight: usize,
}

/// A change with what was read for it.
enum Read {
    Remove(ChunkRange),
    Keep(FileId, ChunkRange),
    Put { file: FileId, range: ChunkRange, read: ChunkRange, chunks: Vec<StoredChunk> },
}

impl Inner {
    /// Apply everything that is in the log now.
    pub(crate) async fn pull(&self) -> Result<()> {
        let target = self.chunks.last_seq().await?;
        if self.followed.load(Ordering::Acquire) >= target.0 && !self.broken.load(Ordering::Relaxed) {
            return Ok(());
        }
        let _turn = self.following.lock().await;
        if self.broken.load(Ordering::Relaxed) {
            self.begin_anew("a search in it failed").await?;
            self.broken.store(false, Ordering::Relaxed);
        }
        loop {
            let (after, mark) = {
                let state = self.state();
                (state.seq, state.lexical.mark().cloned())
            };
            if mark.as_ref().is_some_and(|mark| mark.seq > target) {
                self.begin_anew("it is ahead of the chunk log").await?;
                continue;
            }
            if after >= target {
                return Ok(());
            }
            let floor = self.chunks.log_floor().await?;
            let came_to = if after == Seq(0) { mark.as_ref().map(|mark| mark.seq) } else { Some(after) };
            if came_to.is_some_and(|seq| seq < floor) {
                self.begin_anew("the chunk log was compacted beyond it").await?;
                continue;
            }
            let entries = self.chunks.log_after(after, PAGE).await?;
            let Some(last) = entries.last() else { return Ok(()) };
            let passes_mark = |mark: &Mark| after < mark.seq && last.seq >= mark.seq;
            if let Some(mark) = mark.filter(passes_mark)
                && !entries.iter().any(|entry| Mark::of(entry) == mark)
            {
                self.begin_anew("it belongs to another chunk log").await?;
                continue;
            }
            self.follow(after, entries).await?;
        }
    }

    /// Read what a page of the log speaks of, and apply it.
    async fn follow(&self, after: Seq, entries: Vec<LogEntry>) -> Result<()> {
        let embeds = self.state().fingerprint().is_some();
        // A page that both adds and removes chunks says that nothing of them can be read any more.
        let removed: Vec<_> = entries
            .iter()
            .filter(|entry| entry.op == LogOp::Removed)
            .map(|entry| (entry.seq, entry.chunks))
            .collect();
        let is_removed_after = |seq: Seq, range: ChunkRange| {
            removed
                .iter()
                .any(|(later, gone)| *later > seq && gone.first <= range.first && range.last <= gone.last)
        };
        // Every read shows the store as it is now, so a range is read once a page.
        let mut seen = HashSet::new();
        let mut gathered = Gathered { after, upto: None, changes: Vec::new(), weight: 0 };
        for entry in entries {
            let ranges = match entry.op {
                // An empty range says nothing; as a range of numbers it would be inside out.
                _ if entry.chunks.first > entry.chunks.last => Vec::new(),
                LogOp::Removed => {
                    gathered.changes.push(Read::Remove(entry.chunks));
                    Vec::new()
                }
                LogOp::Added => vec![(entry.file.clone(), entry.chunks)],
                LogOp::Embedded if embeds => self.state().ranges_touched(entry.chunks),
                LogOp::Embedded => Vec::new(),
            };
            for (file, range) in ranges {
                if !is_removed_after(entry.seq, range) && seen.insert(range) {
                    self.gather(&mut gathered, file, range).await?;
                }
            }
            gathered.weight += 1;
            gathered.upto = Some(entry);
            if gathered.weight >= SLICE as usize {
                self.apply(&mut gathered).await?;
            }
        }
        self.apply(&mut gathered).await
    }

    async fn gather(&self, gathered: &mut Gathered, file: FileId, range: ChunkRange) -> Result<()> {
        let fingerprint = {
            let state = self.state();
            let mut chunks = range.first.0..=range.last.0;
            if state.fingerprint().is_none() && !chunks.any(|chunk| state.lexical.lacks(chunk)) {
                gathered.changes.push(Read::Keep(file, range));
                return Ok(());
            }
            state.fingerprint().cloned()
        };
        for read in slices(range) {
            let chunks = self.chunks.chunks(read, fingerprint.as_ref()).await?;
            gathered.weight += chunks.len();
            gathered.changes.push(Read::Put { file: file.clone(), range, read, chunks });
            if gathered.weight >= SLICE as usize {
                self.apply(gathered).await?;
            }
        }
        Ok(())
    }

    /// Apply what was gathered and begin to gather anew.
    async fn apply(&self, gathered: &mut Gathered) -> Result<()> {
        let changes = std::mem::take(&mut gathered.changes);
        let (after, upto) = (gathered.after, gathered.upto.take());
        gathered.weight = 0;
        if let Some(entry) = &upto {
            gathered.after = entry.seq;
        }
        self.on_lane(move |inner| {
            let fingerprint = inner.state().fingerprint().cloned();
            // Analysing takes the time; nobody is kept out of the state meanwhile.
            let changes = changes.into_iter().map(|read| inner.analyse(read)).collect();
            let mut state = inner.state_mut();
            state.apply(Batch { after, upto, fingerprint, changes });
            inner.followed.store(state.seq.0, Ordering::Release);
            drop(state);
            inner.touch();
        })
        .await?;
        if self.state().lexical.unfolded() >= FOLD_NOW {
            // The tail may grow beyond its bound rather than a question fail; the follower will try
            // again.
            self.fold().await.unwrap_or_else(|error| warn!(%error, "Could not fold the tail"));
        }
        Ok(())
    }

    fn analyse(&self, read: Read) -> Change {
        match read {
            Read::Remove(range) => Change::Remove(range),
            Read::Keep(file, range) => Change::Keep { file, range },
            Read::Put { file, range, read, chunks } => {
                let lacks: Vec<_> = {
                    let state = self.state();
                    chunks.iter().map(|chunk| state.lexical.lacks(chunk.id.0)).collect()
                };
                let chunks = chunks
                    .into_iter()
                    .zip(lacks)
                    .map(|(chunk, lacks)| ReadChunk {
                        id: chunk.id.0,
                        analysed: lacks.then(|| Analysed::new(indexed_text(&chunk.chunk))),
                        vector: chunk.vector,
                    })
                    .collect();
                Change::Put { file, range, read, chunks }
            }
        }
    }

    /// Move the tail into the index. What is written meanwhile stays in the tail, what is removed
    /// meanwhile is deleted from the index by the next fold.
    pub(crate) async fn fold(&self) -> Result<()> {
        let started = Instant::now();
        let folded = self
            .on_lane(|inner| {
                let _disk = inner.disk.lock().unwrap_or_else(PoisonError::into_inner);
                let state = inner.state();
                if state.lexical.unfolded() == 0 {
                    return Ok(None);
                }
                let plan = state.lexical.plan(state.mark());
                drop(state);
                let (chunks, seq) = (plan.len(), plan.seq());
                let folded = plan.carry_out().map_err(Error::index("fold the tail"))?;
                inner.state_mut().folded(folded);
                Ok::<_, Error>(Some((chunks, seq)))
            })
            .await??;
        if let Some((chunks, seq)) = folded {
            let duration_ms = started.elapsed().as_millis() as u64;
            debug!(chunks, seq = seq.0, duration_ms, "Folded {chunks} chunks into the lexical index");
        }
        Ok(())
    }

    /// Have the log forget what the index on disk does not need any more, from time to time.
    async fn compact_log(&self) -> Result<()> {
        let Some(folded) = self.state().lexical.mark().map(|mark| mark.seq) else { return Ok(()) };
        if folded.0 >= self.chunks.log_floor().await?.0 + COMPACT_AFTER {
            self.chunks.compact_log(folded).await?;
            debug!(seq = folded.0, "Compacted the chunk log");
        }
        Ok(())
    }

    /// Throw the index away and read the log from its beginning.
    async fn begin_anew(&self, reason: &'static str) -> Result<()> {
        warn!(reason, "The lexical index will be made anew from the chunk log");
        self.on_lane(|inner| {
            let _disk = inner.disk.lock().unwrap_or_else(PoisonError::into_inner);
            let empty = || Lexical::new(Storage::in_memory()?).map_err(Error::index("open"));
            let fingerprint = inner.state().fingerprint().cloned();
            // The old index lets go of its folder before the folder is deleted.
            inner.followed.store(0, Ordering::Release);
            let old = std::mem::replace(&mut *inner.state_mut(), State::new(empty()?, fingerprint.clone()));
            drop(old);
            let Some(folder) = &inner.config.index_folder else { return Ok(()) };
            let fresh = Storage::emptied(folder)
                .and_then(|storage| Lexical::new(storage).map_err(Error::index("open")));
            match fresh {
                Ok(lexical) => *inner.state_mut() = State::new(lexical, fingerprint),
                Err(error) => warn!(%error, "The lexical index stays in memory until the next start"),
            }
            Ok(())
        })
        .await?
    }

    /// Read all vectors of `fingerprint` into an index of their own. Nothing else changes.
    pub(crate) async fn read_vectors(
        &self,
        fingerprint: &Fingerprint,
    ) -> Result<(Seq, Box<dyn VectorIndex>)> {
        let (seq, ranges) = {
            let state = self.state();
            (state.seq, state.ranges())
        };
        let mut vectors: Box<dyn VectorIndex> = Box::new(FixedVectors::default());
        for (_, range) in ranges {
            for read in slices(range) {
                let chunks = self.chunks.chunks(read, Some(fingerprint)).await?;
                vectors = self
                    .on_lane(move |_| {
                        let with_vector = |chunk: StoredChunk| Some((chunk.id.0, chunk.vector?));
                        vectors.put(read, chunks.into_iter().filter_map(with_vector).collect());
                        vectors
                    })
                    .await?;
            }
        }
        Ok((seq, vectors))
    }

    /// Follow the log for ever.
    pub(crate) async fn run(&self) {
        let mut pause = POLL;
        loop {
            match self.tend().await {
                Ok(()) => pause = POLL,
                Err(error) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    warn!(
                        error = &error as &dyn std::error::Error,
                        pause_ms = pause.as_millis() as u64,
                        "Could not follow the chunk log"
                    );
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One round of the follower.
    async fn tend(&self) -> Result<()> {
        self.pull().await?;
        let unfolded = self.state().lexical.unfolded();
        if unfolded >= FOLD_AT || (unfolded > 0 && self.idle_for() >= IDLE) {
            // Questions go on reading the log and searching meanwhile.
            self.fold().await?;
            self.compact_log().await?;
        }
        Ok(())
    }
}

/// A range in pieces that are read at once.
pub(crate) fn slices(range: ChunkRange) -> impl Iterator<Item = ChunkRange> {
    let last = range.last.0;
    (range.first.0..=last).step_by(SLICE as usize).map(move |first| ChunkRange {
        first: ChunkId(first),
        last: ChunkId(first.saturating_add(SLICE - 1).min(last)),
    })
}

/// The distinct terms of a question, as many as are scored.
pub(crate) fn distinct_terms(text: &str, limit: usize) -> Vec<String> {
    let mut seen = HashSet::new();
    analyser::terms(text).into_iter().filter(|term| seen.insert(term.clone())).take(limit).collect()
}
