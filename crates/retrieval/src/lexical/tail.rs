//! The tail: chunks that are findable already and not in the index yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use breezeway_knowledge::ChunkRange;
use roaring::RoaringBitmap;

use crate::analyser;

/// A chunk's text and what the analyser made of it.
pub(crate) struct Analysed {
    pub(crate) text: String,
    /// How many terms there are, repetitions counted.
    pub(crate) length: u32,
    terms: HashMap<String, u32>,
}

impl Analysed {
    pub(crate) fn new(text: String) -> Self {
        let mut terms = HashMap::new();
        let mut length = 0;
        for term in analyser::terms(&text) {
            *terms.entry(term).or_default() += 1;
            length += 1;
        }
        Self { text, length, terms }
    }
}

#[derive(Default)]
pub(crate) struct Tail {
    documents: BTreeMap<u32, Arc<Analysed>>,
    /// For each term where it occurs and how often. May mention chunks that are gone.
    postings: HashMap<String, Vec<(u32, u32)>>,
    tokens: u64,
    /// Chunks added since the postings were last swept.
    weight: usize,
}

impl Tail {
    pub(super) fn contains(&self, chunk: u32) -> bool {
        self.documents.contains_key(&chunk)
    }

    pub(super) fn count(&self) -> u64 {
        self.documents.len() as u64
    }

    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn add(&mut self, chunk: u32, analysed: Analysed) {
        self.tokens += u64::from(analysed.length);
        self.weight += 1;
        for (term, &times) in &analysed.terms {
            match self.postings.get_mut(term) {
                Some(list) => list.push((chunk, times)),
                None => {
                    self.postings.insert(term.clone(), vec![(chunk, times)]);
                }
            }
        }
        self.documents.insert(chunk, Arc::new(analysed));
    }

    pub(super) fn remove(&mut self, range: ChunkRange) {
        let gone: Vec<_> =
            self.documents.range(range.first.0..=range.last.0).map(|(&chunk, _)| chunk).collect();
        self.drop_documents(gone);
    }

    /// Forget what has been folded, and sweep the postings.
    pub(super) fn forget(&mut self, folded: &RoaringBitmap) {
        let gone: Vec<_> = self.documents.keys().copied().filter(|&chunk| folded.contains(chunk)).collect();
        self.drop_documents(gone);
        let documents = &self.documents;
        self.postings.retain(|_, list| {
            list.retain(|(chunk, _)| documents.contains_key(chunk));
            !list.is_empty()
        });
        self.weight = self.documents.len();
    }

    fn drop_documents(&mut self, chunks: Vec<u32>) {
        for chunk in chunks {
            if let Some(document) = self.documents.remove(&chunk) {
                self.tokens -= u64::from(document.length);
            }
        }
    }

    pub(super) fn documents(&self) -> Vec<(u32, Arc<Analysed>)> {
        self.documents.iter().map(|(&chunk, document)| (chunk, document.clone())).collect()
    }

    /// Where `term` occurs: chunk, times, length of the chunk.
    pub(super) fn postings(&self, term: &str) -> impl Iterator<Item = (u32, u32, u32)> {
        let list = self.postings.get(term).map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(|&(chunk, times)| {
            self.documents.get(&chunk).map(|document| (chunk, times, document.length))
        })
    }
}
