//! Measuring text, in characters or in tokens.

/// Says where the tokens of a text end.
pub(super) type TokenEnds<'a> = &'a dyn Fn(&str) -> Vec<usize>;

/// As much of a text is given to a tokenizer at once. Some need time quadratic in the length of a
/// word, and all keep several times the text in memory.
const STRETCH: usize = 64 << 10;

/// Letters that make one token in an estimate. English has 4.5 letters and a space for each token of
/// the usual vocabularies; a little fewer keeps the estimate on the safe side.
const LETTERS: usize = 5;

/// Measures a text.
#[derive(Clone, Copy)]
pub(super) struct Ruler<'a> {
    text: &'a str,
    /// Ends of the tokens that end in the text; nothing counts characters.
    ends: Option<Ends<'a>>,
}

#[derive(Clone, Copy)]
struct Ends<'a> {
    ends: &'a [usize],
    /// Where the text begins in the one that `ends` are of.
    offset: usize,
}

/// Where the tokens of `text` end, whatever its length: in rising order, the last at its end.
pub(super) fn token_ends(text: &str, tokens: TokenEnds<'_>) -> Vec<usize> {
    let mut ends: Vec<usize> = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let stretch = stretch(&text[start..]);
        let last = start + stretch.len();
        for end in tokens(stretch) {
            // A tokenizer that splits a sign into bytes has ends within it.
            let end = text.ceil_char_boundary((start + end).min(last));
            if end > ends.last().copied().unwrap_or(0) {
                ends.push(end);
            }
        }
        // What a tokenizer leaves out belongs to the token after it; at the end there is none.
        if ends.last().is_none_or(|&end| end < last) {
            ends.push(last);
        }
        start = last;
    }
    ends
}

impl<'a> Ruler<'a> {
    /// A ruler that counts the tokens of [`token_ends`], or characters.
    pub(super) fn new(text: &'a str, ends: Option<&'a [usize]>) -> Self {
        Self { text, ends: ends.map(|ends| Ends { ends, offset: 0 }) }
    }

    pub(super) fn text(self) -> &'a str {
        self.text
    }

    /// The ruler of a part of the text.
    pub(super) fn part(self, start: usize, end: usize) -> Self {
        let ends = self.ends.map(|all| {
            let first = all.ends.partition_point(|&at| at <= all.offset + start);
            let last = all.ends.partition_point(|&at| at < all.offset + end);
            Ends { ends: &all.ends[first..last], offset: all.offset + start }
        });
        Self { text: &self.text[start..end], ends }
    }

    /// Byte offset that is `count` units after `from`; the end of the text if it comes first.
    pub(super) fn after(self, from: usize, count: usize) -> usize {
        match self.ends {
            None => {
                let far = self.text[from..].char_indices().nth(count);
                far.map_or(self.text.len(), |(offset, _)| from + offset)
            }
            Some(Ends { ends, offset }) => {
                let next = ends.partition_point(|&end| end <= offset + from);
                match count.checked_sub(1) {
                    None => from,
                    Some(more) => match ends.get(next + more) {
                        // Space after the last token costs nothing, and is where a chunk ends best.
                        Some(end) => {
                            let rest = &self.text[end - offset..];
                            self.text.len() - rest.trim_start().len()
                        }
                        None => self.text.len(),
                    },
                }
            }
        }
    }

    /// Byte offset that is `count` units before `from`, not before `floor`.
    pub(super) fn before(self, from: usize, count: usize, floor: usize) -> usize {
        let Some(more) = count.checked_sub(1) else { return from };
        match self.ends {
            None => {
                let far = self.text[floor..from].char_indices().rev().nth(more);
                far.map_or(floor, |(offset, _)| floor + offset)
            }
            Some(Ends { ends, offset }) => {
                let before = ends.partition_point(|&end| end <= offset + from);
                let far = before.checked_sub(count + 1).and_then(|at| ends.get(at));
                far.map_or(floor, |end| (end - offset).max(floor))
            }
        }
    }

    /// Whether `start..end` is no longer than `most`.
    pub(super) fn fits(self, start: usize, end: usize, most: usize) -> bool {
        match self.ends {
            None => self.text[start..end].chars().nth(most).is_none(),
            Some(_) => self.after(start, most) >= end,
        }
    }
}

/// The begin of a text that is tokenized at once: up to a space, where there is one.
fn stretch(text: &str) -> &str {
    if text.len() <= STRETCH {
        return text;
    }
    let most = &text[..text.floor_char_boundary(STRETCH)];
    match most.rfind(char::is_whitespace) {
        Some(at) if at > STRETCH / 2 => &most[..at],
        _ => most,
    }
}

/// Where the tokens of `text` would end, by a rule of thumb: a word has one for each five letters, a
/// sign of its own in scripts without spaces, a number one for three digits.
pub fn estimated_tokens(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut run = 0;
    let mut before = Kind::Space;
    for (at, sign) in text.char_indices() {
        let kind = Kind::of(sign);
        let length = match kind {
            Kind::Letter => LETTERS,
            Kind::Digit => 3,
            Kind::Sign | Kind::Space => 1,
        };
        let goes_on = kind == before && run < length && kind != Kind::Sign;
        if kind != Kind::Space {
            if !goes_on && before != Kind::Space {
                ends.push(at);
            }
            run = if goes_on { run + 1 } else { 1 };
        } else if before != Kind::Space {
            ends.push(at);
            run = 0;
        }
        before = kind;
    }
    if before != Kind::Space {
        ends.push(text.len());
    }
    ends
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Letter,
    Digit,
    Sign,
}

impl Kind {
    fn of(sign: char) -> Self {
        match sign {
            sign if sign.is_whitespace() => Self::Space,
            '0'..='9' => Self::Digit,
            // Scripts without spaces have about a token for each sign, and so have marks of all kinds.
            '\u{E00}'..='\u{10FF}'
            | '\u{1780}'..='\u{17FF}'
            | '\u{2E80}'..='\u{D7FF}'
            | '\u{F900}'..='\u{FAFF}' => Self::Sign,
            sign if sign.is_alphanumeric() => Self::Letter,
            _ => Self::Sign,
        }
    }
}
