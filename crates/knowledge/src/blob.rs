//! Blobs: the uploaded bytes, under their own hash.
//!
//! Writing comes before the file row, so a crash leaves at most bytes nobody refers to; a sweep at
//! start removes those.

use std::{fmt, pin::Pin, str::FromStr};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use sha2::{Digest, Sha256};

use crate::Result;

pub use self::{fs::FsBlobs, memory::MemoryBlobs};

mod fs;
mod memory;

/// SHA-256 of a blob's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob hash is 64 hexadecimal digits")]
pub struct InvalidBlobHash;

impl FromStr for BlobHash {
    type Err = InvalidBlobHash;

    fn from_str(text: &str) -> Result<Self, InvalidBlobHash> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(InvalidBlobHash);
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| InvalidBlobHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidBlobHash)?;
        }
        Ok(Self(hash))
    }
}

/// Bytes on their way in or out.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// What a blob store answers about new bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// The hash under which they are.
    pub hash: BlobHash,
    /// How many there are.
    pub size_bytes: u64,
}

/// Keeps bytes under their hash.
///
/// # Contract
/// - `put` reads the stream piece by piece, never holds it whole, and answers when the bytes are
///   durable; an error of the stream, or more than `limit_bytes` bytes ([`crate::Error::TooLarge`]),
///   leaves nothing behind;
/// - equal bytes are kept once;
/// - `open` gives exactly the bytes that were put, from `offset` on, or `None`;
/// - `delete` of unknown bytes is no error; a reader that has opened them may finish.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Keep bytes.
    async fn put(&self, bytes: BlobStream, limit_bytes: u64) -> Result<StoredBlob>;

    /// Read bytes from `offset` to the end.
    async fn open(&self, hash: &BlobHash, offset: u64) -> Result<Option<BlobStream>>;

    /// A path at which a local program can read the bytes, if they are a local file.
    fn local_path(&self, hash: &BlobHash) -> Option<std::path::PathBuf>;

    /// Forget bytes.
    async fn delete(&self, hash: &BlobHash) -> Result<()>;

    /// All hashes, for the sweep.
    async fn list(&self) -> Result<Vec<BlobHash>>;
}
