//! The cutter: one pass, linear in the length of the text.
//!
//! Each chunk looks at most at one chunk's length of text forwards and back, and the next one
//! begins at least half a chunk further on. Splitting a whole text at ever finer separators and
//! merging the parts again, the usual way, was measured quadratic in one library that does it.

use std::ops::Range;

use unicode_segmentation::GraphemeCursor;

use super::{TextKind, ruler::Ruler};

/// Cuts one block of text.
pub(super) struct Cutter<'a> {
    text: &'a str,
    ruler: Ruler<'a>,
    is_code: bool,
    size: usize,
    overlap: usize,
    /// Where the next chunk begins.
    position: usize,
    /// Up to where the text is in a chunk already.
    covered: usize,
}

/// How deep a break in the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Break {
    Sign,
    Word,
    Sentence,
    Line,
    Paragraph,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(ruler: Ruler<'a>, size: usize, overlap: usize, kind: TextKind) -> Self {
        let size = size.max(1);
        // Without white space at the end, reaching the end is one comparison.
        let text = ruler.text().trim_end();
        let ruler = ruler.part(0, text.len());
        let is_code = kind == TextKind::Code;
        Self { text, ruler, is_code, size, overlap: overlap.min(size / 2), position: 0, covered: 0 }
    }

    /// Byte offset that is `count` units after `from`; the end of the text if it comes first.
    fn after(&self, from: usize, count: usize) -> usize {
        self.ruler.after(from, count)
    }

    /// Byte offset that is `count` units before `from`, not before `floor`.
    fn before(&self, from: usize, count: usize, floor: usize) -> usize {
        if count == 0 { from } else { self.ruler.before(from, count, floor) }
    }

    /// Whether `at` does not divide what a reader takes for one sign. `from` is where such a sign
    /// is known to begin; looking back no further keeps long runs of joined signs linear.
    fn divides_nothing(&self, from: usize, at: usize) -> bool {
        let text = &self.text[from..];
        GraphemeCursor::new(at - from, text.len(), true).is_boundary(text, 0).unwrap_or(true)
    }

    /// The first place from `from` on that is no white space, and the begin of a sign.
    fn skip_space(&self, from: usize) -> usize {
        let rest = &self.text[from..];
        let at = self.text.len() - rest.trim_start().len();
        if at == self.text.len() || self.divides_nothing(from, at) { at } else { self.last_char(from, at) }
    }

    /// The end of what is in `start..end` without white space behind it.
    fn trim_end(&self, start: usize, end: usize) -> usize {
        let at = start + self.text[start..end].trim_end().len();
        if self.divides_nothing(start, at) {
            return at;
        }
        let next = self.text[at..end].chars().next().map_or(0, char::len_utf8);
        at + next
    }

    fn last_char(&self, floor: usize, at: usize) -> usize {
        self.text[floor..at].char_indices().next_back().map_or(floor, |(offset, _)| floor + offset)
    }

    /// The deepest break in the second half of `start..limit`, the last of its kind; if there is
    /// none, the last place that divides no sign.
    fn cut(&self, start: usize, limit: usize) -> (usize, Break) {
        let half = self.text.ceil_char_boundary(start + (limit - start) / 2);
        // What the overlap repeats is no progress, however many bytes its signs take.
        let half = half.max(self.covered.min(limit));
        let mut best: Option<(usize, Break)> = None;
        let mut after = self.text[limit..].chars().next();
        for (offset, sign) in self.text[half..limit].char_indices().rev() {
            let at = half + offset + sign.len_utf8();
            let before = self.text[..half + offset].chars().next_back();
            if let Some(kind) = self.break_after(before, sign, after)
                && best.is_none_or(|(_, found)| kind > found)
                && self.divides_nothing(start, at)
            {
                best = Some((at, kind));
                if kind == Break::Paragraph {
                    break;
                }
            }
            after = Some(sign);
        }
        best.unwrap_or_else(|| (self.last_boundary(start, limit), Break::Sign))
    }

    /// The last place in `start..=limit` that divides no sign; `limit` if a single sign is longer
    /// than a chunk may be.
    fn last_boundary(&self, start: usize, limit: usize) -> usize {
        if self.divides_nothing(start, limit) {
            return limit;
        }
        let text = &self.text[start..];
        match GraphemeCursor::new(limit - start, text.len(), true).prev_boundary(text, 0) {
            Ok(Some(at)) if at > 0 => start + at,
            _ => limit,
        }
    }

    fn break_after(&self, before: Option<char>, sign: char, after: Option<char>) -> Option<Break> {
        if self.is_code { break_in_code(before, sign, after) } else { break_in_text(before, sign, after) }
    }

    /// Where the chunk after `start..cut` begins: at the first break in reach that is no shallower
    /// than the one that ended it.
    fn next_start(&self, start: usize, cut: usize, kind: Break) -> usize {
        let half = self.text.ceil_char_boundary(start + (cut - start).div_ceil(2));
        let earliest = self.before(cut, self.overlap, half.min(cut));
        if earliest >= cut {
            return cut;
        }
        if kind == Break::Sign {
            let at = self.last_boundary(start, earliest);
            return if at >= half { at } else { cut };
        }
        let mut before = self.text[..earliest].chars().next_back();
        let mut previous =
            before.and_then(|sign| self.text[..earliest - sign.len_utf8()].chars().next_back());
        for (offset, sign) in self.text[earliest..cut].char_indices() {
            let at = earliest + offset;
            if let Some(last) = before
                && self.break_after(previous, last, Some(sign)).is_some_and(|found| found >= kind)
                && !sign.is_whitespace()
                && self.divides_nothing(start, at)
            {
                return at;
            }
            previous = before;
            before = Some(sign);
        }
        cut
    }
}

