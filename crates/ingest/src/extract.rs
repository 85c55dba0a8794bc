//! Extraction: from bytes to a document.

use std::{path::PathBuf, time::Duration};

/// What extraction may use before it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time for one file.
    pub time: Duration,
    /// Most memory of a worker process, in bytes.
    pub memory_bytes: u64,
    /// Longest text, in bytes.
    pub text_bytes: u64,
    /// Most pages.
    pub pages: u32,
    /// Most bytes an archive may expand to.
    pub expanded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(120),
            memory_bytes: 1 << 30,
            text_bytes: 256 << 20,
            pages: 20_000,
            expanded_bytes: 256 << 20,
        }
    }
}

/// Where extraction runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// On the lane, in this process: for embedders who trust their documents.
    InProcess,
    /// In a child process that can be killed: a program and its arguments, which calls
    /// `extract::serve_child`.
    Child {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// Why no text could be read. The text is shown to the file's owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// There is no text in it.
    #[error(
        "The content provided is empty. Please ensure that there is text or data present before proceeding."
    )]
    Empty,
    /// It is of a kind nobody can read text from.
    #[error("File type {0} is not supported for processing")]
    Unsupported(String),
    /// It is damaged or not what it claims to be.
    #[error("{0}")]
    Damaged(String),
    /// It needs a password.
    #[error("The file is encrypted. Please remove the password and upload it again.")]
    Encrypted,
    /// It goes beyond a limit.
    #[error("The file exceeds the limit of {0}")]
    Limit(String),
    /// The worker process died.
    #[error("The file could not be read: {0}")]
    Crashed(String),
}
