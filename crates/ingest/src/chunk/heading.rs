//! Where sections and headings divide a document.

use std::sync::Arc;

use breezeway_knowledge::Document;

/// As much of a heading as is kept. Every chunk below carries its headings, so a line of a
/// megabyte must not be one.
const LONGEST_TITLE: usize = 200;

/// Headings that divide one document. Text that consists of headings would otherwise fill the
/// memory with chunks of three characters; what comes after the last of these is cut by length.
const MOST_HEADINGS: usize = 100_000;

/// A part of a document that is cut by itself.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The number of its section.
    pub(super) section: usize,
    pub(super) page: Option<u32>,
    /// The headings above it, its own included.
    pub(super) headings: Arc<[String]>,
}

/// The blocks of `document` in order: its sections, and inside them what headings begin.
///
/// Headings directly under one another begin one block: a title alone answers no question.
pub(super) fn blocks(document: &Document, by_heading: bool) -> Vec<Block> {
    let text = document.text.as_str();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut headings: Arc<[String]> = Arc::default();
    let mut blocks = Vec::new();
    for (section, (start, end, page)) in sections(document).into_iter().enumerate() {
        let title = document.sections.get(section).and_then(|section| section.title.as_deref());
        if let Some(title) = title {
            // A sheet, a slide or a file begins anew; a page goes on with what was before it.
            path.clear();
            path.push((0, title.chars().take(LONGEST_TITLE).collect()));
            headings = names(&path);
        }
        if !by_heading {
            blocks.push(Block { start, end, section, page, headings: headings.clone() });
            continue;
        }
        let mut open = start;
        let mut has_body = false;
        let mut fence: Option<Fence> = None;
        let mut position = start;
        for line in text[start..end].split_inclusive('\n') {
            let here = position;
            position += line.len();
            if let Some(inside) = fence {
                if inside.is_closed_by(line) {
                    fence = None;
                }
                continue;
            }
            fence = Fence::opened_by(line);
            let Some((level, title)) = heading(line).filter(|_| blocks.len() < MOST_HEADINGS) else {
                has_body |= !line.trim().is_empty();
                continue;
            };
            let deeper = path.last().is_some_and(|(above, _)| *above < level);
            if has_body || !deeper {
                if here > open {
                    blocks.push(Block { start: open, end: here, section, page, headings: headings.clone() });
                }
                open = here;
                has_body = false;
            }
            while path.last().is_some_and(|(above, _)| *above >= level) {
                path.pop();
            }
            path.push((level, title));
            headings = names(&path);
        }
        if end > open {
            blocks.push(Block { start: open, end, section, page, headings: headings.clone() });
        }
    }
    blocks
}

/// The headings of a path; a slide's first one only repeats its title.
fn names(path: &[(usize, String)]) -> Arc<[String]> {
    let mut names: Vec<String> = path.iter().map(|(_, title)| title.clone()).collect();
    names.retain(|name| !name.is_empty());
    names.dedup();
    names.into()
}

/// The document's sections as far as they are sound: in order, and cut between characters.
fn sections(document: &Document) -> Vec<(usize, usize, Option<u32>)> {
    let text = document.text.as_str();
    if document.sections.is_empty() {
        return vec![(0, text.len(), None)];
    }
    let mut covered = 0;
    let mut sections = Vec::with_capacity(document.sections.len());
    for section in &document.sections {
        let start = text.floor_char_boundary(section.start).max(covered);
        let end = text.floor_char_boundary(section.end).max(start);
        sections.push((start, end, section.page));
        covered = end;
    }
    sections
}

/// Level and title of an ATX heading.
fn heading(line: &str) -> Option<(usize, String)> {
    let body = line.trim_start_matches(' ');
    if line.len() - body.len() > 3 {
        return None;
    }
    let rest = body.trim_start_matches('#');
    let level = body.len() - rest.len();
    if !(1..=6).contains(&level) || !rest.starts_with([' ', '\t', '\n']) {
        return None;
    }
    let title = rest.trim();
    let bare = title.trim_end_matches('#');
    let title = if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { title };
    Some((level, title.chars().take(LONGEST_TITLE).collect()))
}

/// The mark that opened a fenced code block.
#[derive(Clone, Copy)]
struct Fence {
    sign: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let (fence, rest) = Self::at_start_of(line)?;
        // An info string with a backtick is inline code that happens to begin the line.
        (fence.sign == '~' || !rest.contains('`')).then_some(fence)
    }

    fn is_closed_by(self, line: &str) -> bool {
        Self::at_start_of(line).is_some_and(|(fence, rest)| {
            fence.sign == self.sign && fence.length >= self.length && rest.trim().is_empty()
        })
    }

    fn at_start_of(line: &str) -> Option<(Self, &str)> {
        let body = line.trim_start_matches(' ');
        let sign = body.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
        let rest = body.trim_start_matches(sign);
        let length = body.len() - rest.len();
        (length >= 3 && line.len() - body.len() <= 3).then_some((Self { sign, length }, rest))
    }
}
