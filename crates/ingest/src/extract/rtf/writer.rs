//! Putting the text of a Rich Text file together: paragraphs, headings, tables.

use super::super::{table, text::one_line};

/// Collects paragraphs.
#[derive(Default)]
pub(super) struct Writer {
    out: String,
    line: String,
    level: Option<usize>,
    is_in_table: bool,
    cells: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Bytes in cells that are not written yet.
    waiting: usize,
}

impl Writer {
    /// Bytes collected so far.
    pub(super) fn length(&self) -> usize {
        self.out.len() + self.line.len() + self.waiting
    }

    pub(super) fn text(&mut self, text: &str) {
        self.line.push_str(text);
    }

    /// Paragraph settings go back to what they are without any.
    pub(super) fn begin_paragraph(&mut self) {
        self.level = None;
        self.is_in_table = false;
    }

    pub(super) fn set_level(&mut self, level: Option<usize>) {
        self.level = level;
    }

    pub(super) fn in_table(&mut self) {
        self.is_in_table = true;
    }

    pub(super) fn end_paragraph(&mut self) {
        if self.is_in_table {
            self.line.push('\n');
            return;
        }
        let line = std::mem::take(&mut self.line);
        self.end_table();
        let text = line.trim();
        if text.is_empty() {
            return;
        }
        match self.level {
            Some(level) => {
                let title = one_line(text);
                self.out.push_str(&format!("{} {title}", "#".repeat(level)));
            }
            None => match text.strip_prefix(['•', '·', '\u{F0B7}']) {
                Some(item) => self.out.push_str(&format!("- {}", item.trim_start())),
                None => self.out.push_str(text),
            },
        }
        self.out.push_str("\n\n");
    }

    pub(super) fn end_cell(&mut self) {
        self.waiting += self.line.len() + 3;
        self.cells.push(std::mem::take(&mut self.line));
    }

    pub(super) fn end_row(&mut self) {
        if !self.line.trim().is_empty() {
            self.end_cell();
        }
        self.line.clear();
        let cells = std::mem::take(&mut self.cells);
        if cells.iter().any(|cell| !cell.trim().is_empty()) {
            self.rows.push(cells);
        }
    }

    fn end_table(&mut self) {
        if !self.cells.is_empty() {
            self.end_row();
        }
        if !self.rows.is_empty() {
            table::write(&self.rows, &mut self.out);
            self.out.push('\n');
            self.rows.clear();
        }
        self.waiting = 0;
    }

    /// The whole text.
    pub(super) fn finish(&mut self) -> String {
        self.is_in_table = false;
        self.end_paragraph();
        self.end_table();
        self.out.truncate(self.out.trim_end().len());
        std::mem::take(&mut self.out)
    }
}
