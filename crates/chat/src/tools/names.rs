//! Names that every dialect allows for a function.

/// The longest name, in bytes: OpenAI's bound.
const LONGEST: usize = 64;

/// A name for a function that is called `wanted` where it comes from: letters, digits, `_` and `-`, and
/// none for which `is_taken` holds.
pub(super) fn allowed(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() || "_-".contains(sign) { sign } else { '_' };
    let mut name: String = wanted.chars().map(plain).take(LONGEST).collect();
    if name.is_empty() {
        name.push('_');
    }
    if !is_taken(&name) {
        return name;
    }
    let mut number: usize = 2;
    loop {
        let tail = format!("_{number}");
        let head = &name[..name.len().min(LONGEST - tail.len())];
        let candidate = format!("{head}{tail}");
        if !is_taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_signs_become_plain_ones() {
        let check = |wanted: &str, expected: &str| assert_eq!(allowed(wanted, |_| false), expected);

        check("get_weather-2", "get_weather-2");
        check("get weather/{city}", "get_weather__city_");
        check("wetter_für_köln", "wetter_f_r_k_ln");
        check("", "_");
        check("\u{202e}\n\"", "___");
    }

    proptest! {
        #[test]
        fn names_are_allowed_and_differ(wanted in proptest::collection::vec(".{0,80}", 0..40)) {
            let mut names: HashSet<String> = HashSet::new();
            for name in &wanted {
                let name = allowed(name, |name| names.contains(name));
                prop_assert!((1..=LONGEST).contains(&name.len()));
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
                prop_assert!(names.insert(name));
            }
        }
    }
}
