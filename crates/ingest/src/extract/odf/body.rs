//! The body of an OpenDocument file.

use std::collections::HashMap;

use super::super::{
    ExtractError, Limits, table,
    text::one_line,
    text_limit,
    xml::{Node, Tag},
};

/// Empty cells between two that are not, beyond which a row is no table but a drawing.
const MOST_EMPTY: usize = 256;

/// How often a row that says it is repeated is written.
const MOST_REPEATED: usize = 1000;

/// A sheet, a slide, or all of a text.
#[derive(Default)]
pub(super) struct Part {
    pub(super) title: Option<String>,
    pub(super) text: String,
}

/// Follows the elements of a body.
pub(super) struct Body<'a> {
    limits: &'a Limits,
    parts: Vec<Part>,
    has_pages: bool,
    is_sheets: bool,
    styles: HashMap<String, Style>,
    style: Option<String>,
    /// Elements passed over, the outermost of them included.
    skipped: usize,
    /// Paragraphs around the current place: text boxes and notes have their own.
    lines: Vec<Line>,
    tables: Vec<Table>,
    lists: usize,
    begins_item: bool,
    notes: usize,
    is_title: bool,
    begins_notes: bool,
    /// Bytes written so far.
    written: u64,
}

#[derive(Default)]
struct Style {
    parent: Option<String>,
    is_hidden: bool,
}

struct Line {
    text: String,
    level: Option<usize>,
    is_hidden: bool,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    row_repeat: usize,
    cell: String,
    cell_repeat: usize,
    empty: usize,
}

