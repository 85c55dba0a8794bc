//! Rich Text: control words in groups, with text in any code page between them.
//!
//! A group that begins with a destination we do not show (fonts, pictures, headers) is passed over.
//! The groups that are open are kept in a list and not on the stack, so depth costs nothing.

use std::collections::HashMap;

use breezeway_knowledge::Document;
use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, MACINTOSH, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1250, WINDOWS_1251,
    WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};

use super::{ExtractError, Limits, text, text_limit};

mod token;
mod writer;

use self::{
    token::{Token, Tokens},
    writer::Writer,
};

/// Groups inside groups. Word writes a dozen.
const DEEPEST: usize = 10_000;

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    let mut reader = Rtf::default();
    for token in Tokens::new(bytes) {
        reader.take(token)?;
        if reader.out.length() as u64 > limits.text_bytes {
            return Err(text_limit(limits.text_bytes));
        }
    }
    reader.flush();
    let mut document = Document { text: text::normalized(reader.out.finish().into()), ..Document::default() };
    for (name, value) in reader.info {
        if !value.trim().is_empty() {
            document.metadata.insert(name.to_owned(), value.trim().to_owned().into());
        }
    }
    Ok(document)
}

/// What a group says about the text in it.
#[derive(Clone)]
struct Group {
    font: i32,
    /// Characters of a fallback after each Unicode character.
    fallback: usize,
    is_hidden: bool,
    /// Deleted in review, or the rich text that stands in for HTML.
    is_shadow: bool,
    destination: Destination,
}

