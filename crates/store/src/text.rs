//! Searching names as people expect: in any case, in any script.

/// `text` in lower case, character by character.
///
/// A sigma is the same letter wherever it stands. `str::to_lowercase` writes it differently at the
/// end of a word, and then a part of a word is not found in the whole.
pub(crate) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).map(|sign| if sign == 'ς' { 'σ' } else { sign }).collect()
}

/// A pattern for `LIKE … ESCAPE '\'` over folded text.
///
/// `None` matches nothing: the pattern has a NUL, which ends it early in the database, or is longer
/// than the database takes.
pub(crate) type Pattern = Option<String>;

/// The longest pattern SQLite accepts, in bytes (`SQLITE_MAX_LIKE_PATTERN_LENGTH`).
const MAX_PATTERN_BYTES: usize = 50_000;

/// The pattern of a glob: `*` is any text, `?` any character, everything else itself.
pub(crate) fn glob(glob: &str) -> Pattern {
    let mut pattern = String::with_capacity(glob.len());
    for sign in fold(glob).chars() {
        match sign {
            // A run of stars means the same as one, and costs more to match.
            '*' if pattern.ends_with('%') && !pattern.ends_with(r"\%") => {}
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            other => push_literal(&mut pattern, other),
        }
    }
    checked(pattern)
}

/// The pattern of text that contains `part`.
pub(crate) fn contains(part: &str) -> Pattern {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    fold(part).chars().for_each(|sign| push_literal(&mut pattern, sign));
    pattern.push('%');
    checked(pattern)
}

fn push_literal(pattern: &mut String, sign: char) {
    if matches!(sign, '%' | '_' | '\\') {
        pattern.push('\\');
    }
    pattern.push(sign);
}

fn checked(pattern: String) -> Pattern {
    (pattern.len() <= MAX_PATTERN_BYTES && !pattern.contains('\0')).then_some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stars_and_question_marks_are_special_in_a_glob() {
        assert_eq!(glob("*.PDF").as_deref(), Some("%.pdf"));
        assert_eq!(glob("a?c").as_deref(), Some("a_c"));
        assert_eq!(glob("[x]100%_\\").as_deref(), Some(r"[x]100\%\_\\"));
        assert_eq!(glob("a***b").as_deref(), Some("a%b"));
        assert_eq!(glob("%*").as_deref(), Some(r"\%%"));
    }

    #[test]
    fn what_the_database_would_misread_matches_nothing() {
        assert_eq!(glob("a\0b"), None);
        assert_eq!(contains(&"x".repeat(60_000)), None);
    }

    #[test]
    fn folding_does_not_depend_on_the_place_in_a_word() {
        assert!(fold("Σοφος λογος").contains(&fold("ΣΟΦΟΣ")));
        assert!(fold("ÄPFEL.txt").contains(&fold("äpfel")));
    }
}
