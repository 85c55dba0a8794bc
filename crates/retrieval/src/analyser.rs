//! How text becomes terms: one analyser for chunks and for questions, whatever the language.
//!
//! There is no language detection. A chunk is often too short for one, a question nearly always is,
//! and a wrong guess on either side makes a word unfindable. Everything here depends on the signs
//! themselves: scripts without spaces become n-grams, words become stems by their script, and a
//! compound (`camelCase`, `covid19`, `example.com`) is kept whole beside its parts.
//!
//! An index is only as good as its agreement with the question, so a change to what [`terms`]
//! answers must raise `VERSION`, which makes indexes be written anew.

mod fold;
mod stop_words;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

pub(crate) use self::fold::is_latin;
use self::fold::{folded, stemmed};

/// Changes whenever the terms of some text change, or which text of a chunk is searched.
pub(crate) const VERSION: u32 = 2;

/// The name under which the index knows the analyser.
pub(crate) const NAME: &str = "universal";

/// Longer terms are nothing a person types: encoded data, mostly. Their parts are kept.
const LONGEST_TERM: usize = 128;

/// The terms of `text`, in order, repeated as often as they occur.
pub fn terms(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let text = normal(text);
    let mut run = Run { class: Class::Word, signs: Vec::new() };
    for segment in text.split_word_bounds() {
        if !segment.chars().any(char::is_alphanumeric) {
            run.flush(&mut found);
            continue;
        }
        for (class, piece) in pieces(segment) {
            if class != run.class {
                run.flush(&mut found);
                run.class = class;
            }
            match class {
                Class::Word => word(piece, &mut found),
                Class::Cjk | Class::Unspaced => run.signs.extend(piece.chars()),
            }
        }
    }
    run.flush(&mut found);
    found
}

/// Compatibility forms become plain ones, and signs that only steer line breaks vanish: a soft
/// hyphen out of a PDF must not hide a word.
fn normal(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let invisible =
        |sign: &char| matches!(sign, '\u{ad}' | '\u{200c}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    let plain = |sign| if sign == '\u{2019}' { '\'' } else { sign };
    Cow::Owned(text.nfkc().filter(|sign| !invisible(sign)).map(plain).collect())
}

/// How a sign's script marks words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// By spaces.
    Word,
    /// Not at all, and single signs mean something.
    Cjk,
    /// Not at all, and single signs are letters.
    Unspaced,
}

fn class(sign: char) -> Class {
    match u32::from(sign) {
        // Thai, Lao, Burmese, Khmer and their extensions.
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x19e0..=0x19ff | 0xaa60..=0xaa7f => {
            Class::Unspaced
        }
        // Jamo, radicals, iteration marks, kana, bopomofo, ideographs, syllables.
        0x1100..=0x11ff
        | 0x2e80..=0x2fdf
        | 0x3005..=0x3007
        | 0x3021..=0x3029
        | 0x3031..=0x303b
        | 0x3041..=0x30ff
        | 0x3100..=0x31bf
        | 0x31f0..=0x31ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xa960..=0xa97f
        | 0xac00..=0xd7ff
        | 0xf900..=0xfaff
        | 0x1aff0..=0x1b16f
        | 0x20000..=0x3fffd => Class::Cjk,
        _ => Class::Word,
    }
}

/// Cut where the class changes; the word boundaries of Unicode join Hangul to Latin letters.
fn pieces(segment: &str) -> impl Iterator<Item = (Class, &str)> {
    let mut rest = segment;
    std::iter::from_fn(move || {
        let of = class(rest.chars().next()?);
        let end = rest.char_indices().find(|&(_, sign)| class(sign) != of).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some((of, piece))
    })
}

/// Neighbouring signs of a script without spaces.
struct Run {
    class: Class,
    signs: Vec<char>,
}

