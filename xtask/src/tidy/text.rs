//! What must not stand in a line.

use super::Finding;

// Put together, so that this file does not contain what it looks for.
const LATER: &str = concat!("TO", "DO");
const ALLOW: [&str; 2] = [concat!("#[", "allow("), concat!("#![", "allow(")];

/// Folders of one machine that mean nothing on another.
const PRIVATE_FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
const TEMPORARY_FOLDER: &str = concat!("/t", "mp/");

/// Looks at every line of a file people write.
pub(super) fn check(path: &str, text: &str, findings: &mut Vec<Finding>) {
    // Fixtures are other people's bytes, and snapshots are what the code printed.
    if path.starts_with("fixtures/") || path.ends_with(".snap") || !is_written_by_hand(path) {
        return;
    }
    let rust = path.ends_with(".rs");
    let markdown = path.ends_with(".md");
    for (index, line) in text.lines().enumerate() {
        let mut found = |what: String| findings.push(Finding::line(path, index + 1, what));
        if line.ends_with([' ', '\t', '\r']) {
            found("white space at the end".to_owned());
        }
        if rust && ALLOW.iter().any(|allow| line.trim_start().starts_with(allow)) {
            found("a lint is lifted with `#[expect(…, reason = \"…\")]`, which speaks up when it is not needed any more".to_owned());
        }
        if mentions_later(line) && !names_an_issue(line) {
            found(format!("a {LATER} names its issue (`#12` or a link)"));
        }
        for folder in PRIVATE_FOLDERS.iter().chain(markdown.then_some(&TEMPORARY_FOLDER)) {
            if names_folder(line, folder) {
                found(format!("`{folder}` is a folder of one machine"));
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(Finding::file(path, "does not end with a line break"));
    }
}

fn is_written_by_hand(path: &str) -> bool {
    let endings = [".rs", ".md", ".toml", ".sql", ".sh", ".yml", ".yaml"];
    path == ".ci/run" || endings.iter().any(|ending| path.ends_with(ending))
}

/// Whether the word stands there by itself; `todo!` has a lint of its own.
fn mentions_later(line: &str) -> bool {
    line.split(|sign: char| !sign.is_alphanumeric()).any(|word| word == LATER)
}

fn names_an_issue(line: &str) -> bool {
    let numbered = line.split('#').skip(1).any(|rest| rest.starts_with(|sign: char| sign.is_ascii_digit()));
    numbered || line.contains("/issues/")
}

/// Whether `folder` stands there as an absolute path and not as the end of another one.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|sign| sign.is_alphanumeric() || "-_.~}/:>".contains(sign))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let mut findings = Vec::new();
        check(path, text, &mut findings);
        findings.len()
    }

    #[test]
    fn white_space_at_the_end_is_found() {
        assert_eq!(found("a.rs", "let a = 1; \n"), 1);
        assert_eq!(found("a.rs", "let a = 1;\n"), 0);
        assert_eq!(found("fixtures/a.md", "two spaces  \n"), 0);
    }

    #[test]
    fn a_lint_is_lifted_with_expect() {
        let text = format!("{}dead_code, reason = \"x\")]\n", ALLOW[0]);

        assert_eq!(found("a.rs", &text), 1);
        assert_eq!(found("a.rs", "#[expect(dead_code, reason = \"x\")]\n"), 0);
    }

    #[test]
    fn what_is_left_for_later_names_its_issue() {
        assert_eq!(found("a.rs", &format!("// {LATER}: be faster\n")), 1);

        assert_eq!(found("a.rs", &format!("// {LATER} (#41): be faster\n")), 0);
        assert_eq!(found("a.md", &format!("{LATER}S is another word\n")), 0);
    }

    #[test]
    fn folders_of_one_machine_are_found_and_parts_of_other_paths_are_not() {
        let [private, _] = PRIVATE_FOLDERS;

        assert_eq!(found("a.md", &format!("see `{private}main`\n")), 1);
        assert_eq!(found("a.md", &format!("cd {TEMPORARY_FOLDER}x\n")), 1);

        assert_eq!(found("a.md", &format!("see docs{private}main\n")), 0);
        assert_eq!(found("a.rs", &format!("let folder = \"{TEMPORARY_FOLDER}x\";\n")), 0);
    }
}
