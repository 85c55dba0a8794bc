//! The contracts of the ports, sentence by sentence, for every implementation.
//!
//! A suite takes a factory and asks it for a fresh, empty store for each scenario. Files and
//! collections belong to the accounts `ada` and `eve`; a store that checks accounts must have them.
//!
//! Every function panics with the sentence that does not hold.

use breezeway_core::{FileId, UnixTime, UserId};
use serde_json::{Map, json};

use crate::{BlobHash, ChunkHash, Document, File, FileState, LibraryStore, NewChunk, NewFile};

pub use self::{
    attributes::attribute_store, blobs::blob_store, chunks::chunk_store, drafts::draft_store,
    library::library_store,
};

mod attributes;
mod blobs;
mod chunks;
mod drafts;
mod library;

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_800_000_000 + seconds)
}

fn user(name: &str) -> UserId {
    name.parse().expect("a name is an id")
}

fn blob(number: u8) -> BlobHash {
    BlobHash([number; 32])
}

/// A pending text file of `ada`'s with a blob of its own number.
fn new_file(name: &str, number: u8) -> NewFile {
    let mut metadata = Map::new();
    metadata.insert("shelf".to_owned(), json!({ "row": 3, "tags": ["a", null] }));
    NewFile {
        id: FileId::mint(),
        owner: user("ada"),
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
        size_bytes: 11,
        blob: blob(number),
        metadata,
        state: FileState::Pending,
    }
}

async fn insert<S: LibraryStore>(store: &S, name: &str, number: u8, seconds: i64) -> File {
    store.insert_file(new_file(name, number), None, at(seconds)).await.expect("a file is inserted")
}

fn document(text: &str) -> Document {
    Document { text: text.to_owned(), ..Document::default() }
}

fn chunk(text: &str) -> NewChunk {
    NewChunk {
        text: text.to_owned(),
        start: 0,
        end: text.len(),
        page: Some(2),
        headings: vec!["Trams".to_owned(), "Depots".to_owned()],
        hash: ChunkHash::of(text),
    }
}
