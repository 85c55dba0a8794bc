//! Documents of office programs: text, headings, lists and tables as Markdown.
//!
//! Slides and sheets are sections; a Word document has no pages, only the program that prints it
//! does.

use std::io::Cursor;

use breezeway_knowledge::{Document, Section};
use bytes::Bytes;
use office_oxide::{
    Document as Package, DocumentFormat, OfficeError,
    ir::{Metadata, Section as Part},
    options::ParseOptions,
};
use serde_json::{Map, Value};

use super::{ExtractError, Limits, megabytes, text, text_limit};

mod render;

/// One part of a package. Honest documents keep their text far below; the picture data that may be
/// above is not read.
const PART_BYTES: u64 = 64 << 20;

/// How much larger than packed a large part may be. Deflated XML reaches 20, sparse sheets a few
/// hundred only while they are small.
const INFLATE_RATIO: u64 = 200;

/// The longest text of an office document, in characters.
const TEXT_CHARS: usize = 20_000_000;

pub(super) fn read(bytes: Bytes, format: DocumentFormat, limits: &Limits) -> Result<Document, ExtractError> {
    let mut options = ParseOptions::default();
    options.limits.package_entries = 10_000;
    options.limits.package_bytes = limits.expanded_bytes;
    options.limits.part_bytes = PART_BYTES.min(limits.expanded_bytes);
    options.limits.inflate_ratio = INFLATE_RATIO;
    options.limits.embedded_depth = 1;
    options.limits.embedded_packages = 32;
    options.limits.text_chars = TEXT_CHARS.min(usize::try_from(limits.text_bytes).unwrap_or(usize::MAX));
    options.limits.memory_bytes = limits.memory_bytes / 4;
    let package = Package::from_reader_with(Cursor::new(bytes), format, &options)
        .map_err(|error| refusal(&error, format, limits))?;
    let ir = package.to_ir();
    let mut document = Document { metadata: described(&ir.metadata), ..Document::default() };
    let pages = matches!(format, DocumentFormat::Pptx | DocumentFormat::Ppt);
    let parts = pages || matches!(format, DocumentFormat::Xlsx | DocumentFormat::Xls);
    if parts && !pages {
        // A workbook has no title of its own; the parser takes the first sheet's name for one.
        document.metadata.remove("title");
    }
    if pages {
        document.metadata.insert("total_pages".to_owned(), ir.sections.len().into());
    }
    for (number, part) in (0_u32..).zip(&ir.sections) {
        if number >= limits.pages {
            return Err(ExtractError::Limit(format!("{} slides or sheets", limits.pages)));
        }
        add(&mut document, part, parts, pages.then_some(number));
        if document.text.len() as u64 > limits.text_bytes {
            return Err(text_limit(limits.text_bytes));
        }
    }
    if ir.metadata.text_truncated && document.text.trim().is_empty() {
        return Err(ExtractError::Limit(format!("{} of unpacked content", megabytes(limits.expanded_bytes))));
    }
    if ir.metadata.text_truncated {
        document.metadata.insert("truncated".to_owned(), true.into());
    }
    Ok(document)
}

fn add(document: &mut Document, part: &Part, titled: bool, page: Option<u32>) {
    let rendered = render::part(part, titled);
    if !document.text.is_empty() {
        document.text.push_str("\n\n");
        if let Some(last) = document.sections.last_mut() {
            last.end = document.text.len();
        }
    }
    let start = document.text.len();
    document.text.push_str(text::normalized(rendered.into()).trim_end());
    if titled {
        document.sections.push(Section {
            start,
            end: document.text.len(),
            page,
            page_label: page.map(|page| (page + 1).to_string()),
            title: part.title.clone().filter(|title| !title.trim().is_empty()),
        });
    }
}

fn refusal(error: &OfficeError, format: DocumentFormat, limits: &Limits) -> ExtractError {
    // The parser has an error type for each format, and says these things in all of them.
    let words = error.to_string();
    let lower = words.to_ascii_lowercase();
    if lower.contains("encrypt") || lower.contains("password") {
        ExtractError::Encrypted
    } else if lower.contains("limit") {
        ExtractError::Limit(format!("{} of unpacked content", megabytes(limits.expanded_bytes)))
    } else {
        let extension = format.extension();
        ExtractError::Damaged(format!("The .{extension} document is damaged and cannot be read ({words})."))
    }
}

fn described(metadata: &Metadata) -> Map<String, Value> {
    let keywords = (!metadata.keywords.is_empty()).then(|| metadata.keywords.join(", "));
    [
        ("title", &metadata.title),
        ("author", &metadata.author),
        ("subject", &metadata.subject),
        ("keywords", &keywords),
        ("creationdate", &metadata.created),
        ("moddate", &metadata.modified),
        ("language", &metadata.language),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name.to_owned(), text.clone()?)))
    .filter(|(_, text)| !text.trim().is_empty())
    .map(|(name, text)| (name, Value::String(text)))
    .collect()
}
