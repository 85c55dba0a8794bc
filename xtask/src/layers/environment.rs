//! The environment is read in the binary's configuration and nowhere else.
//!
//! Clippy bans the functions too, but a ban can be lifted beside the call; this one cannot.
//! Integration tests are left to clippy: a test program that starts itself again is told so by a
//! variable.

use crate::workspace::SourceFile;

const READERS: &str = "bins/breezeway/src/config";

/// One sentence for every line that reads the environment and should not.
pub(super) fn findings(files: &[SourceFile]) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| must_not_read(&file.path)) {
        let text = file.text()?.unwrap_or_default();
        findings.extend(lines(&text).map(|line| {
            format!("`{}:{line}` reads the environment, which only `{READERS}*` does", file.path)
        }));
    }
    Ok(findings)
}

fn must_not_read(path: &str) -> bool {
    let code = path.starts_with("crates/") || path.starts_with("bins/");
    code && path.ends_with(".rs") && !path.contains("/tests/") && !path.starts_with(READERS)
}

fn lines(text: &str) -> impl Iterator<Item = usize> {
    let numbered = text.lines().enumerate();
    numbered
        .filter(|(_, line)| line.contains("env::var") && !line.trim_start().starts_with("//"))
        .map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_reading_is_seen_and_comments_are_not() {
        let text = "\
// `std::env::var` is not called here.
let home = std::env::var(\"HOME\");
let built = env!(\"CARGO_PKG_VERSION\");
for (name, value) in std::env::vars_os() {}
";

        assert_eq!(lines(text).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn only_the_configuration_of_the_binary_reads() {
        assert!(!must_not_read("bins/breezeway/src/config.rs"));
        assert!(!must_not_read("bins/breezeway/src/config/env.rs"));

        assert!(!must_not_read("crates/store/tests/it/crash.rs"));

        assert!(must_not_read("bins/breezeway/src/main.rs"));
        assert!(must_not_read("crates/embedding-fastembed/src/fetch.rs"));
    }
}
