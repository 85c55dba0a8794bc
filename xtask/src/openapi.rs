//! The OpenAPI document: written from the code, checked against it, compared with Open WebUI's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{ci, workspace};

const DOCUMENT: &str = "docs/openapi.json";
const REFERENCE: &str = "fixtures/compat/openapi-reference-operations.txt";
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Write, check or compare the OpenAPI document.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to do with it.
    action: Action,
}

#[derive(Clone, Copy, ValueEnum)]
enum Action {
    /// Write `docs/openapi.json`.
    Export,
    /// Fail if `docs/openapi.json` is not what the code says.
    Check,
    /// Show which operations of Open WebUI are there and which are missing.
    Parity,
}

impl Args {
    pub(crate) fn run(&self, sh: &Shell) -> anyhow::Result<()> {
        match self.action {
            Action::Export => export(sh),
            Action::Check => check(sh),
            Action::Parity => parity(sh),
        }
    }
}

fn export(sh: &Shell) -> anyhow::Result<()> {
    let document = printed(&document(sh)?)?;
    sh.write_file(DOCUMENT, &document)?;
    println!("wrote `{DOCUMENT}`");
    Ok(())
}

/// Fails unless the committed document is what the code says.
pub(crate) fn check(sh: &Shell) -> anyhow::Result<()> {
    let wanted = printed(&document(sh)?)?;
    let committed = if sh.path_exists(DOCUMENT) { sh.read_file(DOCUMENT)? } else { String::new() };
    if committed == wanted {
        return Ok(());
    }
    let place = match first_difference(&committed, &wanted) {
        Some(line) => format!("from line {line} on "),
        None => String::new(),
    };
    bail!("`{DOCUMENT}` is {place}not what the code says; write it anew with `cargo xtask openapi export`")
}

fn first_difference(committed: &str, wanted: &str) -> Option<usize> {
    committed.lines().zip(wanted.lines()).position(|(a, b)| a != b).map(|index| index + 1)
}

/// The document, from the example of `breezeway-api` that prints it.
///
/// The example is built with the selection of `cargo xtask ci`, so the two share their build.
fn document(sh: &Shell) -> anyhow::Result<Value> {
    let build = cmd!(sh, "cargo build --quiet --workspace --all-features --example openapi");
    workspace::outside_of_xtask(build).run()?;
    let example = ci::examples_folder()?.join("openapi");
    let text = cmd!(sh, "{example}").quiet().read()?;
    serde_json::from_str(&text).context("the example `openapi` printed something that is not JSON")
}

fn printed(document: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

fn parity(sh: &Shell) -> anyhow::Result<()> {
    let reference = sh.read_file(REFERENCE)?;
    let wanted = reference.lines().filter_map(Operation::parse).collect();
    let served = operations(&document(sh)?);
    print!("{}", report(&wanted, &served));
    Ok(())
}

/// A method and a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    path: String,
    method: String,
}

impl Operation {
    /// From `METHOD /path`; nothing for an empty line or a comment.
    fn parse(line: &str) -> Option<Self> {
        let (method, path) = line.trim().split_once(' ')?;
        let path = path.trim();
        path.starts_with('/').then(|| Self { path: path.to_owned(), method: method.to_ascii_uppercase() })
    }

    /// The operation as both servers route it: parameters by place and not by name, and a slash
    /// at the end makes no difference.
    fn routed(&self) -> Self {
        let segments = self.path.trim_end_matches('/').split('/');
        let path = segments.map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>();
        Self { path: path.join("/"), method: self.method.clone() }
    }

    /// The first segment that tells operations apart, with the prefix before it.
    fn group(&self) -> String {
        let mut group = String::new();
        for segment in self.path.split('/').skip(1) {
            let _ = write!(group, "/{segment}");
            if !matches!(segment, "api" | "v1") {
                break;
            }
        }
        group
    }
}

fn operations(document: &Value) -> BTreeSet<Operation> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten().map(|(method, _)| method);
            methods
                .filter(|method| METHODS.contains(&method.as_str()))
                .map(|method| Operation { path: path.clone(), method: method.to_ascii_uppercase() })
        })
        .collect()
}

fn report(wanted: &BTreeSet<Operation>, served: &BTreeSet<Operation>) -> String {
    let routed: BTreeSet<Operation> = served.iter().map(Operation::routed).collect();
    let mut groups: BTreeMap<String, (usize, Vec<&Operation>)> = BTreeMap::new();
    for operation in wanted {
        let (there, missing) = groups.entry(operation.group()).or_default();
        if routed.contains(&operation.routed()) {
            *there += 1;
        } else {
            missing.push(operation);
        }
    }
    let known: BTreeSet<Operation> = wanted.iter().map(Operation::routed).collect();
    let own = served.iter().filter(|operation| !known.contains(&operation.routed())).count();

    let mut text = format!("{:<32} {:>5} {:>8}\n", "group", "there", "missing");
    for (group, (there, missing)) in &groups {
        let _ = writeln!(text, "{group:<32} {there:>5} {:>8}", missing.len());
        for operation in missing {
            let _ = writeln!(text, "    {:<6} {}", operation.method, operation.path);
        }
    }
    let there: usize = groups.values().map(|(there, _)| there).sum();
    let _ = writeln!(text, "{there} of {} operations are there; {own} more are our own.", wanted.len());
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(lines: &[&str]) -> BTreeSet<Operation> {
        lines.iter().filter_map(|line| Operation::parse(line)).collect()
    }

    #[test]
    fn a_parameter_counts_by_its_place_and_a_final_slash_not_at_all() {
        let wanted = set(&["GET /api/v1/files/{id}", "POST /api/v1/files/"]);
        let served = set(&["GET /api/v1/files/{file_id}", "POST /api/v1/files"]);

        let text = report(&wanted, &served);

        assert!(text.ends_with("2 of 2 operations are there; 0 more are our own.\n"), "{text}");
    }

    #[test]
    fn what_is_missing_is_listed_under_its_group() {
        let wanted = set(&["GET /api/v1/files/{id}", "DELETE /api/v1/files/{id}", "GET /ollama/api/tags"]);
        let served = set(&["GET /api/v1/files/{id}", "GET /ollama/api/tags", "GET /doctor"]);

        let text = report(&wanted, &served);

        let expected = "\
group                            there  missing
/api/v1/files                        1        1
    DELETE /api/v1/files/{id}
/ollama                              1        0
2 of 3 operations are there; 1 more are our own.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn only_methods_of_a_path_are_operations() {
        let document = json!({"paths": {"/health": {"get": {}, "parameters": [], "summary": "x"}}});

        assert_eq!(operations(&document), set(&["GET /health"]));
    }

    #[test]
    fn the_reference_list_has_nothing_but_operations() {
        let text = std::fs::read_to_string(workspace::root().join(REFERENCE)).unwrap();

        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let operation = Operation::parse(line).unwrap();
            assert!(METHODS.contains(&operation.method.to_ascii_lowercase().as_str()), "{line}");
        }
    }
}