impl<'a> Body<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            parts: vec![Part::default()],
            has_pages: false,
            is_sheets: false,
            styles: HashMap::new(),
            style: None,
            skipped: 0,
            lines: Vec::new(),
            tables: Vec::new(),
            lists: 0,
            begins_item: false,
            notes: 0,
            is_title: false,
            begins_notes: false,
            written: 0,
        }
    }

    /// The parts, and whether they are pages.
    pub(super) fn finish(mut self) -> (Vec<Part>, bool) {
        if self.has_pages || self.is_sheets {
            // What comes before the first sheet or slide belongs to none.
            let first = self.parts.remove(0);
            if self.parts.is_empty() || !first.text.trim().is_empty() {
                self.parts.insert(0, first);
            }
        }
        if self.is_sheets {
            self.parts.retain(|part| part.text.contains('|'));
        }
        (self.parts, self.has_pages)
    }

    pub(super) fn take(&mut self, node: Node<'_>) -> Result<(), ExtractError> {
        match node {
            Node::Open(tag) => self.open(tag),
            Node::Close(name) => self.close(name),
            Node::Text(text) => {
                if self.skipped == 0
                    && let Some(line) = self.lines.last_mut()
                {
                    self.written += text.len() as u64;
                    add_spaced(text, &mut line.text);
                }
            }
        }
        if self.written > self.limits.text_bytes { Err(text_limit(self.limits.text_bytes)) } else { Ok(()) }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        if self.skipped > 0 {
            self.skipped += 1;
            return;
        }
        match tag.name {
            // Deleted text, comments and what a condition hides are not what a reader sees.
            "tracked-changes" | "annotation" | "note-citation" | "hidden-text" | "hidden-paragraph"
            | "forms" | "ruby-text" | "meta" | "scripts" | "master-styles" | "font-face-decls"
            | "binary-data" => {
                self.skipped = 1;
            }
            "style" => {
                self.style = tag.attribute("name");
                if let Some(name) = &self.style {
                    let style = Style { parent: tag.attribute("parent-style-name"), is_hidden: false };
                    self.styles.insert(name.clone(), style);
                }
            }
            "text-properties" if tag.attribute("display").as_deref() == Some("none") => {
                if let Some(style) = self.style.as_ref().and_then(|name| self.styles.get_mut(name)) {
                    style.is_hidden = true;
                }
            }
            "spreadsheet" => self.is_sheets = true,
            "presentation" | "drawing" => self.has_pages = true,
            "page" if self.has_pages => self.parts.push(Part::default()),
            "notes" => self.begins_notes = true,
            "frame" => self.is_title = tag.attribute("class").as_deref() == Some("title"),
            "p" | "h" => self.open_line(tag),
            "span" if self.is_hidden(tag.attribute("style-name").as_deref()) => self.skipped = 1,
            "s" => {
                let count = tag.number("c").unwrap_or(1).min(64);
                self.written += count as u64;
                self.inline(&" ".repeat(count));
            }
            "tab" => self.inline("\t"),
            "line-break" => self.inline("\n"),
            "list" => self.lists += 1,
            "list-item" => self.begins_item = true,
            "note-body" => self.notes += 1,
            "table" => self.open_table(tag),
            "table-row" => {
                if let Some(table) = self.tables.last_mut() {
                    table.row_repeat = tag.number("number-rows-repeated").unwrap_or(1).min(MOST_REPEATED);
                }
            }
            "table-cell" | "covered-table-cell" => {
                if let Some(table) = self.tables.last_mut() {
                    table.cell_repeat = tag.number("number-columns-repeated").unwrap_or(1);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        match name {
            "style" => self.style = None,
            "notes" => self.begins_notes = false,
            "frame" => self.is_title = false,
            "p" | "h" => self.close_line(),
            "list" => self.lists = self.lists.saturating_sub(1),
            "note-body" => self.notes = self.notes.saturating_sub(1),
            "table-cell" | "covered-table-cell" => self.close_cell(),
            "table-row" => self.close_row(),
            "table" => self.close_table(),
            _ => {}
        }
    }

    fn open_line(&mut self, tag: &Tag<'_>) {
        let style = tag.attribute("style-name");
        let level = match tag.name {
            "h" => Some(tag.number("outline-level").unwrap_or(1).clamp(1, 6)),
            _ if self.is_title => Some(2),
            _ => self.is_called(style.as_deref(), "Title").then_some(1),
        };
        let is_hidden = self.is_hidden(style.as_deref());
        self.lines.push(Line { text: String::new(), level, is_hidden });
    }

    fn close_line(&mut self) {
        let Some(line) = self.lines.pop() else { return };
        let text = line.text.trim_end();
        if line.is_hidden || text.trim().is_empty() {
            return;
        }
        if self.notes > 0
            && let Some(around) = self.lines.last_mut()
        {
            around.text.push_str(&format!(" ({})", text.trim()));
            return;
        }
        if std::mem::take(&mut self.begins_notes) {
            self.block("Notes:");
        }
        match line.level {
            Some(level) if self.tables.is_empty() => {
                let title = one_line(text);
                if self.is_title
                    && let Some(part) = self.parts.last_mut()
                {
                    part.title.get_or_insert_with(|| title.clone());
                }
                self.block(&format!("{} {title}", "#".repeat(level)));
            }
            _ if self.lists > 0 && self.tables.is_empty() => {
                let mark = if std::mem::take(&mut self.begins_item) { "- " } else { "  " };
                let indent = "  ".repeat(self.lists.saturating_sub(1).min(8));
                self.push(&format!("{indent}{mark}{}\n", text.trim_start()));
            }
            _ => self.block(text),
        }
    }

    fn open_table(&mut self, tag: &Tag<'_>) {
        if self.is_sheets && self.tables.is_empty() {
            let title = tag.attribute("name").filter(|name| !name.trim().is_empty());
            let text = title.as_deref().map(|title| format!("## {title}\n\n")).unwrap_or_default();
            self.parts.push(Part { title, text });
        }
        self.tables.push(Table::default());
    }

    fn close_cell(&mut self) {
        let Some(table) = self.tables.last_mut() else { return };
        let text = std::mem::take(&mut table.cell);
        let repeat = table.cell_repeat.max(1);
        if text.trim().is_empty() {
            // Sheets are filled up to their edge with cells that nobody wrote.
            table.empty = table.empty.saturating_add(repeat);
            return;
        }
        let empty = std::mem::take(&mut table.empty).min(MOST_EMPTY);
        table.row.extend((0..empty).map(|_| String::new()));
        for _ in 0..repeat.min(MOST_EMPTY) {
            self.written += text.len() as u64;
            table.row.push(text.clone());
        }
    }

    fn close_row(&mut self) {
        let Some(table) = self.tables.last_mut() else { return };
        table.empty = 0;
        let row = std::mem::take(&mut table.row);
        if row.is_empty() {
            return;
        }
        let length: u64 = row.iter().map(|cell| cell.len() as u64 + 3).sum();
        let repeat = std::mem::take(&mut table.row_repeat).max(1) as u64;
        // Within the limit, with one more row to say that it was passed.
        let fits = (self.limits.text_bytes.saturating_sub(self.written) / length.max(1)).saturating_add(1);
        for _ in 0..repeat.min(fits) {
            self.written += length;
            table.rows.push(row.clone());
        }
    }

    fn close_table(&mut self) {
        let Some(table) = self.tables.pop() else { return };
        if let Some(around) = self.tables.last_mut() {
            // Markdown has no tables in tables.
            for row in table.rows {
                around.cell.push_str(&row.join(" "));
                around.cell.push('\n');
            }
        } else if !table.rows.is_empty() {
            let mut markdown = String::new();
            table::write(&table.rows, &mut markdown);
            self.block(&markdown);
        }
    }

    fn inline(&mut self, text: &str) {
        if let Some(line) = self.lines.last_mut() {
            line.text.push_str(text);
        }
    }

    /// Append a block to the cell or the part that is open.
    fn block(&mut self, text: &str) {
        if let Some(table) = self.tables.last_mut() {
            table.cell.push_str(text.trim());
            table.cell.push('\n');
        } else if let Some(part) = self.parts.last_mut() {
            // A list ends without an empty line.
            if !part.text.is_empty() && !part.text.ends_with("\n\n") {
                part.text.push('\n');
            }
            part.text.push_str(text.trim_end());
            part.text.push_str("\n\n");
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(part) = self.parts.last_mut() {
            part.text.push_str(text);
        }
    }

    fn is_hidden(&self, style: Option<&str>) -> bool {
        self.chain(style).any(|(_, style)| style.is_some_and(|style| style.is_hidden))
    }

    fn is_called(&self, style: Option<&str>, name: &str) -> bool {
        self.chain(style).any(|(found, _)| found == name)
    }

    /// A style and those it is made from. Styles that go round in a circle end after a few.
    fn chain<'s>(&'s self, style: Option<&'s str>) -> impl Iterator<Item = (&'s str, Option<&'s Style>)> {
        let mut next = style;
        std::iter::from_fn(move || {
            let name = next?;
            let style = self.styles.get(name);
            next = style.and_then(|style| style.parent.as_deref());
            Some((name, style))
        })
        .take(8)
    }
}

/// Append `text`, where any run of white space means one space.
fn add_spaced(text: &str, line: &mut String) {
    for sign in text.chars() {
        if !sign.is_whitespace() || sign == '\u{A0}' {
            line.push(sign);
        } else if !line.ends_with([' ', '\t', '\n']) {
            line.push(' ');
        }
    }
}
