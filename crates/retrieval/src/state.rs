//! What a search sees: which chunks live, whose they are, their words and their vectors.
//!
//! Only the words are on disk. Everything else is read out of the chunk log again at every start,
//! which takes a few reads for each file and keeps no second truth.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use breezeway_core::FileId;
use breezeway_embedding::{Fingerprint, Vector};
use breezeway_knowledge::{ChunkId, ChunkRange, LogEntry, Seq};
use roaring::RoaringBitmap;

use crate::{
    fuse::{Mix, Scores, fuse},
    lexical::{Analysed, Folded, Lexical, Mark},
    query::{Leg, Place},
    top::Scored,
    trace::Trace,
    vector::{FixedVectors, VectorIndex},
};

/// The library as far as the log has been followed.
pub(crate) struct State {
    pub(crate) seq: Seq,
    /// The entry at `seq`.
    last: Option<LogEntry>,
    /// By their first chunk.
    owners: BTreeMap<u32, Owner>,
    files: HashMap<FileId, Vec<ChunkRange>>,
    live: RoaringBitmap,
    pub(crate) lexical: Lexical,
    vectors: Box<dyn VectorIndex>,
    /// Whose vectors they are.
    fingerprint: Option<Fingerprint>,
}

/// Chunks of one commit of a file.
#[derive(Clone)]
struct Owner {
    last: u32,
    file: FileId,
}

/// Changes out of the log, ready to be applied.
pub(crate) struct Batch {
    /// The position they follow on. A batch that comes too late is dropped.
    pub(crate) after: Seq,
    /// The entry they lead up to; `None` if they are only a part of the next one.
    pub(crate) upto: Option<LogEntry>,
    /// Whose vectors were read.
    pub(crate) fingerprint: Option<Fingerprint>,
    pub(crate) changes: Vec<Change>,
}

/// One change.
pub(crate) enum Change {
    /// Chunks are gone.
    Remove(ChunkRange),
    /// Chunks of a file are there, and these of them were read.
    Put { file: FileId, range: ChunkRange, read: ChunkRange, chunks: Vec<ReadChunk> },
    /// Chunks of a file are there, are all in the index, and have no vectors to be read.
    Keep { file: FileId, range: ChunkRange },
}

/// A chunk as it was read.
pub(crate) struct ReadChunk {
    pub(crate) id: u32,
    /// `None` if the index has it already.
    pub(crate) analysed: Option<Analysed>,
    pub(crate) vector: Option<Vector>,
}

/// What is to be found.
pub(crate) struct Plan {
    pub(crate) files: Vec<FileId>,
    /// Distinct terms.
    pub(crate) terms: Vec<String>,
    /// The question as a vector, and of which fingerprint.
    pub(crate) vector: Option<(Fingerprint, Vector)>,
    pub(crate) legs: Leg,
    pub(crate) dense_weight: f32,
    pub(crate) candidates: usize,
}

/// A chunk found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) chunk: u32,
    pub(crate) score: f32,
    pub(crate) bm25: Option<f32>,
    pub(crate) cosine: Option<f32>,
    pub(crate) place: Place,
}

/// Chunks found, best first.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    pub(crate) hits: Vec<Hit>,
    /// What happened, as far as it is known here.
    pub(crate) trace: Trace,
    /// Why the question's vector was of no use, if it was given and was not.
    pub(crate) without_vectors: Option<&'static str>,
}

impl State {
    /// Nothing followed yet.
    pub(crate) fn new(lexical: Lexical, fingerprint: Option<Fingerprint>) -> Self {
        Self {
            seq: Seq(0),
            last: None,
            owners: BTreeMap::new(),
            files: HashMap::new(),
            live: RoaringBitmap::new(),
            lexical,
            vectors: Box::new(FixedVectors::default()),
            fingerprint,
        }
    }

