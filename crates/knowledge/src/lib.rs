#![doc = include_str!("../README.md")]

mod attributes;
mod blob;
mod chunk;
mod collection;
mod document;
mod draft;
mod error;
mod file;
mod filter;
mod library;
mod log;
mod memory;
mod movements;
mod name;
mod store;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    attributes::{AttributeStore, Batch},
    blob::{BlobHash, BlobStore, BlobStream, FsBlobs, MemoryBlobs, StoredBlob},
    chunk::{ChunkHash, ChunkId, ChunkRange, NewChunk, StoredChunk},
    collection::{Collection, CollectionChange, CollectionQuery, Member, MemberQuery, NewCollection},
    document::{Document, Section},
    draft::{Draft, DraftKey, DraftStore, NewDraft},
    error::{Error, Result},
    file::{File, FileOrder, FileQuery, FileState, NewFile, Unread},
    filter::{BadFilter, Filter, Test},
    library::{Library, LibraryConfig, Upload, Wanted},
    log::{LogEntry, LogOp, Seq},
    memory::MemoryLibrary,
    movements::{Bells, Listener, Movements},
    store::{ChunkStore, Claim, FileCommit, LibraryStore, Page, Slice},
};
