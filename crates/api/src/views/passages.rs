//! Passages: what a search found, as `sources` and the query routes show it.

use breezeway_chat::instruction_like;
use breezeway_knowledge::File;
use breezeway_retrieval::Passage;
use serde_json::{Map, Value};

use super::files;

/// The entry of a file's metadata that says at which address it was read.
pub(crate) const SOURCE_URL: &str = "source_url";

/// `metadata` of a passage: where it comes from, for citations.
pub fn metadata(file: &File, passage: &Passage, embedding: &str) -> Map<String, Value> {
    let chunk = &passage.chunk.chunk;
    let mut metadata = Map::new();
    let source = file.metadata.get(SOURCE_URL).and_then(Value::as_str).unwrap_or(&file.name);
    metadata.insert("source".into(), source.into());
    metadata.insert("name".into(), source.into());
    metadata.insert("file_id".into(), file.id.as_str().into());
    metadata.insert("hash".into(), file.text_hash.clone().into());
    metadata.insert("file_hash".into(), files::hash(file).into());
    metadata.insert("created_by".into(), file.owner.as_str().into());
    metadata.insert("content_type".into(), file.media_type.as_str().into());
    metadata.insert("size".into(), file.size_bytes.into());
    metadata.insert("start_index".into(), chunk.start.into());
    metadata.insert("end_index".into(), chunk.end.into());
    if let Some(page) = chunk.page {
        metadata.insert("page".into(), page.into());
        metadata.insert("page_label".into(), (page + 1).to_string().into());
    }
    if !chunk.headings.is_empty() {
        metadata.insert("headings".into(), chunk.headings.clone().into());
    }
    if instruction_like(&chunk.text) {
        metadata.insert("instruction_like".into(), true.into());
    }
    metadata.insert("embedding_config".into(), embedding.into());
    metadata
}

/// The similarity shown for a passage. Where nothing was compared, because no embedding model is
/// there, it is that of a right angle: neither alike nor opposed.
pub(crate) fn similarity(passage: &Passage) -> f32 {
    passage.similarity().unwrap_or(0.5)
}
