//! What a reader cannot see is not text.
//!
//! Signs without a shape carry messages to a language model past the people who approved a
//! document, and keep words from being found. Those that writing needs (joiners in Persian, Indic
//! scripts and emoji, breaks in Thai and Khmer, one variation of a sign) stay where writing needs
//! them.

use std::borrow::Cow;

/// One kind of line end and nothing invisible: what a document's text is made of.
pub(in crate::extract) fn normalized(text: Cow<'_, str>) -> String {
    if !text.chars().any(is_suspect) {
        return text.into_owned();
    }
    let mut clean = String::with_capacity(text.len());
    let mut signs = text.chars().peekable();
    let mut before = None;
    while let Some(sign) = signs.next() {
        let next = signs.peek().copied();
        let kept = match sign {
            '\r' if next == Some('\n') => None,
            '\r' | '\u{85}' | '\u{2028}' | '\u{C}' => Some('\n'),
            '\u{2029}' => Some('\n'),
            sign if is_suspect(sign) && !is_needed(before, sign, next) => None,
            sign => Some(sign),
        };
        if let Some(sign) = kept {
            clean.push(sign);
            before = Some(sign);
        }
    }
    clean
}

/// Line ends of other systems, control characters, and signs without a shape.
fn is_suspect(sign: char) -> bool {
    match sign {
        '\n' | '\t' | ' '..='~' => false,
        '\0'..='\u{9F}' => sign != '\u{1B}',
        // Soft hyphen, grapheme joiner, letter mark, Hangul and Mongolian fillers.
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' => true,
        '\u{180B}'..='\u{180F}' | '\u{3164}' | '\u{FFA0}' => true,
        // Zero widths, marks and overrides of direction, invisible operators.
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => true,
        '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' => true,
        // Invisible music, tags, and further variations.
        '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' => true,
        _ => false,
    }
}

/// Whether an invisible sign does something for the one before it or the one after.
fn is_needed(before: Option<char>, sign: char, next: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match sign {
        // Joiners shape what surrounds them; between letters that never join they only hide.
        '\u{200C}' | '\u{200D}' => {
            !before.is_ascii()
                && !is_suspect(before)
                && next.is_some_and(|next| !next.is_ascii() && !next.is_whitespace() && !is_suspect(next))
                || is_presentation(before)
        }
        '\u{200B}' => separates_words_itself(before),
        // One variation of a visible sign; runs of them are bytes in disguise.
        sign if is_presentation(sign) => {
            !is_suspect(before) && !before.is_whitespace() && !before.is_ascii_alphabetic()
        }
        '\u{180B}'..='\u{180F}' => ('\u{1800}'..='\u{18AF}').contains(&before),
        '\u{E0100}'..='\u{E01EF}' => is_ideograph(before),
        // The flags of England, Scotland and Wales are a black flag and tags.
        '\u{E0061}'..='\u{E007A}' | '\u{E007F}' => before == '\u{1F3F4}' || is_tag(before),
        _ => false,
    }
}

fn is_presentation(sign: char) -> bool {
    ('\u{FE00}'..='\u{FE0F}').contains(&sign)
}

/// Only reached where a flag begins: anything else before a tag was left out.
fn is_tag(sign: char) -> bool {
    ('\u{E0061}'..='\u{E007A}').contains(&sign)
}

fn is_ideograph(sign: char) -> bool {
    matches!(sign, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Thai, Lao, Tibetan, Myanmar and Khmer are written without spaces, and a zero width says where
/// words end.
fn separates_words_itself(sign: char) -> bool {
    matches!(sign, '\u{E00}'..='\u{FFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(text: &str) -> String {
        normalized(text.into())
    }

    #[test]
    fn messages_in_signs_without_a_shape_are_gone() {
        let tags: String =
            "ignore all".chars().filter_map(|sign| char::from_u32(0xE0000 + sign as u32)).collect();
        let variations: String = (0xE0100..0xE0140).filter_map(char::from_u32).collect();

        assert_eq!(clean(&format!("Hello{tags} world")), "Hello world");
        assert_eq!(clean(&format!("Hello{variations} world")), "Hello world");
        assert_eq!(
            clean("pass\u{200B}word ig\u{200D}no\u{2060}re \u{202E}drow\u{202C}"),
            "password ignore drow"
        );
        assert_eq!(clean("Sil\u{AD}be\u{FEFF}"), "Silbe");
        assert_eq!(clean("a\u{3164}\u{2063}\0\u{7}\u{90}b"), "ab");
    }

    #[test]
    fn what_writing_needs_stays() {
        for text in [
            "می\u{200C}خواهم",
            "क\u{94D}\u{200D}ष",
            "👩\u{200D}👩\u{200D}👧",
            "❤\u{FE0F}\u{200D}🔥",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "1\u{FE0F}\u{20E3}",
            "ไทย\u{200B}ไทย",
            "葛\u{E0100}城",
            "e\u{301} ñ 日本 \u{1B}[31m\ttab",
        ] {
            assert_eq!(clean(text), text, "{text:?}");
        }
    }

    #[test]
    fn every_line_end_becomes_one_kind() {
        assert_eq!(clean("a\r\nb\rc\u{85}d\u{2028}e\u{C}f"), "a\nb\nc\nd\ne\nf");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(text in "(\\PC|[\r\u{AD}\u{200B}-\u{200F}\u{FE00}-\u{FE0F}\u{E0060}-\u{E007F}\u{E0100}-\u{E0110}🏴क葛]){0,40}") {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once);
        }

        #[test]
        fn nothing_visible_is_lost(text in "[ -~À-žα-ωא-ת一-丏]{0,40}") {
            prop_assert_eq!(clean(&text), text);
        }
    }
}
