//! Case, accents and endings: what a person leaves out or changes when asking.

use frostem::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

/// The scripts that are treated each in their own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Greek,
    Cyrillic,
    Arabic,
    Hebrew,
    Other,
}

/// The script of the first letter; words that mix scripts are rare enough to follow it.
fn script(word: &str) -> Script {
    match word.chars().find(|sign| sign.is_alphabetic()) {
        Some(sign) if is_latin(sign) => Script::Latin,
        Some('\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}') => Script::Greek,
        Some('\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{2de0}'..='\u{2dff}') => Script::Cyrillic,
        Some('\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}') => Script::Arabic,
        Some('\u{590}'..='\u{5ff}') => Script::Hebrew,
        _ => Script::Other,
    }
}

/// Whether a letter is of the Latin script, accented and full-width ones included.
pub(crate) fn is_latin(sign: char) -> bool {
    match sign {
        'a'..='z' | 'A'..='Z' => true,
        '\u{d7}' | '\u{f7}' => false,
        '\u{aa}' | '\u{ba}' | '\u{c0}'..='\u{2af}' | '\u{1e00}'..='\u{1eff}' => true,
        '\u{2c60}'..='\u{2c7f}' | '\u{a722}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab64}' => true,
        '\u{fb00}'..='\u{fb06}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => true,
        _ => false,
    }
}

/// Lower case without the marks that are optional in writing.
///
/// Only where they are: Cyrillic keeps its breve (й is a letter of its own and the stemmer needs
/// it), and in the scripts of India the marks are the vowels.
pub(super) fn folded(word: &str) -> (Script, String) {
    let script = script(word);
    let lower = word.to_lowercase();
    if lower.is_ascii() {
        return (script, lower);
    }
    let folded = match script {
        Script::Latin | Script::Greek => {
            let mut plain = String::with_capacity(lower.len());
            for sign in lower.nfd().filter(|sign| !is_accent(*sign)) {
                match letters(sign) {
                    Some(letters) => plain.push_str(letters),
                    None => plain.push(sign),
                }
            }
            plain
        }
        Script::Cyrillic => lower
            .chars()
            .filter(|sign| !is_accent(*sign))
            .map(|sign| if sign == 'ё' { 'е' } else { sign })
            .collect(),
        Script::Arabic => lower
            .chars()
            .filter(|sign| !matches!(sign, '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'))
            .collect(),
        Script::Hebrew => lower.chars().filter(|sign| !matches!(sign, '\u{591}'..='\u{5c7}')).collect(),
        Script::Other => lower,
    };
    (script, folded)
}

fn is_accent(sign: char) -> bool {
    matches!(sign, '\u{300}'..='\u{36f}')
}

/// Letters that do not come apart into a letter and a mark.
fn letters(sign: char) -> Option<&'static str> {
    Some(match sign {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'þ' => "th",
        'ς' => "σ",
        _ => return None,
    })
}

/// The word without its ending, if its script has a stemmer and it consists of letters.
///
/// Latin words all go through the English rules. They do some good in other languages as well,
/// because what matters is only that question and chunk lose the same ending; a stemmer for each
/// language would first have to know the language.
pub(super) fn stemmed(script: Script, word: String) -> String {
    let algorithm = match script {
        Script::Latin => Algorithm::English,
        Script::Greek => Algorithm::Greek,
        Script::Cyrillic => Algorithm::Russian,
        Script::Arabic => Algorithm::Arabic,
        Script::Hebrew | Script::Other => return word,
    };
    if !word.chars().all(char::is_alphabetic) {
        return word;
    }
    Stemmer::new(algorithm).stem(&word).into_owned()
}
