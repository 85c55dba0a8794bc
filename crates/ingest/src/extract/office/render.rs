//! From the parser's tree to Markdown without marks inside sentences.

use office_oxide::ir::{Element, List, Section, inline_to_text};

use super::super::{table, text::one_line};

/// Elements inside elements. Text boxes in tables in text boxes are as deep as people go.
const DEEPEST: usize = 64;

/// One slide, one sheet, or a Word document up to its next section break.
pub(super) fn part(part: &Section, titled: bool) -> String {
    let mut out = String::new();
    let title = part.title.as_deref().map(str::trim).filter(|title| titled && !title.is_empty());
    if let Some(title) = title {
        out.push_str("## ");
        out.push_str(&one_line(title));
        out.push_str("\n\n");
    }
    let mut elements = part.elements.as_slice();
    // A slide's title is its first element too.
    if let (Some(title), Some((first, rest))) = (title, elements.split_first())
        && own_text(first).is_some_and(|text| one_line(&text) == one_line(title))
    {
        elements = rest;
    }
    blocks(elements, 0, &mut out);
    if let Some(notes) = &part.speaker_notes {
        out.push_str("Notes:\n\n");
        blocks(notes, 0, &mut out);
    }
    out
}

fn own_text(element: &Element) -> Option<String> {
    match element {
        Element::Heading(heading) => Some(inline_to_text(&heading.content)),
        Element::Paragraph(paragraph) => Some(inline_to_text(&paragraph.content)),
        _ => None,
    }
}

fn blocks(elements: &[Element], depth: usize, out: &mut String) {
    if depth > DEEPEST {
        return;
    }
    for element in elements {
        let before = out.len();
        block(element, depth, out);
        if out.len() > before {
            out.truncate(out.trim_end().len().max(before));
            out.push_str("\n\n");
        }
    }
}

fn block(element: &Element, depth: usize, out: &mut String) {
    match element {
        Element::Heading(heading) => {
            let text = one_line(&inline_to_text(&heading.content));
            if !text.is_empty() {
                out.push_str(&"#".repeat(usize::from(heading.clamped_level())));
                out.push(' ');
                out.push_str(&text);
            }
        }
        Element::Paragraph(paragraph) => {
            let text = inline_to_text(&paragraph.content);
            // The title of a Word document is a style of its own, not a heading of level 1.
            if paragraph.style.as_deref() == Some("Title") && !text.trim().is_empty() {
                out.push_str(&format!("# {}", one_line(&text)));
            } else {
                out.push_str(text.trim_end());
            }
        }
        Element::Table(found) => {
            if let Some(caption) = &found.caption {
                out.push_str(caption);
                out.push_str("\n\n");
            }
            table::write(&rows(found, depth), out);
        }
        Element::List(found) => list(found, depth, out),
        Element::TextBox(inner) => blocks(&inner.content, depth + 1, out),
        Element::Footnote(note) | Element::Endnote(note) => {
            if let Some(author) = &note.author {
                out.push_str(author);
                out.push_str(": ");
            }
            blocks(&note.content, depth + 1, out);
        }
        Element::CodeBlock(code) => {
            out.push_str("```\n");
            out.push_str(code.content.trim_end());
            out.push_str("\n```");
        }
        Element::Image(image) => out.push_str(image.alt_text.as_deref().unwrap_or_default().trim()),
        _ => {}
    }
}

fn rows(found: &office_oxide::ir::Table, depth: usize) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = found
        .rows
        .iter()
        .map(|row| {
            let mut cells = Vec::new();
            for cell in &row.cells {
                let mut text = String::new();
                blocks(&cell.content, depth + 1, &mut text);
                cells.push(text);
                // A spanned column stays empty, so that the next cell keeps its place.
                cells.extend((1..cell.col_span.min(64)).map(|_| String::new()));
            }
            while cells.last().is_some_and(|cell| cell.trim().is_empty()) {
                cells.pop();
            }
            cells
        })
        .collect();
    // Sheets end in rows that were only formatted.
    rows.retain(|row| !row.is_empty());
    rows
}

fn list(found: &List, depth: usize, out: &mut String) {
    if depth > DEEPEST {
        return;
    }
    let mut number = found.start_number.unwrap_or(1);
    for item in &found.items {
        let mut text = String::new();
        blocks(&item.content, depth + 1, &mut text);
        out.push_str(&"  ".repeat(usize::from(found.level.min(8))));
        if found.ordered {
            out.push_str(&format!("{number}. "));
            number = number.saturating_add(1);
        } else {
            out.push_str("- ");
        }
        out.push_str(text.trim());
        out.push('\n');
        if let Some(nested) = &item.nested {
            list(nested, depth + 1, out);
        }
    }
}
