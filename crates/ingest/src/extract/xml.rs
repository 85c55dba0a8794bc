//! XML: a walk over its elements that no file can make deep, and articles marked up in it.
//!
//! Entities that a document declares are never expanded and nothing outside of it is ever opened.

use std::collections::HashMap;

use breezeway_knowledge::Document;
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{ExtractError, Limits, odf, text};
use crate::chunk::TextKind;

mod article;

/// Elements inside elements. Office documents stay below a hundred.
pub(super) const DEEPEST: usize = 512;

/// What a walk meets.
pub(super) enum Node<'a> {
    /// An element begins.
    Open(&'a Tag<'a>),
    /// It ends.
    Close(&'a str),
    /// Text, with character references resolved.
    Text(&'a str),
}

/// The start of an element.
pub(super) struct Tag<'a> {
    /// Its name without the namespace's prefix.
    pub(super) name: &'a str,
    start: &'a BytesStart<'a>,
}

impl Tag<'_> {
    /// The value of an attribute, whatever the namespace.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.attributes();
        attributes.with_checks(false);
        attributes.flatten().find(|attribute| attribute.key.local_name().as_ref() == name).map(|attribute| {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            value.map_or_else(|_| attribute.value.to_string(), std::borrow::Cow::into_owned)
        })
    }

    /// A number in an attribute.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.attribute(name)?.trim().parse().ok()
    }
}

/// Walk over `xml`, in document order.
///
/// # Errors
/// If it is too deep or no XML, or if `take` says so. What came before has been handed over.
pub(super) fn walk(
    xml: &str,
    mut take: impl FnMut(Node<'_>) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    let mut reader = Reader::from_str(xml);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(|_| damaged())? {
            Event::Start(start) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(ExtractError::Limit(format!("{DEEPEST} elements inside one another")));
                }
                take(Node::Open(&Tag { name: start.local_name().as_ref(), start: &start }))?;
            }
            Event::Empty(start) => {
                let name = start.local_name();
                take(Node::Open(&Tag { name: name.as_ref(), start: &start }))?;
                take(Node::Close(name.as_ref()))?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                take(Node::Close(end.local_name().as_ref()))?;
            }
            Event::Text(text) => take(Node::Text(&text))?,
            Event::CData(text) => take(Node::Text(&text))?,
            Event::GeneralRef(reference) => {
                let mut sign = [0; 4];
                match reference.resolve_char_ref() {
                    Ok(Some(resolved)) => take(Node::Text(resolved.encode_utf8(&mut sign)))?,
                    _ => take(Node::Text(predefined(&reference)))?,
                }
            }
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// The entities that every XML document has; what it declares itself stays unsaid.
fn predefined(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        "nbsp" => " ",
        _ => "",
    }
}

pub(super) fn damaged() -> ExtractError {
    ExtractError::Damaged("The document is damaged: its markup cannot be read.".to_owned())
}

/// An XML file by itself: an article becomes its text, everything else stays as it was written.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<(Document, TextKind), ExtractError> {
    let document = text::read_marked_up(bytes)?;
    if odf::is_flat(&document.text) {
        return Ok((odf::read_flat(&document.text, limits)?, TextKind::Prose));
    }
    match article::read(&document.text, limits)? {
        Some(article) => Ok((article, TextKind::Prose)),
        None => Ok((document, TextKind::Data)),
    }
}

/// The text of the first element of each name in `names`, from a part that describes a document.
pub(super) fn described(xml: &str, names: &[(&str, &'static str)]) -> HashMap<&'static str, String> {
    let mut found: HashMap<&'static str, String> = HashMap::new();
    let mut open: Option<&'static str> = None;
    // What can be read of a damaged description is enough.
    let _ = walk(xml, |node| {
        match node {
            Node::Open(tag) => {
                open = names.iter().find(|(name, _)| *name == tag.name).map(|(_, key)| *key);
                open = open.filter(|key| !found.contains_key(key));
            }
            Node::Close(_) => open = None,
            Node::Text(text) => {
                if let Some(key) = open {
                    found.entry(key).or_default().push_str(text);
                }
            }
        }
        Ok(())
    });
    found.retain(|_, text| !text.trim().is_empty());
    found
}