impl Run {
    /// Chinese, Japanese and Korean: every sign and every pair. The others: every three letters.
    fn flush(&mut self, found: &mut Vec<String>) {
        match self.class {
            Class::Word => {}
            Class::Cjk => {
                for (at, &sign) in self.signs.iter().enumerate() {
                    found.push(sign.to_string());
                    found.extend(self.signs.get(at + 1).map(|&next| String::from_iter([sign, next])));
                }
            }
            Class::Unspaced if self.signs.len() < 3 => {
                found.extend((!self.signs.is_empty()).then(|| self.signs.iter().collect()));
            }
            Class::Unspaced => found.extend(self.signs.windows(3).map(String::from_iter)),
        }
        self.signs.clear();
    }
}

/// A word of a script with spaces, as Unicode delimits it: `can't`, `3.14`, `snake_case`.
fn word(word: &str, found: &mut Vec<String>) {
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("'S")).unwrap_or(word);
    if word.bytes().all(|byte| byte.is_ascii_digit() || byte == b',' || byte == b'.') {
        // `1,000` is `1000`. What has several points is a date, a version or an address, which is
        // looked for by its parts as well.
        keep(word.replace(',', ""), found);
        if word.matches('.').count() > 1 {
            word.split('.').for_each(|part| keep(part.to_owned(), found));
        }
        return;
    }
    if word.contains('\'') && stop_words::contains(&word.to_lowercase()) {
        return;
    }
    let parts = parts(word);
    if let [part] = parts[..] {
        term(part, found);
        return;
    }
    let whole = word.trim_matches(is_joiner);
    if !whole.is_empty() {
        term(whole, found);
    }
    parts.into_iter().for_each(|part| term(part, found));
}

/// Signs that Unicode lets stand inside a word.
fn is_joiner(sign: char) -> bool {
    matches!(sign, '_' | '.' | ',' | '\'' | ':' | ';' | '\u{b7}' | '\u{2027}' | '\u{203f}' | '\u{2040}')
}

/// Cut at joiners, between letters and digits, and at the humps of camel case.
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before: Option<(usize, char)> = None;
    let mut cut = |start: usize, end: usize| parts.extend((start < end).then(|| &word[start..end]));
    for (at, sign) in word.char_indices() {
        let end = at + sign.len_utf8();
        if is_joiner(sign) {
            cut(start, at);
            start = end;
            before = None;
            continue;
        }
        if let Some((before_at, before_sign)) = before {
            let hump = before_sign.is_lowercase() && sign.is_uppercase();
            let number =
                before_sign.is_numeric() != sign.is_numeric() && is_letter_or_digit(before_sign, sign);
            // `HTTPServer` is `HTTP` and `Server`, but the plural `PDFs` is one word.
            let acronym_ends = before_sign.is_uppercase() && sign.is_lowercase() && before_at > start;
            let plural = sign == 's' && word[end..].chars().next().is_none_or(|next| !next.is_alphanumeric());
            if hump || number {
                cut(start, at);
                start = at;
            } else if acronym_ends && !plural {
                cut(start, before_at);
                start = before_at;
            }
        }
        before = Some((at, sign));
    }
    cut(start, word.len());
    parts
}

/// Marks belong to the letter before them and end nothing.
fn is_letter_or_digit(before: char, sign: char) -> bool {
    before.is_alphanumeric() && sign.is_alphanumeric()
}

fn term(text: &str, found: &mut Vec<String>) {
    let (script, folded) = folded(text);
    if script == fold::Script::Latin && stop_words::contains(&folded) {
        return;
    }
    keep(stemmed(script, folded), found);
}

fn keep(term: String, found: &mut Vec<String>) {
    if !term.is_empty() && term.len() <= LONGEST_TERM {
        found.push(term);
    }
}

/// The analyser as the index wants it.
#[derive(Clone)]
pub(crate) struct Universal;

impl Tokenizer for Universal {
    type TokenStream<'a> = Terms;

    fn token_stream(&mut self, text: &str) -> Terms {
        Terms { terms: terms(text).into_iter(), token: Token::default() }
    }
}

/// Terms as a stream of tokens. Their offsets are not kept: nothing is highlighted from the index.
pub(crate) struct Terms {
    terms: std::vec::IntoIter<String>,
    token: Token,
}

impl TokenStream for Terms {
    fn advance(&mut self) -> bool {
        let Some(term) = self.terms.next() else { return false };
        self.token.text = term;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
