use std::{fmt, io, path::PathBuf};

use breezeway_core::LaneError;
use breezeway_embedding::EmbedError;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file is not there.
    #[error("`{}` is missing", .0.display())]
    Missing(PathBuf),
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// The file is not an ONNX Runtime library of this machine.
    #[error("`{}` is not an ONNX Runtime library that this machine can load", .0.display())]
    NotALibrary(PathBuf),
    /// The library is too old.
    #[error("`{}` is ONNX Runtime 1.{found}, and 1.{needed} or newer is needed", path.display())]
    OldLibrary {
        /// The library.
        path: PathBuf,
        /// Its minor version.
        found: u32,
        /// The oldest that works.
        needed: u32,
    },
    /// The runtime refused the model, or the tokenizer its files.
    #[error("the model in `{}` cannot be opened", folder.display())]
    Model {
        /// The model's folder.
        folder: PathBuf,
        /// The runtime's words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model was opened and answered nonsense to a first text.
    #[error("the model in `{}` does not answer with vectors", .0.display())]
    NoVectors(PathBuf),
    /// The lane did not take the work.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

impl From<LoadError> for EmbedError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Lane(lane) => Self::Lane(lane),
            other => {
                let cause = std::error::Error::source(&other).map(|cause| format!(": {cause}"));
                Self::Unavailable(format!("{other}{}", cause.unwrap_or_default()))
            }
        }
    }
}

/// A source that was asked for a model's files, and why it did not have them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which source.
    pub source: &'static str,
    /// What kept it from answering.
    pub reason: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.source, self.reason)
    }
}

/// Why a model's files could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// All sources together do not have all files.
    #[error(
        "the embedding model `{model}` is not complete: no source has {}; tried {}",
        list(missing.iter().map(|name| format!("`{name}`"))),
        list(tried.iter())
    )]
    NoSource {
        /// The model.
        model: String,
        /// The files that are missing.
        missing: Vec<String>,
        /// The sources, in order.
        tried: Vec<Attempt>,
    },
    /// The folder for the model cannot be used.
    #[error("the model folder failed to {action}")]
    Folder {
        /// What was attempted.
        action: &'static str,
        /// The operating system's words.
        source: io::Error,
    },
    /// Another process has been fetching the same model for too long.
    #[error("another process has been fetching into `{}` for too long", .0.display())]
    Busy(PathBuf),
    /// The lane did not take the work.
    #[error(transparent)]
    Lane(#[from] LaneError),
}

fn list<T: fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
