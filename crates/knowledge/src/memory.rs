//! The library in memory, for tests, as an oracle, and for embedders with little data.
//!
//! One mutex makes every call a transaction; nothing here is clever, so that it can be believed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use breezeway_core::{CollectionId, FileId, Grantee, Grants, StoreError, UnixTime, UserId};
use breezeway_embedding::{Fingerprint, Vector};

use crate::{
    BlobHash, ChunkHash, ChunkId, ChunkRange, Collection, Document, File, FileOrder, LogEntry, LogOp,
    NewChunk, NewDraft, Page, Seq, Slice,
};

mod attributes;
mod chunks;
mod drafts;
mod library;

/// Both ports in memory; clones share their content.
#[derive(Clone, Default)]
pub struct MemoryLibrary {
    state: Arc<Mutex<State>>,
}

impl MemoryLibrary {
    /// Whether the next files are refused as if the disk were full.
    #[cfg(test)]
    pub(crate) fn refuse_files(&self, refuse: bool) {
        self.state().refuses_files = refuse;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No call leaves the state half changed: they look first and change afterwards.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryLibrary")
            .field("files", &state.files.len())
            .field("collections", &state.collections.len())
            .field("chunks", &state.chunks.len())
            .finish()
    }
}

#[derive(Default)]
struct State {
    files: BTreeMap<FileId, FileRow>,
    collections: BTreeMap<CollectionId, CollectionRow>,
    /// Every living chunk with its file and its place in it.
    chunks: BTreeMap<ChunkId, (FileId, u32, NewChunk)>,
    /// The last number given to a chunk; numbers of deleted chunks are not given again.
    last_chunk: u32,
    vectors: HashMap<(Fingerprint, ChunkHash), Vector>,
    drafts: BTreeMap<FileId, DraftRow>,
    log: Vec<LogEntry>,
    departed: HashSet<Grantee>,
    said: attributes::Said,
    /// Lets a test see what happens to the bytes of a file that cannot be inserted.
    #[cfg(test)]
    refuses_files: bool,
}

struct FileRow {
    file: File,
    attempt: u32,
    /// When it may be claimed: the retry time of a pending file, the end of a processing one's lease.
    due: UnixTime,
    document: Option<Document>,
    chunks: Option<ChunkRange>,
}

struct DraftRow {
    draft: NewDraft,
    chunks: Vec<NewChunk>,
}

struct CollectionRow {
    collection: Collection,
    members: BTreeMap<FileId, UnixTime>,
}

impl State {
    fn blob_in_use(&self, blob: &BlobHash) -> bool {
        self.files.values().any(|row| row.file.blob == *blob)
    }

    fn refuse_departed(&self, owner: &UserId) -> Result<(), StoreError> {
        if self.departed.contains(&Grantee::User(owner.clone())) {
            return Err(StoreError::Departed(owner.clone()));
        }
        Ok(())
    }

    /// An access list without lines for who has departed.
    fn to_those_who_stay(&self, grants: &Grants) -> Grants {
        grants.iter().filter(|grant| !self.departed.contains(&grant.grantee)).cloned().collect()
    }

    fn append(&mut self, file: &FileId, chunks: ChunkRange, op: LogOp) {
        let seq = Seq(self.log.len() as u64 + 1);
        self.log.push(LogEntry { seq, file: file.clone(), chunks, op });
    }

    /// Forget the chunks of a file, and say so in the log.
    fn remove_chunks(&mut self, file: &FileId) {
        let Some(range) = self.files.get_mut(file).and_then(|row| row.chunks.take()) else { return };
        self.chunks.retain(|id, _| *id < range.first || *id > range.last);
        self.append(file, range, LogOp::Removed);
    }

    /// The texts that vectors are kept for.
    fn hashes(&self) -> impl Iterator<Item = ChunkHash> {
        let drafts = self.drafts.values().flat_map(|row| &row.chunks);
        self.chunks.values().map(|(_, _, chunk)| chunk).chain(drafts).map(|chunk| chunk.hash)
    }

    /// Forget the vectors that no chunk uses any more.
    fn drop_unused_vectors(&mut self) {
        let used: HashSet<ChunkHash> = self.hashes().collect();
        self.vectors.retain(|(_, hash), _| used.contains(hash));
    }
}

fn sort_files<T>(items: &mut [T], order: FileOrder, file: impl Fn(&T) -> &File) {
    items.sort_by(|left, right| {
        let (left, right) = (file(left), file(right));
        let by_order = match order {
            FileOrder::NewestFirst => right.created_at.cmp(&left.created_at),
            FileOrder::OldestFirst => left.created_at.cmp(&right.created_at),
            FileOrder::LatestChangeFirst => right.updated_at.cmp(&left.updated_at),
            FileOrder::EarliestChangeFirst => left.updated_at.cmp(&right.updated_at),
            FileOrder::Name => left.name.cmp(&right.name),
            FileOrder::NameDescending => right.name.cmp(&left.name),
        };
        by_order.then_with(|| left.id.cmp(&right.id))
    });
}

fn page<T>(items: Vec<T>, slice: Slice) -> Page<T> {
    let total = items.len() as u64;
    let skip = usize::try_from(slice.offset).unwrap_or(usize::MAX);
    let take = usize::try_from(slice.limit).unwrap_or(usize::MAX);
    Page { items: items.into_iter().skip(skip).take(take).collect(), total }
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Whether `text` matches `glob`, in time proportional to the product of their lengths at worst:
/// after a mismatch only the latest `*` is worth going back to.
fn matches_glob(text: &str, glob: &str) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let glob: Vec<char> = glob.to_lowercase().chars().collect();
    let (mut at, mut of) = (0, 0);
    let mut star = None;
    while at < text.len() {
        match glob.get(of) {
            Some('*') => {
                star = Some((of + 1, at));
                of += 1;
            }
            Some(&sign) if sign == '?' || sign == text[at] => {
                at += 1;
                of += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (of, at) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    glob[of..].iter().all(|sign| *sign == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_any_text_and_any_sign() {
        for (text, glob, expected) in [
            ("notes.txt", "*", true),
            ("notes.txt", "*.TXT", true),
            ("notes.txt", "n?tes.*", true),
            ("notes.txt", "notes", false),
            ("aaab", "*a*ab", true),
            ("", "*", true),
            ("", "?", false),
            ("größe.md", "gr??e.md", true),
        ] {
            assert_eq!(matches_glob(text, glob), expected, "`{text}` against `{glob}`");
        }
    }

    #[tokio::test]
    async fn the_memory_library_keeps_the_contract_of_both_stores() {
        crate::conformance::library_store(async || MemoryLibrary::default()).await;
        crate::conformance::chunk_store(async || MemoryLibrary::default()).await;
        crate::conformance::draft_store(async || MemoryLibrary::default()).await;
        crate::conformance::attribute_store(async || MemoryLibrary::default()).await;
    }
}