/// The break between `sign` and `after` in code. What begins a line at its very start is not inside
/// of anything, so functions stay whole where they fit.
fn break_in_code(before: Option<char>, sign: char, after: Option<char>) -> Option<Break> {
    let is_outside = after.is_some_and(|next| !next.is_whitespace() && !matches!(next, '}' | ')' | ']'));
    match sign {
        '\n' if before == Some('\n') && is_outside => Some(Break::Paragraph),
        '\n' if before == Some('\n') => Some(Break::Line),
        '\n' if matches!(before, Some('}' | ';')) && is_outside => Some(Break::Line),
        '\n' => Some(Break::Sentence),
        sign if sign.is_whitespace() => Some(Break::Word),
        _ => None,
    }
}

/// The break between `sign` and `after`, if there is one.
fn break_in_text(before: Option<char>, sign: char, after: Option<char>) -> Option<Break> {
    match sign {
        '\n' if before == Some('\n') => Some(Break::Paragraph),
        '\n' => Some(Break::Line),
        // East Asian sentences end without a space.
        '。' | '！' | '？' | '｡' => Some(Break::Sentence),
        sign if sign.is_whitespace() => match before {
            Some('.' | '!' | '?' | '…' | '؟' | '।' | '۔')
                if after.is_none_or(|next| !next.is_lowercase()) =>
            {
                Some(Break::Sentence)
            }
            _ => Some(Break::Word),
        },
        _ => None,
    }
}

impl Iterator for Cutter<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.skip_space(self.position);
            if start >= self.text.len() {
                return None;
            }
            let limit = self.after(start, self.size);
            let (cut, next) = if limit == self.text.len() {
                (limit, limit)
            } else {
                let (cut, kind) = self.cut(start, limit);
                (cut, self.next_start(start, cut, kind))
            };
            // The begin moves on even where a sign is longer than a chunk.
            self.position = if next > start { next } else { self.after(start, 1).max(cut) };
            let end = self.trim_end(start, cut);
            let is_new = end > self.covered.max(start);
            self.covered = self.covered.max(cut);
            if is_new {
                return Some(start..end);
            }
        }
    }
}
