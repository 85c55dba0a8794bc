//! PDF: one section for each page.
//!
//! The parser is behind a trait, because PDF is the format where a second engine pays most: each
//! reads some files that no other does.

use std::ops::ControlFlow;

use breezeway_knowledge::{Document, Section};
use serde_json::{Map, Value};
use unpdf::{
    Block, Error, PageStreamOptions, ParseEvent, ParseOptions, PdfParser, Resource, model::ListStyle,
};

use super::{ExtractError, Limits, Ocr, ocr::is_picture, table, text, text_limit};

mod repair;

/// A PDF parser.
pub(super) trait Engine {
    /// Hand over the document's metadata, then its pages in order, until `take` breaks off.
    fn parse(&self, bytes: &[u8], take: &mut dyn FnMut(Part) -> ControlFlow<()>) -> Result<(), ExtractError>;
}

/// What an engine hands over.
pub(super) enum Part {
    /// What the document says about itself, and how many pages it has.
    Start {
        /// Title, author and the like.
        metadata: Map<String, Value>,
        /// Pages.
        pages: u32,
        /// The fields of its form that have a value.
        fields: Vec<(String, String)>,
    },
    /// One page.
    Page(Page),
}

/// A page as an engine reads it.
pub(super) struct Page {
    /// From 1.
    number: u32,
    /// Its text as Markdown.
    text: String,
    /// Whether something is on it that could be text: pictures, drawn or unreadable letters.
    has_unread_content: bool,
    /// Whether it, or part of it, could not be read at all.
    is_damaged: bool,
    /// Whether pictures cover it and its only text is at its edges: a scan with a page number.
    is_scan: bool,
    /// Whether it has text that nobody sees and that is no layer under a scan.
    has_hidden_text: bool,
    /// Its pictures that are large enough to be a page, in formats for pictures, if they were asked for.
    pictures: Vec<Vec<u8>>,
}

impl Page {
    /// A page that has nothing but text.
    fn of_text(number: u32, text: String) -> Self {
        Self {
            number,
            text,
            has_unread_content: false,
            is_damaged: false,
            is_scan: false,
            has_hidden_text: false,
            pictures: Vec::new(),
        }
    }

    /// Whether its text is in its pictures.
    fn is_picture(&self) -> bool {
        self.is_scan || (self.text.trim().is_empty() && self.has_unread_content)
    }

    /// Add the text of its pictures; whether there was any.
    fn recognise(&mut self, ocr: &Ocr) -> bool {
        let texts = self.pictures.iter().filter_map(|picture| ocr.text(picture));
        let text = texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
        if text.is_empty() {
            return false;
        }
        // What the page has of its own, a number mostly, is in the picture too.
        self.text = text;
        true
    }
}

/// The share of a page that pictures cover if it is one.
const SCAN: f32 = 0.5;

/// The longer side of a picture that can be a page or a stripe of one, in pixels: a postcard at 75
/// dots per inch.
const SMALLEST: u32 = 300;

/// The most pictures of one page that are looked at. Some scanners cut a page into stripes.
const MOST_PICTURES: usize = 64;

/// Drawn shapes that make a page without text look like one with letters turned into outlines.
const OUTLINES: u32 = 200;

/// Read a PDF, and recognise the text of pages that are only pictures if `ocr` says how.
pub(super) fn read(bytes: &[u8], limits: &Limits, ocr: Option<&Ocr>) -> Result<Document, ExtractError> {
    let engine = Unpdf { with_pictures: ocr.is_some() };
    let refused = match read_with(&engine, bytes, limits, ocr) {
        Err(refused @ (ExtractError::Damaged(_) | ExtractError::Empty)) => refused,
        read => return read,
    };
    for root in [repair::Root::Found, repair::Root::Made] {
        let Some(repaired) = repair::repaired(bytes, root, limits.expanded_bytes) else { continue };
        if let Ok(mut document) = read_with(&engine, &repaired, limits, ocr) {
            document.metadata.insert("repaired".to_owned(), true.into());
            return Ok(document);
        }
    }
    Err(refused)
}

