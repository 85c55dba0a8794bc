//! How many tokens a text has, roughly, when nobody says.
//!
//! Tokenizers differ from model to model, and running one would cost more than all the rest of a
//! call's bookkeeping. OpenAI's rule of thumb for English is four characters a token. A byte-level
//! vocabulary spends more on scripts it has seen less of (Petrov et al. 2023, "Language model
//! tokenizers introduce unfairness between languages"), and UTF-8 spends more bytes on the same
//! scripts, so the length of the encoding already leans the right way. What it still misses is added:
//!
//! `tokens = (bytes + characters of three bytes + 4 × characters of four bytes) / 4`, rounded up
//!
//! That is a quarter of a token for an ASCII character, half of one for Greek or Cyrillic, a whole one
//! for CJK and two for an emoji.

/// The tokens of a text, roughly. A text may come in pieces: cutting it anywhere changes the sum by
/// the rounding of each piece only.
pub fn estimate_tokens(text: impl AsRef<[u8]>) -> u64 {
    quarters(text.as_ref()).div_ceil(4)
}

/// The tokens of so many bytes whose text is not at hand: four bytes a token, rounded up.
pub const fn estimate_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Quarters of tokens, which add up without rounding.
pub(crate) fn quarters(text: &[u8]) -> u64 {
    // Counted in 32 bits, piece by piece, so that the loop is vectorised.
    let extra = |piece: &[u8]| piece.iter().fold(0_u32, |sum, &byte| sum + weight(byte));
    let extra: u64 = text.chunks(1 << 20).map(|piece| u64::from(extra(piece))).sum();
    text.len() as u64 + extra
}

/// What the first byte of a long character adds.
const fn weight(byte: u8) -> u32 {
    (byte >= 0xe0) as u32 + 3 * (byte >= 0xf0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_characters_count_more() {
        let cases = [("", 0), ("a", 1), ("four", 1), ("five5", 2), ("жизнь", 3), ("你好世界", 4), ("🚋", 2)];

        for (text, tokens) in cases {
            assert_eq!(estimate_tokens(text), tokens, "{text}");
        }
    }

    #[test]
    fn pieces_add_up_wherever_they_are_cut() {
        let text = "a tram, трамвай, 電車, 🚋".as_bytes();

        for cut in 0..=text.len() {
            assert_eq!(quarters(&text[..cut]) + quarters(&text[cut..]), quarters(text));
        }
    }
}
