//! One extraction, with what it has used so far.
//!
//! Files inside files are read through the same `Reading`, so that what an archive expands to and
//! how deep archives are nested is counted over all of them together.

use std::io::{self, Read};

use breezeway_knowledge::Document;
use bytes::Bytes;

use super::{
    ExtractError, Extracted, Format, Hint, Limits, Ocr, archive, csv, epub, html, mail, megabytes, notebook,
    ocr::is_picture, odf, office, pdf, rtf, sniff, text, text_limit, xml,
};
use crate::chunk::TextKind;

/// An extraction under way.
pub(super) struct Reading<'a> {
    limits: &'a Limits,
    ocr: Option<&'a Ocr>,
    expanded: u64,
    entries: u32,
    depth: u32,
    is_exhausted: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(limits: &'a Limits, ocr: Option<&'a Ocr>) -> Self {
        Self { limits, ocr, expanded: 0, entries: 0, depth: 0, is_exhausted: false }
    }

    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Whether a limit of the whole has been reached, and not just one of a file in it.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted
    }

    /// Read one file.
    pub(super) fn read(&mut self, hint: &Hint, bytes: Bytes) -> Result<Extracted, ExtractError> {
        let limits = self.limits;
        let format = match (sniff(&bytes, hint), self.ocr) {
            (Err(ExtractError::Unsupported(kind)), Some(ocr)) if is_picture(&kind) => {
                return recognised(&bytes, ocr);
            }
            (format, _) => format?,
        };
        let (document, kind) = match format {
            Format::Text | Format::Markdown => (text::read(&bytes)?, TextKind::Prose),
            Format::Code => (text::read(&bytes)?, TextKind::Code),
            Format::Json => (text::read(&bytes)?, TextKind::Data),
            Format::Xml => xml::read(&bytes, limits)?,
            Format::Notebook => (notebook::read(&bytes, limits)?, TextKind::Prose),
            Format::Delimited => (csv::read(&bytes, hint, limits)?, TextKind::Data),
            Format::Html => (html::read(&bytes)?, TextKind::Prose),
            Format::Pdf => (pdf::read(&bytes, limits, self.ocr)?, TextKind::Prose),
            // What the package expands to is bounded by what is left, and not counted any further.
            Format::Office(format) => {
                let left = Limits { expanded_bytes: limits.expanded_bytes - self.expanded, ..*limits };
                (office::read(bytes, format, &left)?, TextKind::Prose)
            }
            Format::OpenDocument => (odf::read(&bytes, self)?, TextKind::Prose),
            Format::Epub => (epub::read(&bytes, self)?, TextKind::Prose),
            Format::Rtf => (rtf::read(&bytes, limits)?, TextKind::Prose),
            Format::Mail => (mail::read(&bytes, self)?, TextKind::Prose),
            Format::OutlookMail => (mail::read_outlook(bytes, self)?, TextKind::Prose),
            Format::Archive => (archive::read(&bytes, self)?, TextKind::Prose),
            Format::Gzip => return archive::read_gzip(hint, &bytes, self),
        };
        if document.text.len() as u64 > limits.text_bytes {
            return Err(text_limit(limits.text_bytes));
        }
        if document.text.trim().is_empty() {
            return Err(ExtractError::Empty);
        }
        Ok(Extracted { document, kind })
    }

    /// Read a file that is inside the one being read.
    pub(super) fn inner(&mut self, hint: &Hint, bytes: Bytes) -> Result<Extracted, ExtractError> {
        if self.depth >= self.limits.nesting {
            return Err(ExtractError::Limit(format!("{} files inside one another", self.limits.nesting)));
        }
        self.depth += 1;
        let read = self.read(hint, bytes);
        self.depth -= 1;
        read
    }

    /// Count one more file of an archive.
    pub(super) fn count_entry(&mut self) -> Result<(), ExtractError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            self.is_exhausted = true;
            return Err(ExtractError::Limit(format!("{} files in one archive", self.limits.entries)));
        }
        Ok(())
    }

    /// Unpack `from`. What really comes out is counted, never what a header says.
    pub(super) fn unpack(&mut self, from: impl Read) -> Result<Vec<u8>, ExtractError> {
        let left = self.limits.expanded_bytes - self.expanded;
        let mut bytes = Vec::new();
        let read = from.take(left.saturating_add(1)).read_to_end(&mut bytes);
        if bytes.len() as u64 > left {
            self.is_exhausted = true;
            let most = megabytes(self.limits.expanded_bytes);
            return Err(ExtractError::Limit(format!("{most} of unpacked content")));
        }
        self.expanded += bytes.len() as u64;
        match read {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(ExtractError::Damaged("The archive is damaged: it ends too early.".to_owned()))
            }
            Err(_) => Err(ExtractError::Damaged("The archive is damaged and cannot be unpacked.".to_owned())),
        }
    }
}

/// A picture by itself.
fn recognised(bytes: &[u8], ocr: &Ocr) -> Result<Extracted, ExtractError> {
    let text = ocr.text(bytes).ok_or_else(|| {
        ExtractError::Damaged("The text of the picture could not be recognised.".to_owned())
    })?;
    if text.is_empty() {
        return Err(ExtractError::Empty);
    }
    let mut document = Document { text: text::normalized(text.into()), ..Document::default() };
    document.metadata.insert("ocr".to_owned(), true.into());
    Ok(Extracted { document, kind: TextKind::Prose })
}
