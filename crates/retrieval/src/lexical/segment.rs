//! One segment of the index, with what a search needs of it held in memory.

use std::sync::Arc;

use roaring::RoaringBitmap;
use tantivy::{
    DocId, DocSet, InvertedIndexReader, TERMINATED, postings::Postings, schema::IndexRecordOption,
};

use super::storage::Fields;

/// A segment never changes; only which of its documents count does.
pub(crate) struct Segment {
    postings: Arc<InvertedIndexReader>,
    /// The chunk of each document.
    chunks: Vec<u32>,
    /// The number of terms of each document.
    lengths: Vec<u32>,
    /// Documents in the order of their chunks, without those that are deleted on disk already.
    order: Vec<DocId>,
    alive: Vec<bool>,
    alive_count: u64,
    alive_tokens: u64,
}

/// The occurrences of one term in one segment.
pub(crate) struct Occurrences {
    cursor: tantivy::postings::SegmentPostings,
}

impl Occurrences {
    /// Every document and how often the term occurs in it.
    pub(super) fn each(mut self, mut visit: impl FnMut(DocId, u32)) {
        while self.cursor.doc() != TERMINATED {
            visit(self.cursor.doc(), self.cursor.term_freq());
            self.cursor.advance();
        }
    }

    /// Only these documents, which rise.
    pub(super) fn among(mut self, documents: &[DocId], mut visit: impl FnMut(usize, u32)) {
        for (at, &document) in documents.iter().enumerate() {
            if self.cursor.doc() < document {
                self.cursor.seek(document);
            }
            if self.cursor.doc() == document {
                visit(at, self.cursor.term_freq());
            }
        }
    }
}

impl Segment {
    pub(super) fn open(reader: &tantivy::SegmentReader, fields: Fields) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        let column = |name| -> tantivy::Result<Vec<u32>> {
            let values = columns.column_first_or_default::<u64>(name)?;
            Ok((0..reader.max_doc()).map(|document| values.get_val(document) as u32).collect())
        };
        let chunks = column(Fields::CHUNK)?;
        let lengths = column(Fields::LENGTH)?;
        let mut order: Vec<_> = reader.doc_ids_alive().collect();
        order.sort_by_key(|&document| chunks[document as usize]);
        Ok(Self {
            postings: reader.inverted_index(fields.body)?,
            alive: vec![false; chunks.len()],
            alive_count: 0,
            alive_tokens: 0,
            chunks,
            lengths,
            order,
        })
    }

    /// Count exactly the documents whose chunks are `live` and not yet `seen`; the others are no
    /// longer wanted or stand in another segment.
    pub(super) fn settle(&mut self, live: &RoaringBitmap, seen: &mut RoaringBitmap) {
        for at in 0..self.order.len() {
            let document = self.order[at];
            let chunk = self.chunks[document as usize];
            let counts = seen.insert(chunk) && live.contains(chunk);
            self.mark(document, counts);
        }
    }

    /// Count the document of `chunk`, or do so no more. Nothing happens if there is none.
    pub(super) fn set_alive(&mut self, chunk: u32, alive: bool) {
        if let Some(document) = self.document(chunk) {
            self.mark(document, alive);
        }
    }

    fn mark(&mut self, document: DocId, alive: bool) {
        let document = document as usize;
        if self.alive[document] == alive {
            return;
        }
        self.alive[document] = alive;
        let length = u64::from(self.lengths[document]);
        if alive {
            self.alive_count += 1;
            self.alive_tokens += length;
        } else {
            self.alive_count -= 1;
            self.alive_tokens -= length;
        }
    }

    pub(super) fn document(&self, chunk: u32) -> Option<DocId> {
        let at = self.order.partition_point(|&document| self.chunks[document as usize] < chunk);
        self.order.get(at).copied().filter(|&document| self.chunks[document as usize] == chunk)
    }

    /// The least and the greatest chunk in it.
    pub(super) fn span(&self) -> Option<(u32, u32)> {
        let chunk = |document: &DocId| self.chunks[*document as usize];
        Some((chunk(self.order.first()?), chunk(self.order.last()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn alive_count(&self) -> u64 {
        self.alive_count
    }

    pub(super) fn alive_tokens(&self) -> u64 {
        self.alive_tokens
    }

    pub(super) fn is_alive(&self, document: DocId) -> bool {
        self.alive[document as usize]
    }

    pub(super) fn chunk(&self, document: DocId) -> u32 {
        self.chunks[document as usize]
    }

    pub(super) fn length(&self, document: DocId) -> u32 {
        self.lengths[document as usize]
    }

    pub(super) fn occurrences(&self, term: &tantivy::Term) -> tantivy::Result<Option<Occurrences>> {
        let cursor = self.postings.read_postings(term, IndexRecordOption::WithFreqs)?;
        Ok(cursor.map(|cursor| Occurrences { cursor }))
    }

    /// How many counted documents contain `term`.
    pub(super) fn frequency(&self, term: &tantivy::Term) -> tantivy::Result<u64> {
        if self.alive_count == self.chunks.len() as u64 {
            return Ok(u64::from(self.postings.doc_freq(term)?));
        }
        let mut count = 0;
        if self.alive_count > 0
            && let Some(occurrences) = self.occurrences(term)?
        {
            occurrences.each(|document, _| count += u64::from(self.is_alive(document)));
        }
        Ok(count)
    }
}
