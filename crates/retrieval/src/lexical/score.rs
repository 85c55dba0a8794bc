//! Scoring: every allowed chunk gets its exact BM25 score.

use std::collections::HashMap;

use roaring::RoaringBitmap;
use tantivy::DocId;

use super::{Lexical, bm25::Statistics, segment::Segment};
use crate::top::{Scored, Top};

/// Below one allowed chunk in this many, a segment is asked for those chunks instead of being read
/// through.
const FEW: u64 = 16;

/// The scores of one question.
pub(crate) struct Found<'a> {
    lexical: &'a Lexical,
    segments: Vec<Sums>,
    tail: HashMap<u32, f32>,
}

/// The sums of one segment.
enum Sums {
    /// For every document, allowed or not.
    All(Vec<f32>),
    /// For the documents given, which rise.
    Few(Vec<DocId>, Vec<f32>),
}

impl Sums {
    fn of(segment: &Segment, allowed: &RoaringBitmap) -> Self {
        let Some((first, last)) = segment.span() else { return Self::Few(Vec::new(), Vec::new()) };
        let wanted = allowed.range_cardinality(first..=last);
        if wanted.saturating_mul(FEW) > segment.len() as u64 {
            return Self::All(vec![0.0; segment.len()]);
        }
        let mut documents: Vec<_> = allowed
            .range(first..=last)
            .filter_map(|chunk| segment.document(chunk))
            .filter(|&document| segment.is_alive(document))
            .collect();
        documents.sort_unstable();
        let sums = vec![0.0; documents.len()];
        Self::Few(documents, sums)
    }
}

impl Lexical {
    /// Numbers over all live chunks, whoever may see them.
    pub(crate) fn statistics(&self) -> Statistics {
        let segments = self.segments.iter();
        Statistics {
            documents: self.tail.count() + segments.clone().map(Segment::alive_count).sum::<u64>(),
            tokens: self.tail.tokens() + segments.map(Segment::alive_tokens).sum::<u64>(),
        }
    }

    /// Score all `allowed` chunks for `terms`, which must differ from each other.
    pub(crate) fn score(&self, terms: &[String], allowed: &RoaringBitmap) -> tantivy::Result<Found<'_>> {
        let statistics = self.statistics();
        let scale = statistics.scale();
        let mut found = Found {
            lexical: self,
            segments: self.segments.iter().map(|segment| Sums::of(segment, allowed)).collect(),
            tail: HashMap::new(),
        };
        for term in terms {
            let word = self.storage.term(term);
            let mut frequency = self.tail.postings(term).count() as u64;
            for segment in &self.segments {
                frequency += segment.frequency(&word)?;
            }
            if frequency == 0 {
                continue;
            }
            let rarity = statistics.rarity(frequency);
            for (segment, sums) in self.segments.iter().zip(&mut found.segments) {
                let Some(occurrences) = segment.occurrences(&word)? else { continue };
                match sums {
                    Sums::All(sums) => occurrences.each(|document, times| {
                        if segment.is_alive(document) {
                            sums[document as usize] += scale.score(rarity, times, segment.length(document));
                        }
                    }),
                    Sums::Few(documents, sums) => occurrences.among(documents, |at, times| {
                        sums[at] += scale.score(rarity, times, segment.length(documents[at]));
                    }),
                }
            }
            for (chunk, times, length) in
                self.tail.postings(term).filter(|&(chunk, ..)| allowed.contains(chunk))
            {
                *found.tail.entry(chunk).or_default() += scale.score(rarity, times, length);
            }
        }
        Ok(found)
    }
}

impl Found<'_> {
    /// The best `limit` of the allowed chunks in which a term occurs.
    pub(crate) fn best(&self, allowed: &RoaringBitmap, limit: usize) -> Vec<Scored> {
        let mut top = Top::new(limit);
        // Whether it is allowed is asked last: most documents are out on their score.
        let mut offer = |scored: Scored| {
            if scored.score > 0.0 && top.wants(scored) && allowed.contains(scored.chunk) {
                top.offer(scored);
            }
        };
        for (segment, sums) in self.lexical.segments.iter().zip(&self.segments) {
            match sums {
                Sums::All(sums) => (0..).zip(sums).for_each(|(document, &score)| {
                    offer(Scored { chunk: segment.chunk(document), score });
                }),
                Sums::Few(documents, sums) => {
                    documents.iter().zip(sums).for_each(|(&document, &score)| {
                        offer(Scored { chunk: segment.chunk(document), score });
                    });
                }
            }
        }
        self.tail.iter().for_each(|(&chunk, &score)| offer(Scored { chunk, score }));
        top.into_sorted()
    }

    /// The score of one allowed chunk, 0 if no term occurs in it.
    pub(crate) fn of(&self, chunk: u32) -> f32 {
        if let Some(&score) = self.tail.get(&chunk) {
            return score;
        }
        let in_segment = |(segment, sums): (&Segment, &Sums)| {
            let document = segment.document(chunk).filter(|&document| segment.is_alive(document))?;
            match sums {
                Sums::All(sums) => sums.get(document as usize).copied(),
                Sums::Few(documents, sums) => {
                    documents.binary_search(&document).ok().and_then(|at| sums.get(at).copied())
                }
            }
        };
        self.lexical.segments.iter().zip(&self.segments).find_map(in_segment).unwrap_or(0.0)
    }
}
