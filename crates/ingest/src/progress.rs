//! How far the files being processed have come; in memory only, the store has the states.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use breezeway_core::FileId;

/// What is being done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading its text.
    Extracting,
    /// Turning chunks into vectors.
    Embedding,
    /// Writing to the store.
    Committing,
}

/// How far one file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Chunks embedded so far.
    pub chunks_done: usize,
    /// Chunks of the file, once they are cut.
    pub chunks_total: usize,
}

/// The files being processed right now.
#[derive(Clone, Debug, Default)]
pub struct ProgressBoard(Arc<Mutex<HashMap<FileId, Progress>>>);

impl ProgressBoard {
    /// How far a file has come; `None` if nobody works on it.
    pub fn of(&self, file: &FileId) -> Option<Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(file).copied()
    }

    pub(crate) fn set(&self, file: &FileId, progress: Progress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file.clone(), progress);
    }

    pub(crate) fn clear(&self, file: &FileId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
    }
}
