//! EPUB: web pages in an archive, in the order that the book's spine says. Chapters are sections.

use percent_encoding::percent_decode_str;
use std::collections::{HashMap, HashSet};

use breezeway_knowledge::{Document, Section};

use super::{
    ExtractError, archive, html,
    reading::Reading,
    text, text_limit,
    xml::{self, Node},
};

pub(super) fn read(bytes: &[u8], reading: &mut Reading<'_>) -> Result<Document, ExtractError> {
    let mut archive = archive::open(bytes)?;
    let mut part = |name: &str, reading: &mut Reading<'_>| {
        Ok(archive::part(&mut archive, name, reading)?.map(|part| text::markup(&part)))
    };
    let damaged = |what: &str| ExtractError::Damaged(format!("The EPUB is damaged: {what}."));
    let container = part("META-INF/container.xml", reading)?.ok_or_else(|| damaged("it has no container"))?;
    let place =
        attribute_of(&container, "rootfile", "full-path").ok_or_else(|| damaged("it names no book"))?;
    let package = part(&place, reading)?.ok_or_else(|| damaged("its table of parts is missing"))?;
    let book = Book::read(&package)?;
    let locked = match part("META-INF/encryption.xml", reading)? {
        Some(encryption) => encrypted(&encryption),
        None => HashSet::new(),
    };

    let mut document = Document::default();
    let (mut missing, mut locked_chapters) = (0_u32, 0_u32);
    for href in &book.chapters {
        reading.count_entry()?;
        let path = resolved(&place, href);
        if locked.contains(&path) {
            locked_chapters += 1;
            continue;
        }
        let chapter = match part(&path, reading) {
            Ok(Some(page)) => html::markdown(&page).ok(),
            Err(error) if reading.is_exhausted() => return Err(error),
            Ok(None) | Err(_) => None,
        };
        match chapter {
            Some(chapter) if chapter.trim().is_empty() => {}
            Some(chapter) => add(&mut document, &chapter),
            None => missing += 1,
        }
        if document.text.len() as u64 > reading.limits().text_bytes {
            return Err(text_limit(reading.limits().text_bytes));
        }
    }
    if document.text.is_empty() && locked_chapters > 0 {
        return Err(ExtractError::Encrypted);
    }
    if document.text.is_empty() && missing > 0 {
        return Err(damaged("none of its chapters can be read"));
    }
    if missing + locked_chapters > 0 {
        document.metadata.insert("skipped_total".to_owned(), (missing + locked_chapters).into());
    }
    let names = [
        ("title", "title"),
        ("creator", "author"),
        ("language", "language"),
        ("publisher", "publisher"),
        ("subject", "subject"),
        ("date", "creationdate"),
    ];
    for (name, value) in xml::described(&package, &names) {
        document.metadata.insert(name.to_owned(), value.trim().to_owned().into());
    }
    Ok(document)
}

fn add(document: &mut Document, chapter: &str) {
    if let Some(last) = document.sections.last_mut() {
        document.text.push_str("\n\n");
        last.end = document.text.len();
    }
    let start = document.text.len();
    document.text.push_str(chapter.trim_end());
    let end = document.text.len();
    document.sections.push(Section { start, end, page: None, page_label: None, title: None });
}

/// The chapters of a book, as the package document refers to them.
struct Book {
    chapters: Vec<String>,
}

impl Book {
    fn read(package: &str) -> Result<Self, ExtractError> {
        let mut pages: HashMap<String, String> = HashMap::new();
        let mut navigation = HashSet::new();
        let mut spine = Vec::new();
        xml::walk(package, |node| {
            if let Node::Open(tag) = node {
                match tag.name {
                    "item" => {
                        if let (Some(id), Some(href)) = (tag.attribute("id"), tag.attribute("href")) {
                            let properties = tag.attribute("properties").unwrap_or_default();
                            if properties.split_whitespace().any(|property| property == "nav") {
                                navigation.insert(id.clone());
                            }
                            pages.insert(id, href);
                        }
                    }
                    "itemref" => spine.extend(tag.attribute("idref")),
                    _ => {}
                }
            }
            Ok(())
        })?;
        // A spine that names a page a thousand times would be read a thousand times.
        let mut seen = HashSet::new();
        let chapters = spine
            .into_iter()
            .filter(|id| !navigation.contains(id) && seen.insert(id.clone()))
            .filter_map(|id| pages.get(&id).cloned())
            .collect();
        Ok(Self { chapters })
    }
}

fn attribute_of(xml: &str, element: &str, name: &str) -> Option<String> {
    let mut found = None;
    // What comes before a damage is enough.
    let _ = xml::walk(xml, |node| {
        if let Node::Open(tag) = node
            && tag.name == element
            && found.is_none()
        {
            found = tag.attribute(name);
        }
        Ok(())
    });
    found
}

/// Parts that need a key. Fonts are often listed too, which is no hindrance.
fn encrypted(xml: &str) -> HashSet<String> {
    let mut parts = HashSet::new();
    let _ = xml::walk(xml, |node| {
        if let Node::Open(tag) = node
            && tag.name == "CipherReference"
        {
            parts.extend(tag.attribute("URI"));
        }
        Ok(())
    });
    parts
}

/// The path of `href` in the archive, which is relative to the document that holds it.
fn resolved(base: &str, href: &str) -> String {
    let href = href.split('#').next().unwrap_or_default();
    let mut path: Vec<&str> = base.split('/').collect();
    path.pop();
    for part in href.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    percent_decode_str(&path.join("/")).decode_utf8_lossy().into_owned()
}
