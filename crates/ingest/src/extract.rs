//! Extraction: from bytes to a document.
//!
//! The content of a file decides how it is read; its name and its media type only choose between
//! kinds of text, which look alike. Parsers of binary formats meet hostile bytes and may abort the
//! process or never end, which no `catch_unwind` helps against; that is why [`Extraction::Child`]
//! exists and is what a server should use.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use breezeway_knowledge::Document;
use bytes::Bytes;

use crate::chunk::TextKind;

mod archive;
mod assemble;
mod bundle;
mod csv;
mod epub;
mod html;
mod isolate;
mod mail;
mod notebook;
mod ocr;
mod odf;
mod office;
mod pdf;
mod reading;
mod rtf;
mod sniff;
mod table;
mod text;
mod wire;
mod xml;

pub(crate) use self::{
    assemble::assemble,
    isolate::{in_child, in_process},
    sniff::promised,
};
pub use self::{
    isolate::serve_child,
    ocr::Ocr,
    sniff::{Format, sniff},
};

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
    /// Most bytes that all archives in one file may expand to.
    pub expanded_bytes: u64,
    /// Most files in archives and mails, over all that are nested.
    pub entries: u32,
    /// How many files may be inside one another, the outermost not counted.
    pub nesting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(120),
            memory_bytes: 1 << 30,
            text_bytes: 256 << 20,
            pages: 20_000,
            expanded_bytes: 256 << 20,
            entries: 10_000,
            nesting: 4,
        }
    }
}

/// Where extraction runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// On the lane, in this process: for embedders who trust their documents.
    InProcess,
    /// In a child process that can be killed: a program and its arguments, which calls
    /// [`serve_child`].
    Child {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// What the uploader says a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// Its name.
    pub name: String,
    /// Its media type, empty if unknown.
    pub media_type: String,
}

impl Hint {
    /// A file called `name` of type `media_type`.
    pub fn new(name: impl Into<String>, media_type: impl Into<String>) -> Self {
        Self { name: name.into(), media_type: media_type.into() }
    }

    /// The part of the name after its last dot, in lower case.
    fn extension(&self) -> Option<String> {
        let extension = Path::new(&self.name).extension()?.to_str()?;
        Some(extension.to_ascii_lowercase())
    }

    /// The media type without its parameters, in lower case.
    fn essence(&self) -> String {
        self.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub enum Source {
    /// In memory.
    Bytes(Bytes),
    /// In a local file.
    Path(PathBuf),
}

impl Source {
    /// The bytes, if there are no more of them than `limits` leave memory for.
    pub(crate) fn load(self, limits: &Limits) -> Result<Bytes, ExtractError> {
        let most = limits.memory_bytes / 2;
        let too_large = || ExtractError::Limit(format!("{} for one file", megabytes(most)));
        match self {
            Self::Bytes(bytes) if bytes.len() as u64 > most => Err(too_large()),
            Self::Bytes(bytes) => Ok(bytes),
            Self::Path(path) => {
                let mut bytes = Vec::new();
                let file = File::open(&path);
                let read = file.and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
                match read {
                    // The path is the server's own affair and stays out of the text.
                    Err(error) => Err(ExtractError::Crashed(format!("the stored bytes: {}", error.kind()))),
                    Ok(length) if length as u64 > most => Err(too_large()),
                    Ok(_) => Ok(bytes.into()),
                }
            }
        }
    }
}

/// A document and what kind of text it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Extracted {
    /// The document.
    pub document: Document,
    /// What its text is, for whoever cuts it.
    pub kind: TextKind,
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
    /// Its pages are pictures.
    #[error("The file has no text, only pictures of it. It needs OCR, which is not available.")]
    NeedsOcr,
    /// It goes beyond a limit.
    #[error("The file exceeds the limit of {0}")]
    Limit(String),
    /// The worker process died.
    #[error("The file could not be read: {0}")]
    Crashed(String),
}

/// Read the text of a file, on this thread and in this process.
///
/// Deeply nested documents need a deep stack and broken ones may take the process down; see
/// [`Extraction`] for how a server runs this.
///
/// # Errors
/// If there is no text to be had, with a reason for the file's owner.
pub fn extract(hint: &Hint, source: Source, limits: &Limits) -> Result<Extracted, ExtractError> {
    extract_with(hint, source, limits, None)
}

/// Read the text of a file as [`extract`] does, and recognise that of its pictures where there is no
/// other.
///
/// # Errors
/// If there is no text to be had, with a reason for the file's owner.
pub fn extract_with(
    hint: &Hint,
    source: Source,
    limits: &Limits,
    ocr: Option<&Ocr>,
) -> Result<Extracted, ExtractError> {
    let bytes = source.load(limits)?;
    reading::Reading::new(limits, ocr).read(hint, bytes)
}

fn text_limit(bytes: u64) -> ExtractError {
    ExtractError::Limit(format!("{} of text", megabytes(bytes)))
}

pub(crate) fn time_limit(limits: &Limits) -> ExtractError {
    ExtractError::Limit(format!("{} seconds for one file", limits.time.as_secs()))
}

/// A size as people write it.
fn megabytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        whole => format!("{whole} MB"),
    }
}

#[cfg(test)]
mod tests;
