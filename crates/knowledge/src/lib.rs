#![doc = include_str!("../README.md")]

mod blob;
mod chunk;
mod collection;
mod document;
mod error;
mod file;
mod library;
mod log;
mod memory;
mod movements;
mod name;
mod store;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    blob::{BlobHash, BlobStore, BlobStream, FsBlobs, MemoryBlobs, StoredBlob},
    chunk::{ChunkHash, ChunkId, ChunkRange, NewChunk, StoredChunk},
    collection::{Collection, CollectionChange, CollectionQuery, Member, MemberQuery, NewCollection},
    document::{Document, Section},
    error::{Error, Result},
    file::{File, FileOrder, FileQuery, FileState, NewFile, Unread},
    library::{Library, LibraryConfig, Upload, Wanted},
    log::{LogEntry, LogOp, Seq},
    memory::MemoryLibrary,
    movements::{Listener, Movements},
    store::{ChunkStore, Claim, FileCommit, LibraryStore, Page, Slice},
};
