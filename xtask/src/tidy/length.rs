//! Long files: usually a second subject hides in them.

use super::Finding;
use crate::workspace::SourceFile;

/// From here on one looks for the second subject.
const LOOK_AGAIN: usize = 500;

/// From here on it has been found.
const TOO_LONG: usize = 700;

/// Files one has looked at again and left as they are, and why.
const LOOKED_AT: &[(&str, &str)] = &[];

/// Compares the length of a Rust file, its tests not counted, with the two limits.
pub(super) fn check(path: &str, text: &str, findings: &mut Vec<Finding>, warnings: &mut Vec<Finding>) {
    if !path.ends_with(".rs") || is_test(path) {
        return;
    }
    let lines = lines_without_tests(text);
    let excused = LOOKED_AT.iter().any(|(excused, _)| *excused == path);
    if lines > TOO_LONG {
        findings.push(Finding::file(path, format!("{lines} lines without tests; {TOO_LONG} is the most")));
    } else if lines > LOOK_AGAIN && !excused {
        let what = format!("{lines} lines without tests; is there a second subject in it?");
        warnings.push(Finding::file(path, what));
    } else if lines <= LOOK_AGAIN && excused {
        findings
            .push(Finding::file(path, "is short now; take it out of the table in xtask/src/tidy/length.rs"));
    }
}

/// Every row of the table is about a file that exists.
pub(super) fn check_table(files: &[SourceFile], findings: &mut Vec<Finding>) {
    for (path, _) in LOOKED_AT {
        if !files.iter().any(|file| file.path == *path) {
            findings
                .push(Finding::file(path, "is in the table of xtask/src/tidy/length.rs and does not exist"));
        }
    }
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Lines outside of test modules. A formatted module ends at the next `}` in its column.
fn lines_without_tests(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = line.trim_start() == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.contains("mod ") && next.ends_with('{'));
        if !opens {
            count += 1;
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        for inside in lines.by_ref() {
            if inside == end {
                break;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(path: &str, lines: usize) -> (usize, usize) {
        let (mut findings, mut warnings) = (Vec::new(), Vec::new());
        check(path, &"let a = 1;\n".repeat(lines), &mut findings, &mut warnings);
        (findings.len(), warnings.len())
    }

    #[test]
    fn a_long_file_is_a_warning_and_a_very_long_one_an_error() {
        assert_eq!(judged("crates/a/src/b.rs", 500), (0, 0));
        assert_eq!(judged("crates/a/src/b.rs", 501), (0, 1));
        assert_eq!(judged("crates/a/src/b.rs", 701), (1, 0));
    }

    #[test]
    fn tests_and_other_languages_may_be_long() {
        assert_eq!(judged("crates/a/src/b/tests.rs", 900), (0, 0));
        assert_eq!(judged("crates/a/tests/it/main.rs", 900), (0, 0));
        assert_eq!(judged("docs/openapi.json", 900), (0, 0));
    }

    #[test]
    fn the_lines_of_a_test_module_are_not_counted_and_those_after_it_are() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n\nfn c() {}\n";

        assert_eq!(lines_without_tests(text), 4);
    }

    #[test]
    fn a_test_module_in_its_own_file_is_two_lines() {
        assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\n"), 2);
    }
}
