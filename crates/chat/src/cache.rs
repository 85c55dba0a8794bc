//! Answers, kept for the same account that asks exactly the same again.
//!
//! Only what a model is asked to answer in one way is kept: a temperature of zero or a seed, and
//! embeddings. What depends on something that may change meanwhile (files, collections, tools, the web)
//! is not. An answer belongs to the account that asked; nobody else is ever shown it, and a key with
//! rules of its own shares it with nobody.

mod key;
mod record;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use breezeway_core::{Clock, UnixTime};
use breezeway_wire::Frame;
use bytes::Bytes;
use lru::LruCache;

pub(crate) use self::{
    key::{Key, is_deterministic},
    record::{holds_error, recorded},
};
use crate::Answer;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Most bytes of all answers together; zero keeps nothing.
    pub max_bytes: usize,
    /// How long an answer is good for.
    pub time_to_live: Duration,
}

/// Whether an answer was kept from an earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// It was, and no model was asked.
    Hit,
    /// It was not, and may be from now on.
    Miss,
}

impl CacheUse {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// Whether a kept answer will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// It will, and this one may be kept.
    #[default]
    Any,
    /// It will not, and this one is not to be kept (`Cache-Control: no-store`).
    NoStore,
}

/// What an entry costs beside its bytes: key, list, map. An estimate, rounded up.
const ENTRY_BYTES: usize = 256;

/// The same for each frame of a stream.
const FRAME_BYTES: usize = 128;

/// Answers by what was asked. Clones share one state.
#[derive(Clone)]
pub(crate) struct Cache {
    config: CacheConfig,
    clock: Clock,
    entries: Arc<Mutex<Entries>>,
}

struct Entries {
    known: LruCache<Key, Entry>,
    bytes: usize,
}

struct Entry {
    kept: Kept,
    bytes: usize,
    until: UnixTime,
}

/// An answer that is kept.
#[derive(Clone)]
pub(crate) enum Kept {
    Whole(Bytes),
    Frames(Arc<[Frame]>),
}

impl Kept {
    fn bytes(&self) -> usize {
        ENTRY_BYTES
            + match self {
                Self::Whole(body) => body.len(),
                Self::Frames(frames) => frames.iter().map(bytes_of).sum(),
            }
    }

    /// The answer once more.
    pub(crate) fn into_answer(self) -> Answer {
        match self {
            Self::Whole(body) => Answer::Whole(body),
            Self::Frames(frames) => {
                let frames: Vec<_> = frames.iter().cloned().map(Ok).collect();
                Answer::Stream(Box::pin(futures_util::stream::iter(frames)))
            }
        }
    }
}

/// What a frame takes: its bytes are one allocation, and `data` a part of it.
fn bytes_of(frame: &Frame) -> usize {
    FRAME_BYTES + frame.raw.len()
}

impl Cache {
    /// One with nothing in it; `None` if nothing is to be kept.
    pub(crate) fn new(config: CacheConfig, clock: Clock) -> Option<Self> {
        let entries = Entries { known: LruCache::unbounded(), bytes: 0 };
        let keeps = config.max_bytes > 0 && !config.time_to_live.is_zero();
        keeps.then(|| Self { config, clock, entries: Arc::new(Mutex::new(entries)) })
    }

    /// What was answered to this, if that is still good.
    pub(crate) fn get(&self, key: &Key) -> Option<Kept> {
        let now = self.clock.now();
        let mut entries = self.entries();
        let entry = entries.known.get(key)?;
        if entry.until > now {
            return Some(entry.kept.clone());
        }
        entries.drop_entry(key);
        None
    }

    /// Keep an answer. What has been asked for the longest time ago goes, until there is room.
    pub(crate) fn put(&self, key: Key, kept: Kept) {
        let bytes = kept.bytes();
        if bytes > self.largest() {
            return;
        }
        let entry = Entry { kept, bytes, until: self.clock.now().plus(self.config.time_to_live) };
        let mut entries = self.entries();
        entries.drop_entry(&key);
        while entries.bytes + bytes > self.config.max_bytes && entries.drop_oldest() {}
        entries.bytes += bytes;
        entries.known.put(key, entry);
    }

    /// The largest answer that is kept: one must not push out all others.
    pub(crate) fn largest(&self) -> usize {
        self.config.max_bytes / 8
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    /// How much there is, not what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Entries {
    fn drop_entry(&mut self, key: &Key) {
        if let Some(entry) = self.known.pop(key) {
            self.bytes -= entry.bytes;
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.known.pop_lru();
        self.bytes -= oldest.as_ref().map_or(0, |(_, entry)| entry.bytes);
        oldest.is_some()
    }
}

#[cfg(test)]
mod tests;
