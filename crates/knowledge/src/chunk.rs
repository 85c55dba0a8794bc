//! Chunks: the pieces of a document that are searched.

use std::fmt;

use breezeway_core::FileId;
use breezeway_embedding::Vector;
use sha2::{Digest, Sha256};

/// A chunk's number: minted by the store in rising order and never given twice.
///
/// A number and not a text like other ids, because search works on bitmaps of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub u32);

/// Chunks with consecutive numbers. The chunks of one commit of one file always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkRange {
    /// The first.
    pub first: ChunkId,
    /// The last, included.
    pub last: ChunkId,
}

/// SHA-256 of the text that is embedded. Equal texts share one vector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkHash(pub [u8; 32]);

impl ChunkHash {
    /// The hash of `text`.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Debug for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkHash({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// A piece of a document as ingestion cuts it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChunk {
    /// The text, exactly `document.text[start..end]`.
    pub text: String,
    /// Byte offset of its first byte in the document's text.
    pub start: usize,
    /// Byte offset after its last byte.
    pub end: usize,
    /// Zero-based page on which it begins, for documents that have pages.
    pub page: Option<u32>,
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// Hash of the text that was embedded.
    pub hash: ChunkHash,
}

/// A chunk as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChunk {
    /// Its number.
    pub id: ChunkId,
    /// Whose piece it is.
    pub file: FileId,
    /// Its place among the file's chunks, from 0.
    pub ordinal: u32,
    /// What was cut.
    pub chunk: NewChunk,
    /// The vector of the fingerprint asked for, if there is one yet.
    pub vector: Option<Vector>,
}
