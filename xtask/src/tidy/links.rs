//! Relative links in Markdown lead somewhere.

use std::path::Path;

use super::Finding;
use crate::workspace::{self, SourceFile};

/// Follows every relative link of every Markdown file but fixtures.
pub(super) fn check(files: &[SourceFile], findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    for file in files.iter().filter(|file| file.path.ends_with(".md") && !file.path.starts_with("fixtures/"))
    {
        let text = file.text()?.unwrap_or_default();
        // A crate's README is its documentation too, where a link may name an item.
        let documents_items = file.path.starts_with("crates/");
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (line, target) in links(&text) {
            let path = target.split('#').next().unwrap_or_default();
            let is_item = documents_items && !path.contains(['/', '.']) || path.contains("::");
            if path.is_empty() || is_elsewhere(path) || is_item {
                continue;
            }
            if !workspace::root().join(folder).join(path).exists() {
                findings.push(Finding::line(
                    &file.path,
                    line,
                    format!("the link to `{target}` leads nowhere"),
                ));
            }
        }
    }
    Ok(())
}

fn is_elsewhere(path: &str) -> bool {
    path.contains("://") || path.starts_with("mailto:")
}

/// The targets of links and images outside of code, with their lines.
fn links(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            in_code = !in_code;
        } else if !in_code {
            found.extend(links_of_line(line).into_iter().map(|target| (index + 1, target)));
        }
    }
    found
}

fn links_of_line(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    if let Some((label, target)) = line.split_once("]: ")
        && label.starts_with('[')
    {
        found.extend(target.split_whitespace().next());
    }
    // Every second piece between backticks is code.
    let mut outside = 0;
    let mut code = false;
    for (at, _) in line.match_indices('`').chain([(line.len(), "")]) {
        if !code {
            outside_of_code(line, outside..at, &mut found);
        }
        outside = at + 1;
        code = !code;
    }
    found
}

/// Links whose `](` stands in `range`; the target itself is read from the whole line.
fn outside_of_code<'a>(line: &'a str, range: std::ops::Range<usize>, found: &mut Vec<&'a str>) {
    let start = range.start;
    // `[`code`](target)`: the bracket directly follows the backtick, inside this range.
    for (at, mark) in line[range].match_indices("](") {
        let target = &line[start + at + mark.len()..];
        if let Some(end) = target.find(')') {
            found.extend(target[..end].split_whitespace().next());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(markdown: &str) -> Vec<&str> {
        links(markdown).into_iter().map(|(_, target)| target).collect()
    }

    #[test]
    fn links_images_and_definitions_are_found() {
        let text = "See [a](docs/a.md#part), ![b](b.png \"title\") and [`c`](c.rs).\n\n[d]: d.md\n";

        assert_eq!(targets(text), ["docs/a.md#part", "b.png", "c.rs", "d.md"]);
    }

    #[test]
    fn code_holds_no_links() {
        let text = "`[a](b)` and `x[0](y)`\n```text\n[c](d)\n```\n[e](f.md)\n";

        assert_eq!(targets(text), ["f.md"]);
    }

    #[test]
    fn a_link_is_told_with_its_line() {
        assert_eq!(links("one\n[two](2.md)\n"), [(2, "2.md")]);
    }
}