fn read_with(
    engine: &dyn Engine,
    bytes: &[u8],
    limits: &Limits,
    ocr: Option<&Ocr>,
) -> Result<Document, ExtractError> {
    let mut document = Document::default();
    let (mut needs_ocr, mut damaged) = (Vec::new(), Vec::new());
    let (mut recognised, mut hidden) = (Vec::new(), Vec::new());
    let mut filled = Vec::new();
    let mut failure = None;
    engine.parse(bytes, &mut |part| {
        match part {
            Part::Start { pages, .. } if pages > limits.pages => {
                failure = Some(ExtractError::Limit(format!("{} pages", limits.pages)));
                return ControlFlow::Break(());
            }
            Part::Start { mut metadata, pages, fields } => {
                filled = fields;
                metadata.insert("total_pages".to_owned(), pages.into());
                document.metadata = metadata;
            }
            Part::Page(mut page) => {
                let number = Value::from(page.number);
                if page.has_hidden_text {
                    hidden.push(number.clone());
                }
                if page.is_damaged {
                    damaged.push(number);
                } else if page.is_picture() {
                    match ocr.map(|ocr| page.recognise(ocr)) {
                        Some(true) => recognised.push(number),
                        Some(false) | None => needs_ocr.push(number),
                    }
                }
                add(&mut document, &page);
            }
        }
        if document.text.len() as u64 > limits.text_bytes {
            failure = Some(text_limit(limits.text_bytes));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if !filled.is_empty() {
        add_fields(&mut document, &filled);
    }
    if document.text.trim().is_empty() {
        if document.sections.is_empty() {
            return Err(ExtractError::Damaged(
                "The PDF is damaged: none of its pages can be found.".to_owned(),
            ));
        }
        if !needs_ocr.is_empty() {
            return Err(ExtractError::NeedsOcr);
        }
        if !damaged.is_empty() {
            return Err(ExtractError::Damaged(
                "The pages of the PDF are damaged and cannot be read.".to_owned(),
            ));
        }
        return Err(ExtractError::Empty);
    }
    let lists = [
        ("needs_ocr", needs_ocr),
        ("ocr_pages", recognised),
        ("damaged_pages", damaged),
        ("hidden_text_pages", hidden),
    ];
    for (name, pages) in lists {
        if !pages.is_empty() {
            document.metadata.insert(name.to_owned(), Value::Array(pages));
        }
    }
    Ok(document)
}

fn add(document: &mut Document, page: &Page) {
    if !document.text.is_empty()
        && let Some(last) = document.sections.last_mut()
    {
        document.text.push_str("\n\n");
        last.end = document.text.len();
    }
    let start = document.text.len();
    document.text.push_str(&text::normalized(page.text.trim_end().into()));
    document.sections.push(Section {
        start,
        end: document.text.len(),
        page: Some(page.number.saturating_sub(1)),
        page_label: Some(page.number.to_string()),
        title: None,
    });
}

/// Append what is filled into the form. Where a field is on the paper is unknown, so it is part of
/// the page only if there is one.
fn add_fields(document: &mut Document, fields: &[(String, String)]) {
    let mut lines = String::new();
    for (name, value) in fields {
        lines.push_str(&format!("{name}: {value}\n"));
    }
    let page = Page::of_text(1, lines);
    let only = document.sections.len() == 1;
    add(document, &page);
    if only {
        let fields = document.sections.pop();
        if let (Some(paper), Some(fields)) = (document.sections.last_mut(), fields) {
            paper.end = fields.end;
        }
    } else if let Some(section) = document.sections.last_mut() {
        (section.page, section.page_label) = (None, None);
    }
}

/// The engine in use: pure Rust, good with right-to-left and East Asian text.
pub(super) struct Unpdf {
    /// Whether pictures are wanted.
    with_pictures: bool,
}

impl Engine for Unpdf {
    fn parse(&self, bytes: &[u8], take: &mut dyn FnMut(Part) -> ControlFlow<()>) -> Result<(), ExtractError> {
        let parser = PdfParser::from_bytes_with_options(bytes, ParseOptions::new().lenient().sequential())
            .map_err(refusal)?;
        let options = PageStreamOptions {
            parallel: false,
            window_size: 1,
            extract_resources: self.with_pictures,
            ..PageStreamOptions::default()
        };
        let streamed = parser.for_each_page(options, |event| match event {
            ParseEvent::DocumentStart { metadata, page_count, form_fields, .. } => {
                let fields = form_fields
                    .iter()
                    .map(|field| (field.name.clone(), field.display_value()))
                    // An empty box says nothing that its label does not.
                    .filter(|(_, value)| !value.trim().is_empty() && value != "[ ]")
                    .collect();
                take(Part::Start { metadata: described(&metadata), pages: page_count, fields })
            }
            ParseEvent::PageParsed(page) => take(Part::Page(Page {
                number: page.number,
                text: markdown(&page.elements),
                has_unread_content: page.image_op_count > 0
                    || page.ocr_text_suppressed
                    || page.suppressed_text_runs > 0
                    || page.fill_op_count > OUTLINES,
                is_damaged: page.undecodable_content_streams > 0,
                is_scan: page.image_coverage > SCAN
                    && page.invisible_text_chars == 0
                    && page.painted_text_chars <= page.margin_text_chars,
                has_hidden_text: page.image_coverage < SCAN && page.invisible_text_chars > 0,
                pictures: page
                    .images
                    .into_iter()
                    .filter_map(|(_, image)| picture(image))
                    .take(MOST_PICTURES)
                    .collect(),
            })),
            ParseEvent::PageFailed { page, .. } => {
                take(Part::Page(Page { is_damaged: true, ..Page::of_text(page, String::new()) }))
            }
            ParseEvent::Progress { .. } | ParseEvent::DocumentEnd { .. } => ControlFlow::Continue(()),
        });
        streamed.map(drop).map_err(refusal)
    }
}

/// A picture that may be a page.
fn picture(image: Resource) -> Option<Vec<u8>> {
    let is_large = image.width.unwrap_or(0).max(image.height.unwrap_or(0)) >= SMALLEST;
    (is_large && is_picture(&image.mime_type)).then_some(image.data)
}

fn refusal(error: Error) -> ExtractError {
    match error {
        Error::Encrypted | Error::InvalidPassword => ExtractError::Encrypted,
        other => ExtractError::Damaged(format!("The PDF is damaged and cannot be read ({other}).")),
    }
}

/// The document's own words about itself, under the names that readers of this API know.
fn described(metadata: &unpdf::Metadata) -> Map<String, Value> {
    let texts = [
        ("title", &metadata.title),
        ("author", &metadata.author),
        ("subject", &metadata.subject),
        ("keywords", &metadata.keywords),
        ("creator", &metadata.creator),
        ("producer", &metadata.producer),
    ];
    let times = [("creationdate", metadata.created), ("moddate", metadata.modified)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
    let times = times.into_iter().filter_map(|(name, time)| Some((name, time?.to_rfc3339())));
    texts
        .chain(times)
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(name, text)| (name.to_owned(), Value::String(text.replace('\0', ""))))
        .collect()
}

fn markdown(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        let before = out.len();
        match block {
            Block::Paragraph(paragraph) => {
                let text = paragraph.plain_text();
                if let Some(level) = paragraph.heading_level() {
                    let level = usize::from(level.clamp(1, 6));
                    let title = text::one_line(&text);
                    out.push_str(&format!("{} {title}", "#".repeat(level)));
                } else if let Some(info) = &paragraph.style.list_info {
                    out.push_str(&"  ".repeat(usize::from(info.level.min(8))));
                    match (&info.style, text.split_once(' ')) {
                        (ListStyle::Unordered { .. }, Some((_, rest))) => out.push_str(&format!("- {rest}")),
                        _ => out.push_str(&text),
                    }
                } else {
                    out.push_str(text.trim());
                }
            }
            Block::Table(found) => {
                let rows: Vec<Vec<String>> = found
                    .rows
                    .iter()
                    .map(|row| row.cells.iter().map(unpdf::TableCell::plain_text).collect())
                    .collect();
                table::write(&rows, &mut out);
            }
            Block::Code { content } | Block::Raw { content } => out.push_str(content.trim_end()),
            Block::Image { alt_text: Some(words), .. } => out.push_str(words.trim()),
            _ => {}
        }
        if out.len() > before {
            out.push_str("\n\n");
        }
    }
    out
}
