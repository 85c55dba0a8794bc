//! Marks in an answer: `[2]`, `[1, 3]`.
//!
//! A model may cite a source that it was not given. Nobody sees that from the answer, so the marks are
//! read as they pass and those without a source are told at the end.

use std::collections::BTreeSet;

/// Marks that are told, at most.
const MOST: usize = 32;

/// The longest text between brackets that is still a mark, in characters.
const LONGEST: usize = 24;

/// Reads an answer in pieces.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Ids of sources run from 1 to this.
    sources: u32,
    /// What stands behind an open bracket, while it may become a mark.
    open: Option<String>,
    /// Whether the sign before makes a bracket an index: `list[0]`.
    after_word: bool,
    /// Backticks in a row, now and when code was begun.
    ticks: usize,
    fence: usize,
    unknown: BTreeSet<u32>,
}

impl Marks {
    pub(crate) fn new(sources: usize) -> Self {
        Self { sources: u32::try_from(sources).unwrap_or(u32::MAX), ..Self::default() }
    }

    /// Read on.
    pub(crate) fn read(&mut self, text: &str) {
        for sign in text.chars() {
            self.sign(sign);
        }
    }

    fn sign(&mut self, sign: char) {
        if sign == '`' {
            self.ticks += 1;
            self.open = None;
            return;
        }
        if self.ticks > 0 {
            let ticks = std::mem::take(&mut self.ticks);
            match self.fence {
                0 => self.fence = ticks,
                fence if fence == ticks => self.fence = 0,
                _ => {}
            }
        }
        if self.fence > 0 {
            return;
        }
        match (sign, &mut self.open) {
            ('[', _) => self.open = (!self.after_word).then(String::new),
            (']', Some(inside)) => {
                let inside = std::mem::take(inside);
                self.open = None;
                self.mark(&inside);
            }
            (sign, Some(inside)) => {
                let belongs = sign.is_ascii_digit() || matches!(sign, ',' | ' ' | ';');
                if belongs && inside.len() < LONGEST {
                    inside.push(sign);
                } else {
                    self.open = None;
                }
            }
            _ => {}
        }
        self.after_word = sign.is_alphanumeric() || sign == '_';
    }

    fn mark(&mut self, inside: &str) {
        let ids = inside
            .split([',', ';'])
            .map(str::trim)
            .map(|id| id.parse::<u32>().ok().filter(|_| id.len() <= 3));
        let Some(ids) = ids.collect::<Option<Vec<_>>>() else { return };
        for id in ids {
            if !(1..=self.sources).contains(&id) && self.unknown.len() < MOST {
                self.unknown.insert(id);
            }
        }
    }

    /// The ids that no source has.
    pub(crate) fn unknown(&self) -> Vec<u32> {
        self.unknown.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(answer: &str, sources: usize) -> Vec<u32> {
        let whole = {
            let mut marks = Marks::new(sources);
            marks.read(answer);
            marks.unknown()
        };
        let mut pieces = Marks::new(sources);
        answer.chars().for_each(|sign| pieces.read(&sign.to_string()));
        assert_eq!(pieces.unknown(), whole, "however it is cut");
        whole
    }

    #[test]
    fn marks_without_a_source_are_found() {
        assert_eq!(unknown("It weighs 1733 kilos [1], they say [3][2, 7].", 2), [3, 7]);
        assert_eq!(unknown("All is well [1] [2].", 2), Vec::<u32>::new());
        assert_eq!(unknown("Nothing [0].", 2), [0]);
    }

    #[test]
    fn what_only_looks_like_a_mark_is_left_alone() {
        for answer in
            ["list[9]", "`a = [9]`", "```\n[9]\n```", "[see 9]", "[2024]", "[9", "[]", "[9.5]", "- [ ] todo"]
        {
            assert_eq!(unknown(answer, 1), Vec::<u32>::new(), "{answer}");
        }
        assert_eq!(unknown("`code` and [9]", 1), [9]);
    }
}
