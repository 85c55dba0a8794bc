//! Articles and books in JATS, DocBook and TEI: their text, with headings, lists and tables.
//!
//! What is unknown is kept: text outside of paragraphs becomes a line of its own.

use breezeway_knowledge::Document;

use super::{
    super::{
        ExtractError, Limits, table,
        text::{self, one_line},
        text_limit,
    },
    Node, Tag, walk,
};

/// Elements that only articles and books begin with.
const ROOTS: [&str; 5] = ["article", "book", "chapter", "TEI", "sect1"];

/// Each of these is a level of headings.
const SECTIONS: [&str; 14] = [
    "sec", "section", "sect1", "sect2", "sect3", "sect4", "sect5", "chapter", "appendix", "app", "abstract",
    "ack", "ref-list", "div",
];

/// Where a line ends.
const BLOCKS: [&str; 26] = [
    "p",
    "para",
    "simpara",
    "ab",
    "list-item",
    "listitem",
    "item",
    "contrib",
    "contrib-group",
    "ref",
    "aff",
    "kwd-group",
    "permissions",
    "article-meta",
    "journal-meta",
    "front",
    "body",
    "back",
    "fig",
    "table-wrap",
    "caption",
    "license-p",
    "pub-date",
    "history",
    "fn",
    "disp-formula",
];

/// Nothing for readers.
const MACHINERY: [&str; 5] = ["math", "tex-math", "object-id", "counts", "processing-meta"];

/// The article in `xml`, `None` if it is something else.
pub(super) fn read(xml: &str, limits: &Limits) -> Result<Option<Document>, ExtractError> {
    let mut article = Article::new(limits);
    let walked = walk(xml, |node| article.take(node));
    match walked {
        // A damaged article, or something that only looks like XML: better all of it than its begin.
        Err(ExtractError::Damaged(_)) => return Ok(None),
        other => other?,
    }
    if !article.is_article || !article.has_paragraphs {
        return Ok(None);
    }
    article.end_line();
    let mut document =
        Document { text: text::normalized(article.out.trim_end().into()), ..Document::default() };
    if let Some(title) = article.title {
        document.metadata.insert("title".to_owned(), title.into());
    }
    Ok(Some(document))
}

struct Article<'a> {
    limits: &'a Limits,
    out: String,
    line: String,
    is_article: bool,
    has_root: bool,
    has_paragraphs: bool,
    title: Option<String>,
    /// Sections around the current place.
    level: usize,
    /// Elements that are passed over, the outermost of them included.
    skipped: usize,
    /// Paragraphs around it; inside, elements do not divide words.
    paragraphs: usize,
    rows: Option<Vec<Vec<String>>>,
    is_code: bool,
}

impl<'a> Article<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            out: String::new(),
            line: String::new(),
            is_article: false,
            has_root: false,
            has_paragraphs: false,
            title: None,
            level: 0,
            skipped: 0,
            paragraphs: 0,
            rows: None,
            is_code: false,
        }
    }

    fn take(&mut self, node: Node<'_>) -> Result<(), ExtractError> {
        match node {
            Node::Open(tag) => self.open(tag),
            Node::Close(name) => self.close(name),
            Node::Text(text) if self.skipped == 0 && self.is_article => self.line.push_str(text),
            Node::Text(_) => {}
        }
        if self.out.len() as u64 > self.limits.text_bytes {
            return Err(text_limit(self.limits.text_bytes));
        }
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'_>) {
        if !self.has_root {
            self.has_root = true;
            self.is_article = ROOTS.contains(&tag.name);
        }
        if self.skipped > 0 || MACHINERY.contains(&tag.name) {
            self.skipped += 1;
            return;
        }
        match tag.name {
            "title" | "article-title" | "head" if self.paragraphs == 0 => self.end_line(),
            "programlisting" | "preformat" | "screen" => {
                self.end_line();
                self.is_code = true;
            }
            "table" | "informaltable" if self.rows.is_none() => {
                self.end_line();
                self.rows = Some(Vec::new());
            }
            "tr" | "row" => {
                if let Some(rows) = &mut self.rows {
                    rows.push(Vec::new());
                    self.line.clear();
                }
            }
            "td" | "th" | "entry" if self.rows.is_some() => self.line.clear(),
            name if self.rows.is_none() && SECTIONS.contains(&name) => {
                self.end_line();
                self.level += 1;
            }
            name if self.rows.is_none() && BLOCKS.contains(&name) => {
                self.end_line();
                if matches!(name, "p" | "para" | "simpara" | "ab" | "license-p") {
                    self.paragraphs += 1;
                    self.has_paragraphs = true;
                }
                if matches!(name, "list-item" | "listitem" | "item") {
                    self.line.push_str("- ");
                }
            }
            _ if self.paragraphs == 0 => self.line.push(' '),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        match name {
            "article-title" if self.paragraphs == 0 && self.title.is_none() => {
                self.title = Some(one_line(&self.line)).filter(|title| !title.is_empty());
                self.heading(1);
            }
            "title" | "head" if self.paragraphs == 0 => {
                if self.title.is_none() && self.level == 0 {
                    self.title = Some(one_line(&self.line)).filter(|title| !title.is_empty());
                }
                self.heading(self.level + 1);
            }
            "programlisting" | "preformat" | "screen" => {
                let code = std::mem::take(&mut self.line);
                self.out.push_str(&format!("```\n{}\n```\n\n", code.trim_matches('\n')));
                self.is_code = false;
            }
            "table" | "informaltable" => {
                if let Some(mut rows) = self.rows.take() {
                    rows.retain(|row| !row.is_empty());
                    table::write(&rows, &mut self.out);
                    self.out.push('\n');
                }
                self.line.clear();
            }
            "td" | "th" | "entry" => {
                if let Some(row) = self.rows.as_mut().and_then(|rows| rows.last_mut()) {
                    row.push(std::mem::take(&mut self.line));
                }
            }
            name if self.rows.is_none() && SECTIONS.contains(&name) => {
                self.end_line();
                self.level = self.level.saturating_sub(1);
            }
            name if self.rows.is_none() && BLOCKS.contains(&name) => {
                self.end_line();
                if matches!(name, "p" | "para" | "simpara" | "ab" | "license-p") {
                    self.paragraphs = self.paragraphs.saturating_sub(1);
                }
            }
            _ if self.paragraphs == 0 => self.line.push(' '),
            _ => {}
        }
    }

    fn heading(&mut self, level: usize) {
        let title = one_line(&std::mem::take(&mut self.line));
        if !title.is_empty() {
            self.out.push_str(&format!("{} {title}\n\n", "#".repeat(level.clamp(1, 6))));
        }
    }

    fn end_line(&mut self) {
        if self.is_code || self.rows.is_some() {
            return;
        }
        let line = one_line(&std::mem::take(&mut self.line));
        if !line.is_empty() && line != "-" {
            self.out.push_str(&line);
            self.out.push_str("\n\n");
        }
    }
}
