//! What a chosen password must look like.

use breezeway_core::Secret;
use regex::Regex;

/// What passwords have to satisfy beside their length: a pattern as Open WebUI's
/// `PASSWORD_VALIDATION_REGEX_PATTERN` has it, and what people are told whose password does not.
///
/// # Design
/// Such patterns are lists of `(?=…)` in front of a length, which engines that go back and forth
/// understand, and which can keep one of those busy for ever. Ours goes through a text once, so what
/// stands in front is taken apart into patterns of their own, all of which must match at the beginning.
#[derive(Clone, Debug)]
pub struct PasswordRule {
    /// Patterns, each with whether it must match or must not.
    parts: Vec<(Regex, bool)>,
    hint: String,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern for passwords cannot be used: {0}")]
pub struct BadPattern(String);

/// What Open WebUI asks for unless told otherwise: a small letter, a capital, a digit, a sign that is
/// none of them, and eight of all.
const USUAL: &str = r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,}$";

impl PasswordRule {
    /// A rule from a pattern, which must match from the beginning of a password; without one Open
    /// WebUI's own. `hint` is what people are told; empty for Open WebUI's sentence.
    ///
    /// # Errors
    /// If the pattern is none, or looks ahead or back in other places than its beginning.
    pub fn new(pattern: Option<&str>, hint: &str) -> Result<Self, BadPattern> {
        let mut rest = pattern.unwrap_or(USUAL).trim_start_matches('^');
        let mut parts = Vec::new();
        while let Some((inner, wanted, behind)) = looked_at(rest)? {
            parts.push((compiled(inner)?, wanted));
            rest = behind;
        }
        parts.push((compiled(rest)?, true));
        let hint = match hint.trim() {
            "" => "The password does not meet the required validation criteria.",
            hint => hint,
        };
        Ok(Self { parts, hint: hint.to_owned() })
    }

    pub(crate) fn allows(&self, password: &Secret) -> bool {
        self.parts.iter().all(|(part, wanted)| part.is_match(password.expose()) == *wanted)
    }

    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }
}

fn compiled(pattern: &str) -> Result<Regex, BadPattern> {
    Regex::new(&format!(r"\A(?:{pattern})")).map_err(|error| BadPattern(error.to_string()))
}

/// The group with which a pattern looks ahead, if it begins with one: what is in it, whether it must
/// match, and what follows.
fn looked_at(pattern: &str) -> Result<Option<(&str, bool, &str)>, BadPattern> {
    let (inner, wanted) = match (pattern.strip_prefix("(?="), pattern.strip_prefix("(?!")) {
        (Some(inner), _) => (inner, true),
        (_, Some(inner)) => (inner, false),
        (None, None) => return Ok(None),
    };
    let (mut depth, mut in_class, mut escaped) = (0_usize, false, false);
    for (place, sign) in inner.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => depth += 1,
            ')' if depth == 0 => return Ok(Some((&inner[..place], wanted, &inner[place + 1..]))),
            ')' => depth -= 1,
            _ => {}
        }
    }
    Err(BadPattern("a parenthesis is not closed".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: Option<&str>, password: &str, allowed: bool) {
        let rule = PasswordRule::new(pattern, "").unwrap();
        assert_eq!(rule.allows(&password.into()), allowed, "{pattern:?} {password}");
    }

    #[test]
    fn the_usual_rule_wants_four_kinds_of_signs_and_eight_of_all() {
        check(None, "Str0ng!pass", true);
        check(None, "Sh0rt!a", false);
        check(None, "str0ng!pass", false);
        check(None, "STR0NG!PASS", false);
        check(None, "Strong!pass", false);
        check(None, "Str0ngXpass", false);
    }

    #[test]
    fn a_pattern_matches_from_the_beginning_as_in_python() {
        check(Some("[a-z]{3}"), "abc1", true);
        check(Some("[a-z]{3}"), "1abc", false);
        check(Some("[a-z]{3}$"), "abc1", false);
        check(Some("a|bc"), "xbc", false);
        check(Some(r"^(?!.*pass)(?=.*[)\]])(?=(x|y(z))).{4,}$"), "yz)12", true);
        check(Some(r"^(?!.*pass)(?=.*[)\]])(?=(x|y(z))).{4,}$"), "yz)pass", false);
        check(Some(r"^(?!.*pass)(?=.*[)\]])(?=(x|y(z))).{4,}$"), "yz12", false);
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for pattern in ["(", "(?=a", "a(?=b)", "(?<=a)b", "[a"] {
            assert!(PasswordRule::new(Some(pattern), "").is_err(), "{pattern}");
        }
    }
}