impl Default for Group {
    fn default() -> Self {
        Self { font: 0, fallback: 1, is_hidden: false, is_shadow: false, destination: Destination::default() }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Destination {
    #[default]
    Text,
    /// Not shown.
    None,
    Fonts,
    Styles,
    /// Something the document says about itself.
    Info(&'static str),
}

#[derive(Default)]
struct Rtf {
    groups: Vec<Group>,
    group: Group,
    page: Option<&'static Encoding>,
    fonts: HashMap<i32, &'static Encoding>,
    font: i32,
    headings: HashMap<i32, usize>,
    style: (i32, String),
    info: HashMap<&'static str, String>,
    /// Bytes in a code page, decoded together: a sign may be two of them.
    pending: Vec<u8>,
    /// Units of UTF-16 that wait for their second half.
    high: Option<u16>,
    /// Fallback characters still to be left out.
    left_out: usize,
    is_optional: bool,
    out: Writer,
}

impl Rtf {
    fn take(&mut self, token: Token<'_>) -> Result<(), ExtractError> {
        match token {
            Token::Open => {
                self.flush();
                if self.groups.len() >= DEEPEST {
                    return Err(ExtractError::Limit(format!("{DEEPEST} groups inside one another")));
                }
                self.groups.push(self.group.clone());
                self.left_out = 0;
            }
            Token::Close => {
                self.flush();
                self.end_of(self.group.destination);
                self.group = self.groups.pop().unwrap_or_default();
                self.left_out = 0;
                self.is_optional = false;
            }
            Token::Optional => self.is_optional = true,
            Token::Word(word, number) => {
                self.flush_for(word);
                let is_optional = std::mem::take(&mut self.is_optional);
                self.word(word, number, is_optional);
            }
            Token::Byte(byte) => {
                if self.left_out > 0 {
                    self.left_out -= 1;
                } else {
                    self.pending.push(byte);
                }
            }
            Token::Text(text) => {
                let skip = self.left_out.min(text.len());
                self.left_out -= skip;
                self.pending.extend_from_slice(&text[skip..]);
            }
        }
        Ok(())
    }

    /// Decode what has come before something that is no text. A Unicode character's second half
    /// follows its first.
    fn flush_for(&mut self, word: &str) {
        if word != "u" || !self.pending.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.high.take().is_some() {
            self.write("\u{FFFD}");
        }
        if self.pending.is_empty() {
            return;
        }
        let encoding = self.fonts.get(&self.group.font).copied().or(self.page).unwrap_or(WINDOWS_1252);
        let bytes = std::mem::take(&mut self.pending);
        let text = encoding.decode_without_bom_handling(&bytes).0;
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        match self.group.destination {
            Destination::Text if !self.group.is_hidden && !self.group.is_shadow => self.out.text(text),
            Destination::Styles => self.style.1.push_str(text),
            Destination::Info(name) => self.info.entry(name).or_default().push_str(text),
            _ => {}
        }
    }

    fn end_of(&mut self, destination: Destination) {
        if destination == Destination::Styles {
            let (number, name) = std::mem::take(&mut self.style);
            let name = name.trim().trim_end_matches(';').to_ascii_lowercase();
            let level = match name.strip_prefix("heading ").map(str::trim) {
                Some(level) => level.parse().ok().filter(|level| (1..=6).contains(level)),
                None => (name == "title").then_some(1),
            };
            if let Some(level) = level {
                self.headings.insert(number, level);
            }
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>, is_optional: bool) {
        if let Some(destination) = destination(word) {
            // Inside of what is not shown nothing is.
            if self.group.destination != Destination::None {
                self.group.destination = destination;
            }
            return;
        }
        let is_on = number != Some(0);
        match word {
            // The words of this group are known; it is only optional for old readers.
            "shpinst" | "ud" | "listtext" => {}
            _ if is_optional => self.group.destination = Destination::None,
            "ansicpg" => self.page = number.and_then(code_page),
            "mac" => self.page = Some(MACINTOSH),
            "f" | "deff" => match (self.group.destination, number) {
                (Destination::Fonts, Some(number)) => self.font = number,
                (_, Some(number)) => self.group.font = number,
                _ => {}
            },
            "fcharset" if self.group.destination == Destination::Fonts => {
                if let Some(encoding) = number.and_then(charset) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            "s" if self.group.destination == Destination::Styles => self.style.0 = number.unwrap_or(0),
            "s" => self.out.set_level(number.and_then(|number| self.headings.get(&number).copied())),
            "outlinelevel" => {
                let level = number.and_then(|level| usize::try_from(level).ok()).filter(|&level| level < 6);
                self.out.set_level(level.map(|level| level + 1));
            }
            "uc" => self.group.fallback = number.and_then(|count| usize::try_from(count).ok()).unwrap_or(1),
            "u" => self.unicode(number.unwrap_or(0)),
            "v" => self.group.is_hidden = is_on,
            "plain" => self.group.is_hidden = false,
            "deleted" | "htmlrtf" => self.group.is_shadow = is_on,
            "footnote" => self.write(" ("),
            _ => self.mark(word),
        }
    }

    /// Words that stand for a sign or end something.
    fn mark(&mut self, word: &str) {
        if self.group.destination != Destination::Text || self.group.is_shadow {
            return;
        }
        match word {
            "par" | "sect" | "page" | "column" => self.out.end_paragraph(),
            "line" | "softline" => self.out.text("\n"),
            "tab" => self.out.text("\t"),
            "pard" => self.out.begin_paragraph(),
            "intbl" => self.out.in_table(),
            "cell" | "nestcell" => self.out.end_cell(),
            "row" | "nestrow" => self.out.end_row(),
            "emdash" => self.out.text("—"),
            "endash" => self.out.text("–"),
            "bullet" => self.out.text("•"),
            "lquote" => self.out.text("‘"),
            "rquote" => self.out.text("’"),
            "ldblquote" => self.out.text("“"),
            "rdblquote" => self.out.text("”"),
            "~" | "emspace" | "enspace" => self.out.text(" "),
            "_" => self.out.text("-"),
            _ => {}
        }
    }

    fn unicode(&mut self, number: i32) {
        // Written as a signed number of 16 bits, and often as an unsigned one.
        let unit = number as u16;
        self.left_out = self.group.fallback;
        let units = match self.high.take() {
            Some(high) => vec![high, unit],
            None if (0xD800..0xDC00).contains(&unit) => {
                self.high = Some(unit);
                return;
            }
            None => vec![unit],
        };
        let text = String::from_utf16_lossy(&units);
        self.write(&text);
    }
}

/// The destination that a control word begins, if it is one.
fn destination(word: &str) -> Option<Destination> {
    Some(match word {
        "fonttbl" => Destination::Fonts,
        "stylesheet" => Destination::Styles,
        "title" => Destination::Info("title"),
        "author" => Destination::Info("author"),
        "subject" => Destination::Info("subject"),
        "keywords" => Destination::Info("keywords"),
        "rtf" | "info" => return None,
        "colortbl" | "pict" | "object" | "objdata" | "header" | "headerl" | "headerr" | "headerf"
        | "footer" | "footerl" | "footerr" | "footerf" | "fldinst" | "nonshppict" | "listtable"
        | "listoverridetable" | "revtbl" | "rsidtbl" | "generator" | "themedata" | "colorschememapping"
        | "datastore" | "latentstyles" | "xmlnstbl" | "operator" | "company" | "manager" | "category"
        | "comment" | "doccomm" | "hlinkbase" | "creatim" | "revtim" | "printim" | "buptim" | "bkmkstart"
        | "bkmkend" | "annotation" | "atnid" | "atnauthor" | "ftnsep" | "ftnsepc" | "ftncn" | "aftnsep"
        | "aftnsepc" | "aftncn" | "xe" | "tc" | "sp" | "filetbl" | "htmltag" | "falt" | "panose"
        | "template" | "upr" => Destination::None,
        _ => return None,
    })
}

fn code_page(number: i32) -> Option<&'static Encoding> {
    Some(match number {
        437 | 850 | 1252 => WINDOWS_1252,
        874 => WINDOWS_874,
        932 => SHIFT_JIS,
        936 | 54936 => GBK,
        949 => EUC_KR,
        950 => BIG5,
        1250 => WINDOWS_1250,
        1251 => WINDOWS_1251,
        1253 => WINDOWS_1253,
        1254 => WINDOWS_1254,
        1255 => WINDOWS_1255,
        1256 => WINDOWS_1256,
        1257 => WINDOWS_1257,
        1258 => WINDOWS_1258,
        10000 => MACINTOSH,
        65001 => UTF_8,
        _ => return None,
    })
}

/// The encoding behind a font's character set.
fn charset(number: i32) -> Option<&'static Encoding> {
    Some(match number {
        0 => WINDOWS_1252,
        77 => MACINTOSH,
        128 => SHIFT_JIS,
        129 | 130 => EUC_KR,
        134 => GBK,
        136 => BIG5,
        161 => WINDOWS_1253,
        162 => WINDOWS_1254,
        163 => WINDOWS_1258,
        177 => WINDOWS_1255,
        178 => WINDOWS_1256,
        186 => WINDOWS_1257,
        204 => WINDOWS_1251,
        222 => WINDOWS_874,
        238 => WINDOWS_1250,
        _ => return None,
    })
}
