//! OpenDocument: texts, spreadsheets, presentations and drawings, packed or in one XML file.
//!
//! Sheets and slides are sections, as they are in the formats of other office programs.

use breezeway_knowledge::{Document, Section};

use super::{ExtractError, Limits, archive, reading::Reading, text, xml};

mod body;

/// The namespace that every OpenDocument file names.
const NAMESPACE: &str = "urn:oasis:names:tc:opendocument";

pub(super) fn read(bytes: &[u8], reading: &mut Reading<'_>) -> Result<Document, ExtractError> {
    let mut archive = archive::open(bytes)?;
    let manifest = archive::part(&mut archive, "META-INF/manifest.xml", reading)?;
    if manifest.is_some_and(|manifest| text::markup(&manifest).contains("encryption-data")) {
        return Err(ExtractError::Encrypted);
    }
    let content = archive::part(&mut archive, "content.xml", reading)?.ok_or_else(|| {
        ExtractError::Damaged("The OpenDocument file is damaged: it has no content.".to_owned())
    })?;
    let mut document = read_flat(&text::markup(&content), reading.limits())?;
    if let Some(meta) = archive::part(&mut archive, "meta.xml", reading)? {
        describe(&text::markup(&meta), &mut document);
    }
    Ok(document)
}

/// Whether this XML is an OpenDocument file that is not packed.
pub(super) fn is_flat(xml: &str) -> bool {
    let head = &xml[..xml.floor_char_boundary(4096)];
    head.contains("<office:document") && head.contains(NAMESPACE)
}

/// Read the content from the XML that holds it.
pub(super) fn read_flat(xml: &str, limits: &Limits) -> Result<Document, ExtractError> {
    let mut body = body::Body::new(limits);
    xml::walk(xml, |node| body.take(node))?;
    let (parts, has_pages) = body.finish();
    let mut document = Document::default();
    for (number, part) in (0_u32..).zip(&parts) {
        if number >= limits.pages {
            return Err(ExtractError::Limit(format!("{} slides or sheets", limits.pages)));
        }
        if let Some(last) = document.sections.last_mut() {
            document.text.push_str("\n\n");
            last.end = document.text.len();
        }
        let start = document.text.len();
        document.text.push_str(text::normalized(part.text.trim_end().into()).as_str());
        document.sections.push(Section {
            start,
            end: document.text.len(),
            page: has_pages.then_some(number),
            page_label: has_pages.then(|| (number + 1).to_string()),
            title: part.title.clone(),
        });
    }
    if has_pages {
        document.metadata.insert("total_pages".to_owned(), parts.len().into());
    }
    if let [only] = document.sections.as_slice()
        && only.title.is_none()
        && only.page.is_none()
    {
        document.sections.clear();
    }
    if is_flat(xml) {
        describe(xml, &mut document);
    }
    Ok(document)
}

fn describe(xml: &str, document: &mut Document) {
    let names = [
        ("title", "title"),
        ("creator", "author"),
        ("initial-creator", "author"),
        ("subject", "subject"),
        ("keyword", "keywords"),
        ("creation-date", "creationdate"),
        ("date", "moddate"),
    ];
    for (name, value) in xml::described(head_of(xml), &names) {
        document.metadata.insert(name.to_owned(), value.trim().to_owned().into());
    }
}

/// The description comes before the body, whose titles are not the document's.
fn head_of(xml: &str) -> &str {
    xml.split_once("<office:body").map_or(xml, |(head, _)| head)
}
