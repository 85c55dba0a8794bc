//! Documents: the extracted text of a file with the structure that citations need.

use serde_json::{Map, Value};

/// Canonical text and where its parts come from. Offsets are bytes into `text`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The whole text: UTF-8, `\n` line ends, no NUL, no byte order mark.
    pub text: String,
    /// Parts in order, without gaps or overlaps, covering the text. Empty means: one part, no page.
    pub sections: Vec<Section>,
    /// What the format says about itself (title, author, producer, total_pages, …).
    pub metadata: Map<String, Value>,
}

impl Document {
    /// How many pages (slides, sheets) it has, if its format has any.
    pub fn pages(&self) -> Option<u32> {
        let pages = self.metadata.get("total_pages").and_then(Value::as_u64)?;
        u32::try_from(pages).ok()
    }
}

/// A part of a document that chunks do not cross: a page, a slide, a sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Byte offset of its first byte.
    pub start: usize,
    /// Byte offset after its last byte.
    pub end: usize,
    /// Zero-based page, if the format has pages.
    pub page: Option<u32>,
    /// What the page calls itself ("iv", "12").
    pub page_label: Option<String>,
    /// The part's own title: a slide's, a sheet's name.
    pub title: Option<String>,
}
