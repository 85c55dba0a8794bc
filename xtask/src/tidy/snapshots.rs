//! Snapshots that nobody accepted, and those that no test makes any more.

use std::collections::BTreeMap;

use super::Finding;
use crate::workspace::{self, SourceFile};

/// Looks at every snapshot file.
pub(super) fn check(files: &[SourceFile], findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let mut sources: BTreeMap<String, Option<String>> = BTreeMap::new();
    for file in files {
        let path = file.path.as_str();
        if path.ends_with(".snap.new") || path.ends_with(".pending-snap") {
            findings.push(Finding::file(path, "was never accepted; read it with `cargo insta review`"));
        }
        if !path.ends_with(".snap") {
            continue;
        }
        let text = file.text()?.unwrap_or_default();
        let header = Header::read(&text);
        let source = match header.source {
            Some(source) => sources.entry(source.to_owned()).or_insert_with(|| read(source)).as_deref(),
            None => None,
        };
        let input_exists = header.input.map(|input| workspace::root().join(input).exists());
        if let Some(why) = orphaned(path, source, input_exists) {
            findings.push(Finding::file(path, why));
        }
    }
    Ok(())
}

fn read(source: &str) -> Option<String> {
    std::fs::read_to_string(workspace::root().join(source)).ok()
}

/// What a snapshot says about where it comes from.
#[derive(Default)]
struct Header<'a> {
    source: Option<&'a str>,
    input: Option<&'a str>,
}

impl<'a> Header<'a> {
    fn read(text: &'a str) -> Self {
        let mut header = Self::default();
        let lines = text.lines().skip_while(|line| *line == "---").take_while(|line| *line != "---");
        for line in lines {
            match line.split_once(": ") {
                Some(("source", path)) => header.source = Some(path.trim_matches('"')),
                Some(("input_file", path)) => header.input = Some(path.trim_matches('"')),
                _ => {}
            }
        }
        header
    }
}

/// Why no test makes this snapshot, if none does.
fn orphaned(path: &str, source: Option<&str>, input_exists: Option<bool>) -> Option<String> {
    let Some(source) = source else {
        return Some("the test that made it does not exist any more".to_owned());
    };
    match input_exists {
        Some(true) => None,
        Some(false) => Some("the file it was made from does not exist any more".to_owned()),
        None => {
            let name = test_name(path);
            (!source.contains(name)).then(|| format!("its source has no test `{name}` any more"))
        }
    }
}

/// The name in `folder/crate__module__name-2.snap`.
fn test_name(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.strip_suffix(".snap").unwrap_or(file);
    let name = stem.rsplit("__").next().unwrap_or(stem);
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once('-') {
        Some((name, number)) if number.chars().all(|sign| sign.is_ascii_digit()) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/a/tests/it/snapshots/it__schema__the_schema_is_recorded-2.snap";

    #[test]
    fn a_snapshot_is_named_after_its_test() {
        assert_eq!(test_name(PATH), "the_schema_is_recorded");
        assert_eq!(test_name("a__b__out@plain.snap"), "out");
    }

    #[test]
    fn the_header_tells_the_source_and_the_input() {
        let header =
            Header::read("---\nsource: crates/a/tests/it/main.rs\ninput_file: f/x.json\n---\nsource: no\n");

        assert_eq!(header.source, Some("crates/a/tests/it/main.rs"));
        assert_eq!(header.input, Some("f/x.json"));
    }

    #[test]
    fn a_snapshot_whose_test_was_renamed_is_an_orphan() {
        assert_eq!(orphaned(PATH, Some("fn the_schema_is_recorded() {"), None), None);

        assert!(orphaned(PATH, Some("fn the_schema_is_known() {"), None).is_some());
        assert!(orphaned(PATH, None, None).is_some());
    }

    #[test]
    fn a_snapshot_whose_input_is_gone_is_an_orphan() {
        assert_eq!(orphaned(PATH, Some("glob!(…)"), Some(true)), None);

        assert!(orphaned(PATH, Some("glob!(…)"), Some(false)).is_some());
    }
}
