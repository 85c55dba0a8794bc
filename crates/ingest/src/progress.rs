//! How far the files being processed have come; in memory only, the store has the states.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use breezeway_core::FileId;
use breezeway_knowledge::{Listener, Movements};

/// What is being done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading its text and cutting it.
    Extracting,
    /// Turning chunks into vectors.
    Embedding,
    /// Making it searchable.
    Committing,
}

impl Stage {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extracting => "extracting",
            Self::Embedding => "embedding",
            Self::Committing => "indexing",
        }
    }
}

/// How far one file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Chunks that have a vector so far.
    pub chunks_done: usize,
    /// Chunks of the file, once they are cut.
    pub chunks_total: usize,
    /// Pages of the document, once it is read and if it has pages.
    pub pages: Option<u32>,
    /// Where this process began to embed, and when: chunks that had a vector by then cost nothing.
    pub(crate) begun: Option<(usize, Instant)>,
}

impl Progress {
    /// At the beginning of a stage.
    pub(crate) fn at(stage: Stage) -> Self {
        Self { stage, chunks_done: 0, chunks_total: 0, pages: None, begun: None }
    }

    /// At the beginning of embedding, with what has a vector already.
    pub(crate) fn embedding(chunks_done: usize, chunks_total: usize, pages: Option<u32>) -> Self {
        let begun = Some((chunks_done, Instant::now()));
        Self { stage: Stage::Embedding, chunks_done, chunks_total, pages, begun }
    }

    /// Chunks embedded in a second so far; `None` until there is something to go by.
    pub fn chunks_per_second(&self) -> Option<f64> {
        let (before, since) = self.begun?;
        let done = self.chunks_done.checked_sub(before).filter(|&done| done > 0)?;
        let seconds = since.elapsed().as_secs_f64();
        (seconds > 0.0).then(|| done as f64 / seconds)
    }

    /// How long the rest takes if it goes on like this.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.chunks_total.saturating_sub(self.chunks_done) as f64;
        Duration::try_from_secs_f64(left / self.chunks_per_second()?).ok()
    }
}

/// The files being processed right now.
#[derive(Clone, Debug, Default)]
pub struct ProgressBoard {
    files: Arc<Mutex<HashMap<FileId, Progress>>>,
    changes: Movements,
}

impl ProgressBoard {
    /// How far a file has come; `None` if nobody works on it.
    pub fn of(&self, file: &FileId) -> Option<Progress> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(file).copied()
    }

    /// Hear when any file has come further.
    pub fn listen(&self) -> Listener {
        self.changes.listen()
    }

    pub(crate) fn set(&self, file: &FileId, progress: Progress) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(file.clone(), progress);
        self.changes.tell();
    }

    pub(crate) fn clear(&self, file: &FileId) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
        self.changes.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_counts_what_this_process_has_embedded() {
        let earlier = Instant::now().checked_sub(Duration::from_secs(10)).expect("the machine is older");
        let begun = Some((100, earlier));
        let progress = Progress { chunks_done: 120, begun, ..Progress::embedding(100, 160, None) };

        let rate = progress.chunks_per_second().expect("there is one");
        let left = progress.time_left().expect("there is one").as_secs_f64();

        assert!((1.9..=2.0).contains(&rate), "{rate}");
        assert!((20.0..=21.0).contains(&left), "{left}");
        assert_eq!(Progress::embedding(100, 160, None).time_left(), None, "nothing to go by yet");
    }
}
