//! What parent and child say to each other: frames of a tag, a length and that many bytes.
//!
//! Both sides read lengths that the other side sent, and the child has read a hostile file; so
//! every length is checked against a bound before anything is allocated for it.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use breezeway_knowledge::{Document, Section};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ExtractError, Extracted, Hint, Limits, Ocr};
use crate::chunk::TextKind;

/// A frame's tag and length.
pub(super) const HEADER: usize = 5;

/// The longest piece of a file or a text in one frame.
pub(super) const PIECE: usize = 1 << 20;

/// The longest frame that is no piece: a request, an outline of 20,000 pages, an error.
pub(super) const MESSAGE: usize = 16 << 20;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// To the child: a [`Request`].
    Request,
    /// To the child: the path of the file, as the operating system spells it.
    Path,
    /// To the child: a piece of the file; from the child: a piece of the text.
    Piece,
    /// To the child: there are no more pieces.
    End,
    /// From the child: an [`Outline`], after all pieces of the text.
    Outline,
    /// From the child: a [`Failure`].
    Failure,
}

impl Tag {
    fn byte(self) -> u8 {
        match self {
            Self::Request => b'R',
            Self::Path => b'P',
            Self::Piece => b'B',
            Self::End => b'E',
            Self::Outline => b'O',
            Self::Failure => b'F',
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Piece => PIECE,
            Self::End => 0,
            Self::Path => 64 << 10,
            Self::Request | Self::Outline | Self::Failure => MESSAGE,
        }
    }
}

/// The tag and the length of the frame that `header` begins.
pub(super) fn opened(header: [u8; HEADER]) -> io::Result<(Tag, usize)> {
    let [tag, length @ ..] = header;
    let tag = [Tag::Request, Tag::Path, Tag::Piece, Tag::End, Tag::Outline, Tag::Failure]
        .into_iter()
        .find(|known| known.byte() == tag)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown frame"))?;
    let length = u32::from_be_bytes(length) as usize;
    if length > tag.limit() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
    }
    Ok((tag, length))
}

/// The header of a frame with `length` bytes, which is within the tag's limit.
pub(super) fn header(tag: Tag, length: usize) -> io::Result<[u8; HEADER]> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "frame too long");
    if length > tag.limit() {
        return Err(too_long());
    }
    let [a, b, c, d] = u32::try_from(length).map_err(|_| too_long())?.to_be_bytes();
    Ok([tag.byte(), a, b, c, d])
}

/// Read one frame.
pub(super) fn read(from: &mut impl Read) -> io::Result<(Tag, Vec<u8>)> {
    let mut head = [0; HEADER];
    from.read_exact(&mut head)?;
    let (tag, length) = opened(head)?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((tag, body))
}

/// Write one frame.
pub(super) fn write(to: &mut impl Write, tag: Tag, body: &[u8]) -> io::Result<()> {
    to.write_all(&header(tag, body.len())?)?;
    to.write_all(body)
}

/// What the child is to do.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    name: String,
    media_type: String,
    time_ms: u64,
    memory_bytes: u64,
    text_bytes: u64,
    pages: u32,
    expanded_bytes: u64,
    entries: u32,
    nesting: u32,
    ocr: Option<Ocr>,
}

impl Request {
    pub(super) fn new(hint: &Hint, limits: &Limits, ocr: Option<&Ocr>) -> Self {
        Self {
            name: hint.name.clone(),
            media_type: hint.media_type.clone(),
            time_ms: u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX),
            memory_bytes: limits.memory_bytes,
            text_bytes: limits.text_bytes,
            pages: limits.pages,
            expanded_bytes: limits.expanded_bytes,
            entries: limits.entries,
            nesting: limits.nesting,
            ocr: ocr.cloned(),
        }
    }

    /// The longest text that is an answer to this.
    pub(super) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    pub(super) fn into_parts(self) -> (Hint, Limits, Option<Ocr>) {
        let limits = Limits {
            time: Duration::from_millis(self.time_ms),
            memory_bytes: self.memory_bytes,
            text_bytes: self.text_bytes,
            pages: self.pages,
            expanded_bytes: self.expanded_bytes,
            entries: self.entries,
            nesting: self.nesting,
        };
        (Hint { name: self.name, media_type: self.media_type }, limits, self.ocr)
    }
}

/// All of a document but its text.
#[derive(Serialize, Deserialize)]
pub(super) struct Outline {
    kind: Kind,
    sections: Vec<Part>,
    metadata: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Prose,
    Code,
    Data,
}

#[derive(Serialize, Deserialize)]
struct Part {
    start: usize,
    end: usize,
    page: Option<u32>,
    label: Option<String>,
    title: Option<String>,
}

impl Outline {
    /// Take a document apart into its outline and its text.
    pub(super) fn split(extracted: Extracted) -> (Self, String) {
        let Document { text, sections, metadata } = extracted.document;
        let kind = match extracted.kind {
            TextKind::Prose => Kind::Prose,
            TextKind::Code => Kind::Code,
            TextKind::Data => Kind::Data,
        };
        let sections = sections
            .into_iter()
            .map(|section| Part {
                start: section.start,
                end: section.end,
                page: section.page,
                label: section.page_label,
                title: section.title,
            })
            .collect();
        (Self { kind, sections, metadata }, text)
    }

    /// Put a document together. `None` if the outline does not fit the text.
    pub(super) fn join(self, text: String) -> Option<Extracted> {
        let mut end = 0;
        for part in &self.sections {
            if part.start != end || part.end < part.start || !text.is_char_boundary(part.end) {
                return None;
            }
            end = part.end;
        }
        if !self.sections.is_empty() && end != text.len() {
            return None;
        }
        let kind = match self.kind {
            Kind::Prose => TextKind::Prose,
            Kind::Code => TextKind::Code,
            Kind::Data => TextKind::Data,
        };
        let sections = self
            .sections
            .into_iter()
            .map(|part| Section {
                start: part.start,
                end: part.end,
                page: part.page,
                page_label: part.label,
                title: part.title,
            })
            .collect();
        Some(Extracted { document: Document { text, sections, metadata: self.metadata }, kind })
    }
}

/// An [`ExtractError`] on its way.
#[derive(Serialize, Deserialize)]
pub(super) enum Failure {
    Empty,
    Unsupported(String),
    Damaged(String),
    Encrypted,
    NeedsOcr,
    Limit(String),
    Crashed(String),
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::Empty => Self::Empty,
            ExtractError::Unsupported(text) => Self::Unsupported(text),
            ExtractError::Damaged(text) => Self::Damaged(text),
            ExtractError::Encrypted => Self::Encrypted,
            ExtractError::NeedsOcr => Self::NeedsOcr,
            ExtractError::Limit(text) => Self::Limit(text),
            ExtractError::Crashed(text) => Self::Crashed(text),
        }
    }
}

impl From<Failure> for ExtractError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Empty => Self::Empty,
            Failure::Unsupported(text) => Self::Unsupported(text),
            Failure::Damaged(text) => Self::Damaged(text),
            Failure::Encrypted => Self::Encrypted,
            Failure::NeedsOcr => Self::NeedsOcr,
            Failure::Limit(text) => Self::Limit(text),
            Failure::Crashed(text) => Self::Crashed(text),
        }
    }
}
