//! The words chats are found by.
//!
//! A chat is found by the beginnings of its words, in any case. Scripts that put no spaces between words
//! are searched sign by sign: a run of signs is found wherever those follow each other.

use serde_json::{Map, Value};

use breezeway_wire::text_of;

/// How much of a chat can be found, in bytes: its title and its latest messages.
const MOST_BYTES: usize = 128 * 1024;

/// Words of a query that count, and bytes of each.
const MOST_WORDS: usize = 16;
const WORD_BYTES: usize = 96;

/// What of a chat can be found: words in lower case with one space between. Signs of scripts without
/// spaces are words of their own.
pub fn searchable(title: &str, body: &Map<String, Value>) -> String {
    let mut words = String::new();
    push_words(&mut words, title);
    let tree = body.get("history").and_then(|history| history.get("messages")).and_then(Value::as_object);
    let list = body.get("messages").and_then(Value::as_array);
    // Both are in the order of writing, as far as there is one.
    let messages: Vec<&Value> = match (tree, list) {
        (Some(tree), _) if !tree.is_empty() => tree.values().collect(),
        (_, Some(list)) => list.iter().collect(),
        _ => Vec::new(),
    };
    for message in messages.into_iter().rev() {
        if words.len() >= MOST_BYTES {
            break;
        }
        push_words(&mut words, &text_of(&message["content"]));
    }
    words.truncate(words.floor_char_boundary(MOST_BYTES));
    words
}

/// One word of a query: what has to follow each other in a chat, where the last part may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase(Vec<String>);

impl Phrase {
    /// The parts with one space between. They are letters and digits, nothing else.
    pub fn joined(&self) -> String {
        self.0.join(" ")
    }

    /// Whether a searchable text has it.
    pub(super) fn is_in(&self, searchable: &str) -> bool {
        let words: Vec<&str> = searchable.split(' ').collect();
        let Some((last, first)) = self.0.split_last() else { return true };
        words.windows(self.0.len()).any(|window| {
            window.iter().zip(first).all(|(word, part)| word == part)
                && window.last().is_some_and(|word| word.starts_with(last.as_str()))
        })
    }
}

/// What a query looks for: each of its words. `None` if there is none in it although it is not empty:
/// that finds nothing.
pub fn phrases(query: &str) -> Option<Vec<Phrase>> {
    let phrases: Vec<Phrase> = query
        .split_whitespace()
        .take(MOST_WORDS)
        .map(|word| {
            let mut words = String::new();
            push_words(&mut words, &word[..word.floor_char_boundary(WORD_BYTES)]);
            Phrase(words.split(' ').filter(|part| !part.is_empty()).map(str::to_owned).collect())
        })
        .filter(|phrase| !phrase.0.is_empty())
        .collect();
    (!phrases.is_empty() || query.trim().is_empty()).then_some(phrases)
}

fn push_words(words: &mut String, text: &str) {
    let mut is_inside = false;
    for sign in text.chars() {
        if words.len() >= MOST_BYTES {
            return;
        }
        let stands_alone = has_no_spaces(sign);
        let belongs = sign.is_alphanumeric();
        if belongs && (!is_inside || stands_alone) && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        if belongs {
            words.extend(sign.to_lowercase().filter(|sign| sign.is_alphanumeric()));
        }
        is_inside = belongs && !stands_alone;
    }
}

/// Whether a sign is of a script that puts no spaces between words: Chinese, Japanese, Thai, Lao, Khmer,
/// Burmese.
fn has_no_spaces(sign: char) -> bool {
    matches!(u32::from(sign),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x2_0000..=0x3_FFFF)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finds(query: &str, content: &str) -> bool {
        let body = json!({"history": {"messages": {"a": {"content": content}}}});
        let text = searchable("Trams", body.as_object().unwrap());
        phrases(query).is_some_and(|phrases| phrases.iter().all(|phrase| phrase.is_in(&text)))
    }

    #[test]
    fn words_are_found_by_their_beginnings_in_any_case_and_order() {
        assert!(finds("blue SKY", "The sky, it is so Blue!"));
        assert!(finds("tram", "x"));
        assert!(finds("don't", "I don't know"));
        assert!(finds("", "x"));
        assert!(!finds("ky", "sky"));
        assert!(!finds("sky sea", "sky"));
        assert!(!finds("?!", "sky?!"));
    }

    #[test]
    fn signs_of_scripts_without_spaces_are_found_wherever_they_follow_each_other() {
        assert!(finds("電車", "東京の電車は速い"));
        assert!(finds("は速", "東京の電車は速い"));
        assert!(!finds("車電", "東京の電車は速い"));
    }

    #[test]
    fn only_the_latest_of_a_long_chat_is_kept() {
        let message = |word: &str| json!({"content": format!("{word} {}", "x ".repeat(MOST_BYTES / 3))});
        let body = json!({"history": {"messages": {"a": message("first"), "b": message("middle"), "c": message("last")}}});

        let text = searchable("t", body.as_object().unwrap());

        assert!(text.len() <= MOST_BYTES);
        assert!(text.contains("last") && !text.contains("first"));
    }
}
