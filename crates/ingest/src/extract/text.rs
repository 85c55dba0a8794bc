//! Text in whatever encoding it comes.

use std::borrow::Cow;

use breezeway_knowledge::Document;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::ExtractError;

mod clean;

pub(super) use self::clean::normalized;

/// A text on one line, with one space between its words.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How much of a file decides whether it is text and in which encoding.
const SAMPLE: usize = 1 << 20;

/// Text as it was uploaded, but for its encoding and its line ends.
pub(super) fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    Ok(Document { text: normalized(decode(bytes, None)), ..Document::default() })
}

/// Text that may name its own encoding, as HTML and XML do.
pub(super) fn read_marked_up(bytes: &[u8]) -> Result<Document, ExtractError> {
    Ok(Document { text: normalized(decode(bytes, declared(bytes))), ..Document::default() })
}

/// Whether `bytes` are text in some encoding.
///
/// Control characters tell: random bytes have one in ten, text in any encoding has hardly any.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    if Encoding::for_bom(sample).is_some() || utf16_without_mark(sample).is_some() {
        return true;
    }
    let zeros = sample.iter().filter(|&&byte| byte == 0).count();
    let controls = sample.iter().filter(|&&byte| is_control(byte)).count() - zeros;
    let is_utf8 = match std::str::from_utf8(sample) {
        Ok(_) => true,
        // The sample may end within a character.
        Err(error) => error.error_len().is_none(),
    };
    // UTF-8 does not come about by chance, so stray controls in it (terminal logs, padding) are
    // borne more easily than in bytes that could be anything.
    // Zeros are what broken programs pad text with; they are dropped.
    if is_utf8 {
        controls <= sample.len() / 10 && zeros <= sample.len() / 3
    } else {
        controls + zeros <= sample.len() / 200
    }
}

/// Whether there are zeros in it that are not half of a character.
pub(super) fn has_zeros(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    sample.contains(&0) && Encoding::for_bom(sample).is_none() && utf16_without_mark(sample).is_none()
}

fn is_control(byte: u8) -> bool {
    // Tab, line feed, form feed, carriage return, backspace and escape occur in honest text.
    matches!(byte, 0x00..=0x07 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F)
}

/// A short text without a mark of its encoding, such as a file's name in an archive.
pub(super) fn name(bytes: &[u8]) -> Cow<'_, str> {
    decode(bytes, None)
}

/// Decode: byte order mark, `declared`, strict UTF-8, UTF-16 by its zero bytes, then a guess.
fn decode<'a>(bytes: &'a [u8], declared: Option<&'static Encoding>) -> Cow<'a, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    if let Some(encoding) = utf16_without_mark(&bytes[..bytes.len().min(SAMPLE)]) {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    if is_broken_utf8(bytes) {
        return String::from_utf8_lossy(bytes);
    }
    let encoding = declared.filter(|&encoding| encoding != UTF_8).unwrap_or_else(|| guess(bytes));
    encoding.decode_without_bom_handling(bytes).0
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(&bytes[..bytes.len().min(SAMPLE)], true);
    detector.guess(None, Utf8Detection::Deny)
}

/// UTF-16 of text that is mostly of Latin letters, which has a zero in every other byte.
fn utf16_without_mark(sample: &[u8]) -> Option<&'static Encoding> {
    let (pairs, _) = sample.as_chunks::<2>();
    let (mut first, mut second) = (0, 0);
    for [a, b] in pairs {
        first += usize::from(*a == 0);
        second += usize::from(*b == 0);
    }
    let (many, few) = (pairs.len() / 2, pairs.len() / 20);
    if pairs.is_empty() {
        None
    } else if second > many && first <= few {
        Some(UTF_16LE)
    } else if first > many && second <= few {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether this is UTF-8 with a few broken bytes rather than another encoding: whole sequences of
/// several bytes are far more than the broken ones.
fn is_broken_utf8(bytes: &[u8]) -> bool {
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for chunk in bytes[..bytes.len().min(SAMPLE)].utf8_chunks() {
        whole += chunk.valid().chars().filter(|sign| !sign.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    whole > broken.saturating_mul(20)
}

/// The encoding that the first lines of HTML or XML name.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset=").or_else(|| head.split_once("encoding="))?;
    let label = rest.trim_start_matches(['"', '\'']).split(['"', '\'', ' ', ';', '>', '?']).next()?;
    Encoding::for_label(label.as_bytes())
}

/// Decoded and normalised text of HTML.
pub(super) fn markup(bytes: &[u8]) -> String {
    normalized(decode(bytes, declared(bytes)))
}
