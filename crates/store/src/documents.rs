//! Documents: extracted text with its structure.

use breezeway_core::{FileId, StoreError};
use breezeway_knowledge::{Document, Section};
use serde_json::json;

use crate::db::{Tx, Value, unreadable};

pub(crate) fn by_file(tx: &mut Tx<'_>, file: &FileId) -> Result<Option<Document>, StoreError> {
    tx.query_opt("SELECT sections, metadata, text FROM documents WHERE file_id = ?1", &[file.into()], |row| {
        Ok(Document {
            sections: read_sections(&row.text("sections")?)
                .ok_or_else(|| unreadable("document's sections", file))?,
            metadata: row.object("metadata")?,
            text: row.text("text")?,
        })
    })
}

/// Keep `document` as the file's only one.
pub(crate) fn put(tx: &mut Tx<'_>, file: &FileId, document: &Document) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO documents (file_id, sections, metadata, text) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (file_id) DO UPDATE SET sections = excluded.sections, metadata = excluded.metadata, \
         text = excluded.text",
        &[file.into(), sections(document), Value::object(&document.metadata), (&document.text).into()],
    )
    .map(drop)
}

/// Have the text of a file's draft be the file's only one.
pub(crate) fn put_draft(tx: &mut Tx<'_>, file: &FileId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO documents (file_id, sections, metadata, text) \
         SELECT file_id, sections, metadata, text FROM drafts WHERE file_id = ?1 \
         ON CONFLICT (file_id) DO UPDATE SET sections = excluded.sections, metadata = excluded.metadata, \
         text = excluded.text",
        &[file.into()],
    )
    .map(drop)
}

/// A document's sections as they are kept.
pub(crate) fn sections(document: &Document) -> Value<'static> {
    let sections = document.sections.iter();
    let sections = sections.map(|it| json!([it.start, it.end, it.page, it.page_label, it.title])).collect();
    Value::json(&serde_json::Value::Array(sections))
}

type StoredSection = (usize, usize, Option<u32>, Option<String>, Option<String>);

fn read_sections(json: &str) -> Option<Vec<Section>> {
    let sections: Vec<StoredSection> = serde_json::from_str(json).ok()?;
    let section = |(start, end, page, page_label, title)| Section { start, end, page, page_label, title };
    Some(sections.into_iter().map(section).collect())
}