    /// Whose vectors are read.
    pub(crate) fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }

    /// What the index should be marked with when everything up to here is in it.
    pub(crate) fn mark(&self) -> Mark {
        self.last.as_ref().map_or_else(Mark::default, Mark::of)
    }

    /// Use other vectors from now on.
    pub(crate) fn replace_vectors(
        &mut self,
        vectors: Box<dyn VectorIndex>,
        fingerprint: Option<Fingerprint>,
    ) -> Box<dyn VectorIndex> {
        self.fingerprint = fingerprint;
        std::mem::replace(&mut self.vectors, vectors)
    }

    /// The cosine of a chunk to `vector`, if it has a vector here.
    pub(crate) fn cosine(&self, vector: &Vector, chunk: u32) -> Option<f32> {
        self.vectors.cosine(vector, chunk)
    }

    /// Every range of chunks with its file.
    pub(crate) fn ranges(&self) -> Vec<(FileId, ChunkRange)> {
        let of = |(&first, owner): (&u32, &Owner)| (owner.file.clone(), range(first, owner.last));
        self.owners.iter().map(of).collect()
    }

    /// The ranges that `wanted` touches, with their files.
    pub(crate) fn ranges_touched(&self, wanted: ChunkRange) -> Vec<(FileId, ChunkRange)> {
        self.owners
            .range(..=wanted.last.0)
            .rev()
            .take_while(|(_, owner)| owner.last >= wanted.first.0)
            .map(|(&first, owner)| (owner.file.clone(), range(first, owner.last)))
            .collect()
    }

    /// Apply changes, unless they are not what comes next: a caller that gave up may have left its
    /// batch behind in the lane while another one went on.
    pub(crate) fn apply(&mut self, batch: Batch) {
        if batch.after != self.seq || batch.fingerprint != self.fingerprint {
            return;
        }
        for change in batch.changes {
            match change {
                Change::Remove(range) => self.remove(range),
                Change::Keep { file, range } => {
                    self.own(file, range);
                    for chunk in range.first.0..=range.last.0 {
                        self.live.insert(chunk);
                        self.lexical.revive(chunk);
                    }
                }
                Change::Put { file, range, read, chunks } => {
                    self.own(file, range);
                    let mut vectors = Vec::new();
                    for chunk in chunks {
                        self.live.insert(chunk.id);
                        match chunk.analysed {
                            Some(analysed) => self.lexical.add(chunk.id, analysed),
                            None => self.lexical.revive(chunk.id),
                        }
                        vectors.extend(chunk.vector.map(|vector| (chunk.id, vector)));
                    }
                    self.vectors.put(read, vectors);
                }
            }
        }
        if let Some(entry) = batch.upto {
            self.seq = entry.seq;
            self.last = Some(entry);
        }
    }

    fn own(&mut self, file: FileId, range: ChunkRange) {
        let ranges = self.files.entry(file.clone()).or_default();
        if !ranges.contains(&range) {
            ranges.push(range);
        }
        self.owners.insert(range.first.0, Owner { last: range.last.0, file });
    }

    fn remove(&mut self, gone: ChunkRange) {
        self.live.remove_range(gone.first.0..=gone.last.0);
        self.lexical.remove(gone);
        self.vectors.remove(gone);
        for (file, owned) in self.ranges_touched(gone) {
            if owned.first < gone.first || owned.last > gone.last {
                continue;
            }
            self.owners.remove(&owned.first.0);
            if let Some(ranges) = self.files.get_mut(&file) {
                ranges.retain(|range| *range != owned);
                if ranges.is_empty() {
                    self.files.remove(&file);
                }
            }
        }
    }

    /// Go over to the folded index.
    pub(crate) fn folded(&mut self, folded: Folded) {
        self.lexical.folded(folded, &self.live);
    }

    /// The live chunks of these files: all that a search may look at.
    pub(crate) fn allowed(&self, files: &[FileId]) -> RoaringBitmap {
        let mut allowed = RoaringBitmap::new();
        for range in files.iter().filter_map(|file| self.files.get(file)).flatten() {
            allowed.insert_range(range.first.0..=range.last.0);
        }
        allowed &= &self.live;
        allowed
    }

    /// Whose chunk it is.
    pub(crate) fn file(&self, chunk: u32) -> Option<&FileId> {
        self.owners.range(..=chunk).next_back().map(|(_, owner)| &owner.file)
    }

    /// Search.
    pub(crate) fn rank(&self, plan: &Plan) -> tantivy::Result<Ranking> {
        let mut clock = Lap(Instant::now());
        let mut trace = Trace::default();
        let allowed = self.allowed(&plan.files);
        trace.allowed = allowed.len();
        trace.stages.filter = clock.lap();

        let (vector, mut without_vectors) = self.usable(plan);
        let nearest =
            vector.map_or_else(Vec::new, |vector| self.vectors.nearest(vector, &allowed, plan.candidates));
        if vector.is_some() && nearest.is_empty() && !allowed.is_empty() {
            without_vectors = Some("none of the chunks searched has a vector yet");
        }
        trace.by_meaning = nearest.len();
        trace.stages.dense = clock.lap();

        let wants_words = plan.legs != Leg::Dense || nearest.is_empty();
        let found = if wants_words { Some(self.lexical.score(&plan.terms, &allowed)?) } else { None };
        let matching = found.as_ref().map_or_else(Vec::new, |found| found.best(&allowed, plan.candidates));
        trace.by_words = matching.len();
        trace.stages.lexical = clock.lap();

        let mix = match (nearest.is_empty(), matching.is_empty()) {
            (_, true) => Mix::Dense,
            (true, false) => Mix::Lexical,
            (false, false) => Mix::Both(plan.dense_weight),
        };
        let candidates: RoaringBitmap =
            nearest.iter().chain(&matching).map(|candidate| candidate.chunk).collect();
        let scores: Vec<_> = candidates
            .iter()
            .map(|chunk| Scores {
                bm25: found.as_ref().map_or(0.0, |found| found.of(chunk)),
                cosine: vector.and_then(|vector| self.vectors.cosine(vector, chunk)),
            })
            .collect();
        let (by_words, by_meaning) = (ranks(&matching), ranks(&nearest));
        // One candidate cannot be compared with anything: its z-scores are zero, and the order is
        // what it is.
        let fused = fuse(&scores, mix);
        let mut hits: Vec<_> = candidates
            .iter()
            .zip(scores)
            .zip(fused)
            .map(|((chunk, scores), fused)| Hit {
                chunk,
                score: fused.score,
                bm25: (scores.bm25 > 0.0).then_some(scores.bm25),
                cosine: scores.cosine,
                place: Place {
                    bm25_rank: by_words.get(&chunk).copied(),
                    cosine_rank: by_meaning.get(&chunk).copied(),
                    shares: (fused.words, fused.meaning),
                    ..Place::default()
                },
            })
            .collect();
        // Equal scores come in the order of files and of the text, which a new index does not change.
        hits.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| self.file(a.chunk).cmp(&self.file(b.chunk)))
                .then_with(|| a.chunk.cmp(&b.chunk))
        });
        (1..).zip(&mut hits).for_each(|(rank, hit)| hit.place.fused_rank = rank);
        trace.candidates = hits.len();
        trace.dense_weight = if let Mix::Both(weight) = mix { Some(weight) } else { None };
        trace.stages.fuse = clock.lap();
        Ok(Ranking { hits, trace, without_vectors })
    }

    /// The question's vector if it can be compared with what is here, or why it cannot.
    fn usable<'a>(&self, plan: &'a Plan) -> (Option<&'a Vector>, Option<&'static str>) {
        match plan.vector.as_ref() {
            Some((fingerprint, _)) if Some(fingerprint) != self.fingerprint.as_ref() => {
                (None, Some("the embedding model was changed meanwhile"))
            }
            Some((_, vector))
                if self.vectors.dimensions().is_some_and(|known| known != vector.dimensions()) =>
            {
                (None, Some("the stored vectors have other dimensions than the question's"))
            }
            Some((_, vector)) => (Some(vector), None),
            None => (None, None),
        }
    }
}

/// The place of each chunk in a list, from 1.
fn ranks(list: &[Scored]) -> HashMap<u32, usize> {
    list.iter().map(|scored| scored.chunk).zip(1..).collect()
}

/// Time since the last look.
pub(crate) struct Lap(pub(crate) Instant);

impl Lap {
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}

fn range(first: u32, last: u32) -> ChunkRange {
    ChunkRange { first: ChunkId(first), last: ChunkId(last) }
}
