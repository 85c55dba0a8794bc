//! A document made of several files: an archive, a mail with attachments.

use breezeway_knowledge::{Document, Section};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{ExtractError, Extracted, Hint, reading::Reading, text, text_limit};
use crate::chunk::TextKind;

/// Files that could not be read are named up to here; the rest is only counted.
const MOST_NAMED: usize = 100;

/// Longest name of a file that is shown, in characters.
const LONGEST_NAME: usize = 200;

/// Collects files into one document.
#[derive(Default)]
pub(super) struct Bundle {
    pub(super) document: Document,
    files: u32,
    skipped: Vec<(String, ExtractError)>,
    skipped_total: u32,
}

impl Bundle {
    /// A bundle that begins with a text of its own.
    pub(super) fn with_text(own: String) -> Self {
        let mut bundle = Self::default();
        bundle.document.text = text::normalized(own.into());
        if !bundle.document.text.is_empty() {
            let end = bundle.document.text.len();
            bundle.document.sections.push(Section {
                start: 0,
                end,
                page: None,
                page_label: None,
                title: None,
            });
        }
        bundle
    }

    /// Read a file and append it; if it cannot be read, note that and go on.
    ///
    /// # Errors
    /// If a limit of the whole is reached.
    pub(super) fn add(
        &mut self,
        reading: &mut Reading<'_>,
        name: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), ExtractError> {
        let name = shown(name);
        match reading.inner(&Hint::new(name.clone(), media_type), bytes) {
            Ok(extracted) => self.append(&name, extracted),
            Err(error) if reading.is_exhausted() => return Err(error),
            // Files without content are in every other archive, and nobody misses them.
            Err(ExtractError::Empty) => {}
            Err(error) => self.skip(name, error),
        }
        if self.document.text.len() as u64 > reading.limits().text_bytes {
            return Err(text_limit(reading.limits().text_bytes));
        }
        Ok(())
    }

    /// Note that a file was not read.
    pub(super) fn skip(&mut self, name: String, reason: ExtractError) {
        self.skipped_total += 1;
        if self.skipped.len() < MOST_NAMED {
            self.skipped.push((name, reason));
        }
    }

    /// Append a document that was read already.
    pub(super) fn append_document(&mut self, name: &str, document: Document) {
        self.append(&shown(name), Extracted { document, kind: TextKind::Prose });
    }

    fn append(&mut self, name: &str, extracted: Extracted) {
        self.files += 1;
        let Document { text: inner, sections, .. } = extracted.document;
        let whole = &mut self.document;
        if let Some(last) = whole.sections.last_mut() {
            whole.text.push_str("\n\n");
            last.end = whole.text.len();
        }
        let start = whole.text.len();
        // No heading: that would put an end to headings of the same level around it.
        whole.text.push_str(&format!("[{name}]\n\n"));
        // In a document of many kinds, only a fence says that a hash begins a comment.
        let fence = (extracted.kind == TextKind::Code).then(|| fence(&inner));
        if let Some(fence) = &fence {
            whole.text.push_str(&format!("{fence}\n"));
        }
        let offset = whole.text.len();
        whole.text.push_str(&inner);
        if let Some(fence) = &fence {
            whole.text.push_str(&format!("\n{fence}"));
        }
        let title = |part: Option<String>| match part {
            Some(part) => Some(format!("{name}: {part}")),
            None => Some(name.to_owned()),
        };
        let first = whole.sections.len();
        whole.sections.extend(sections.into_iter().map(|section| Section {
            start: section.start + offset,
            end: section.end + offset,
            title: title(section.title),
            ..section
        }));
        let end = whole.text.len();
        match whole.sections.get_mut(first) {
            Some(section) => section.start = start,
            None => {
                whole.sections.push(Section { start, end, page: None, page_label: None, title: title(None) })
            }
        }
        if let Some(last) = whole.sections.last_mut() {
            last.end = end;
        }
    }

    /// The document.
    ///
    /// # Errors
    /// If there is no text in it because nothing in it could be read.
    pub(super) fn finish(mut self) -> Result<Document, ExtractError> {
        if self.document.text.trim().is_empty() && self.skipped_total > 0 {
            return Err(self.refusal());
        }
        if self.files > 0 {
            self.document.metadata.insert("files".to_owned(), self.files.into());
        }
        if self.skipped_total > 0 {
            let skipped =
                self.skipped.iter().map(|(name, reason)| json!({"name": name, "reason": reason.to_string()}));
            self.document.metadata.insert("skipped_files".to_owned(), Value::Array(skipped.collect()));
            self.document.metadata.insert("skipped_total".to_owned(), self.skipped_total.into());
        }
        Ok(self.document)
    }

    /// Why there is nothing: a limit before anything else, since that may be on purpose.
    fn refusal(self) -> ExtractError {
        let limit = self.skipped.iter().position(|(_, error)| matches!(error, ExtractError::Limit(_)));
        let all_encrypted = self.skipped.iter().all(|(_, error)| *error == ExtractError::Encrypted);
        match self.skipped.into_iter().nth(limit.unwrap_or(0)) {
            Some((_, limit @ ExtractError::Limit(_))) => limit,
            Some((_, ExtractError::Encrypted)) if all_encrypted => ExtractError::Encrypted,
            Some((name, reason)) => {
                ExtractError::Damaged(format!("No file in it can be read. The first is `{name}`: {reason}"))
            }
            None => ExtractError::Empty,
        }
    }
}

/// A file's name as it may be shown. Nothing is ever written under it; a path that leads out of its
/// archive only must not look like one.
pub(super) fn shown(name: &str) -> String {
    let name = name.replace('\\', "/");
    let parts =
        name.split('/').filter(|part| !matches!(part.trim(), "" | "." | "..") && !part.ends_with(':'));
    let name = parts.collect::<Vec<_>>().join("/");
    let clean: String = text::normalized(name.into()).chars().filter(|sign| !sign.is_control()).collect();
    // The end says what kind of file it is.
    let skip = clean.chars().count().saturating_sub(LONGEST_NAME);
    let clean: String = clean.chars().skip(skip).collect();
    if clean.is_empty() { "unnamed".to_owned() } else { clean }
}

/// A fence that nothing in `text` closes.
fn fence(text: &str) -> String {
    let (mut longest, mut run) = (0, 0);
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat((longest + 1).max(3))
}
