//! `cargo xtask eval`: the judged collections, and the floors that the search must not fall below.
//!
//! It runs `breezeway eval`, the search that answers chats. Without a model words alone are judged, which
//! takes seconds and needs nothing; with `--model FOLDER` both legs and their fusion are.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

/// Judge the search on collections of judged questions.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the collections are, a folder each.
    #[arg(long)]
    data: PathBuf,
    /// The folder of the local embedding model; without it words alone are judged.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Keep vectors in this file between runs.
    #[arg(long, default_value = "target/eval-vectors.bin")]
    vectors: PathBuf,
    /// Judge these collections instead of those with floors.
    collections: Vec<String>,
}

/// The least nDCG@10 that a collection may have: words alone, and fused with all-MiniLM-L6-v2. `None`
/// where it has no floor of its own.
const FLOORS: [(&str, Option<f64>, Option<f64>); 12] = [
    ("cranfield", Some(0.36), Some(0.41)),
    ("med", Some(0.69), Some(0.79)),
    ("xquad-zh", Some(0.97), None),
    ("cacm", None, None),
    ("npl", None, None),
    ("xquad-en", None, None),
    ("financebench-a", None, None),
    ("cosqa-dev", None, None),
    ("nq-gold-a", None, None),
    ("xquad-de", None, None),
    ("xquad-ru", None, None),
    ("xquad-ar", None, None),
];

/// The least mean over the English collections, and over the others, fused.
const ENGLISH: f64 = 0.711;
const OTHERS: f64 = 0.92;
const NOT_ENGLISH: [&str; 4] = ["xquad-zh", "xquad-de", "xquad-ru", "xquad-ar"];

impl Args {
    pub(crate) fn run(&self, sh: &Shell) -> anyhow::Result<()> {
        let names: Vec<&str> = match (self.collections.is_empty(), &self.model) {
            (false, _) => self.collections.iter().map(String::as_str).collect(),
            (true, Some(_)) => FLOORS.iter().map(|floor| floor.0).collect(),
            (true, None) => FLOORS.iter().filter(|floor| floor.1.is_some()).map(|floor| floor.0).collect(),
        };
        let folders: Vec<PathBuf> = names.iter().map(|name| self.data.join(name)).collect();
        let scratch = sh.create_temp_dir()?;
        let data = scratch.path();
        let vectors = &self.vectors;
        let judged = match &self.model {
            Some(model) => cmd!(
                sh,
                "cargo run --quiet --package breezeway-server -- eval --data-dir {data} --json --vectors {vectors} {folders...}"
            )
            .env("RAG_EMBEDDING_MODEL", model)
            .env("OFFLINE_MODE", "true"),
            None => cmd!(
                sh,
                "cargo run --quiet --package breezeway-server -- eval --data-dir {data} --json --words {folders...}"
            ),
        };
        report(&judged.read()?, self.model.is_some(), self.collections.is_empty())
    }
}

fn report(lines: &str, is_fused: bool, is_whole: bool) -> anyhow::Result<()> {
    let (mut faults, mut english, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines.lines() {
        let row: Value = serde_json::from_str(line).context("`breezeway eval` answered with no JSON")?;
        let (Some(name), Some(ndcg)) = (row["collection"].as_str(), row["ndcg@10"].as_f64()) else {
            continue;
        };
        println!("{name:16} nDCG@10 {ndcg:.4}  total p50 {} ms", row["times"]["total"]["p50_ms"]);
        let floor = FLOORS.iter().find(|floor| floor.0 == name);
        let floor = floor.and_then(|floor| if is_fused { floor.2 } else { floor.1 });
        if let Some(floor) = floor.filter(|floor| ndcg < *floor) {
            faults.push(format!("{name}: {ndcg:.4} is below {floor}"));
        }
        if NOT_ENGLISH.contains(&name) { others.push(ndcg) } else { english.push(ndcg) }
    }
    if is_fused && is_whole {
        for (what, scores, floor) in [("English", english, ENGLISH), ("other languages", others, OTHERS)] {
            let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
            println!("{what:16} mean    {mean:.4}");
            if mean < floor {
                faults.push(format!("{what}: a mean of {mean:.4} is below {floor}"));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_below_its_floor_fails() {
        let row = |ndcg: f64| format!(r#"{{"collection": "med", "ndcg@10": {ndcg}, "times": {{}}}}"#);

        assert!(report(&row(0.70), false, false).is_ok());
        assert!(report(&row(0.70), true, false).is_err());
        assert!(report(&row(0.68), false, false).is_err());
    }
}
