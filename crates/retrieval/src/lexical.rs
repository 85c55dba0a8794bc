//! The lexical leg: BM25 over the terms of chunks.
//!
//! # Design
//! tantivy keeps the postings and merges their segments; the scores are computed here, for three
//! reasons. Its own statistics count deleted chunks until a merge happens to drop them, so the same
//! library would answer differently after a restart. It rounds lengths to a byte. And the unfolded
//! tail, which is searched beside the index, must be scored by statistics over both. So lengths are
//! kept as a column, statistics are over the chunks that live right now, and a score depends on
//! nothing but the library: not on what is folded, merged or still to be deleted.
//!
//! Every posting of every term of the question is visited. That costs more than skipping ahead by
//! upper bounds would, but a question's common words are left out as stop words, and a filter to few
//! chunks seeks instead.
//!
//! The indexed text is the chunk and the headings above it. File names belong in it as well (they
//! decide many questions), but the chunk log does not carry them; they will be a second text field
//! of [`storage`], scored by the same statistics.

mod bm25;
mod score;
mod segment;
mod storage;
mod tail;

use std::sync::Arc;

use breezeway_knowledge::{ChunkRange, NewChunk, Seq};
use roaring::RoaringBitmap;

#[cfg(test)]
pub(crate) use self::bm25::Statistics;
use self::{segment::Segment, tail::Tail};
pub(crate) use self::{
    storage::{Mark, Storage},
    tail::Analysed,
};

/// What is searched for a chunk: its text, under the headings it does not repeat itself, and the nearest
/// heading once more. That words of a title count twice was worth .003 to .005 where there are titles and
/// cost .002 at most (docs/decisions/0004-ranking.md).
pub(crate) fn indexed_text(chunk: &NewChunk) -> String {
    let mut text = String::with_capacity(chunk.text.len() + 64);
    if let Some(nearest) = chunk.headings.last() {
        text.push_str(nearest);
        text.push('\n');
    }
    for heading in chunk.headings.iter().filter(|heading| !chunk.text.contains(heading.as_str())) {
        text.push_str(heading);
        text.push('\n');
    }
    text.push_str(&chunk.text);
    text
}

/// The index and its unfolded tail, as one search sees them.
pub(crate) struct Lexical {
    storage: Arc<Storage>,
    segments: Vec<Segment>,
    /// Chunks that the segments hold, dead or alive.
    folded: RoaringBitmap,
    /// Folded chunks that are to be deleted from the index.
    dead: RoaringBitmap,
    tail: Tail,
}

/// What a fold is to do, taken from a [`Lexical`] without stopping its searches.
pub(crate) struct FoldPlan {
    pub(crate) storage: Arc<Storage>,
    documents: Vec<(u32, Arc<Analysed>)>,
    dead: RoaringBitmap,
    mark: Mark,
}

/// What a fold has done, to be handed to [`Lexical::folded`].
pub(crate) struct Folded {
    storage: Arc<Storage>,
    segments: Vec<Segment>,
    added: RoaringBitmap,
    purged: RoaringBitmap,
}

impl Lexical {
    /// Begin with what `storage` holds. Nothing of it is found before [`Lexical::revive`].
    pub(crate) fn new(storage: Storage) -> tantivy::Result<Self> {
        let storage = Arc::new(storage);
        let segments = storage.segments()?;
        let mut lexical = Self {
            storage,
            segments: Vec::new(),
            folded: RoaringBitmap::new(),
            dead: RoaringBitmap::new(),
            tail: Tail::default(),
        };
        lexical.replace(segments, &RoaringBitmap::new());
        Ok(lexical)
    }

    /// The last log entry whose change the index had when it was opened.
    pub(crate) fn mark(&self) -> Option<&Mark> {
        self.storage.mark()
    }

    /// The chunks of a range that neither the index nor the tail has.
    pub(crate) fn lacks(&self, chunk: u32) -> bool {
        !self.folded.contains(chunk) && !self.tail.contains(chunk)
    }

    /// Make a new chunk findable.
    pub(crate) fn add(&mut self, chunk: u32, analysed: Analysed) {
        if self.lacks(chunk) {
            self.tail.add(chunk, analysed);
        }
    }

    /// Make a chunk that is in the index findable (again).
    pub(crate) fn revive(&mut self, chunk: u32) {
        for segment in &mut self.segments {
            segment.set_alive(chunk, true);
        }
    }

    /// Make chunks unfindable, at once.
    pub(crate) fn remove(&mut self, range: ChunkRange) {
        self.tail.remove(range);
        for chunk in self.folded.range(range.first.0..=range.last.0) {
            self.dead.insert(chunk);
            for segment in &mut self.segments {
                segment.set_alive(chunk, false);
            }
        }
    }

    /// Changes that wait to be folded.
    pub(crate) fn unfolded(&self) -> usize {
        self.tail.weight().saturating_add(usize::try_from(self.dead.len()).unwrap_or(usize::MAX))
    }

    /// What is to be folded now.
    pub(crate) fn plan(&self, mark: Mark) -> FoldPlan {
        FoldPlan {
            storage: self.storage.clone(),
            documents: self.tail.documents(),
            dead: self.dead.clone(),
            mark,
        }
    }

    /// Go over to the folded index. `live` says which chunks are findable now: some may have been
    /// removed while the fold was under way. Does nothing if the index was replaced meanwhile.
    pub(crate) fn folded(&mut self, folded: Folded, live: &RoaringBitmap) {
        if !Arc::ptr_eq(&folded.storage, &self.storage) {
            return;
        }
        self.dead -= folded.purged;
        self.replace(folded.segments, live);
        self.tail.forget(&self.folded);
        // A chunk removed from the tail during the fold is in the index all the same.
        self.dead |= folded.added - live;
    }

    fn replace(&mut self, mut segments: Vec<Segment>, live: &RoaringBitmap) {
        let mut folded = RoaringBitmap::new();
        for segment in &mut segments {
            segment.settle(live, &mut folded);
        }
        self.segments = segments;
        self.folded = folded;
    }
}

impl FoldPlan {
    /// Write the plan into the index. Takes as long as the disk does.
    pub(crate) fn carry_out(self) -> tantivy::Result<Folded> {
        self.storage.write(&self.documents, &self.dead, &self.mark)?;
        let segments = self.storage.segments()?;
        let added = self.documents.iter().map(|&(chunk, _)| chunk).collect();
        Ok(Folded { storage: self.storage, segments, added, purged: self.dead })
    }

    /// How many chunks are folded.
    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    /// The position in the log up to which this folds.
    pub(crate) fn seq(&self) -> Seq {
        self.mark.seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::chunk;

    #[test]
    fn a_chunk_is_searched_with_the_headings_it_does_not_repeat_and_the_nearest_once_more() {
        let mut chunk = chunk("Valves\nTurn them left.");
        chunk.headings = vec!["Maintenance".to_owned(), "Valves".to_owned()];

        assert_eq!(indexed_text(&chunk), "Valves\nMaintenance\nValves\nTurn them left.");
    }
}
