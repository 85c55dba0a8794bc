//! Which crate may use which, and which crates alone may use something foreign.
//!
//! Arrows between our crates point down. A new edge is a decision: it goes into the table in a
//! commit of its own, with the reason (see `CONTRIBUTING.md`). The same fences stand in
//! `deny.toml`, where cargo-deny also looks at what our dependencies bring.

mod check;
mod environment;

use std::collections::BTreeSet;

use anyhow::bail;
use cargo_metadata::DependencyKind;
use xshell::Shell;

use self::check::{Edge, EdgeKind, Member};
use crate::workspace;

/// Check every edge between our crates, and the fences, against the table.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// One of our crates and what it may use of ours.
struct Row {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// Something foreign that only some of our crates may use.
struct Fence {
    dependencies: &'static [&'static str],
    users: &'static [&'static str],
    /// Further crates that may use it in tests and examples.
    in_tests: &'static [&'static str],
    because: &'static str,
}

/// Something foreign that one of our crates must not know.
struct Ban {
    name: &'static str,
    dependencies: &'static [&'static str],
    because: &'static str,
}

/// The scripted peers: a dev-dependency wherever it is one.
const TEST_ONLY: &str = "testkit";

/// Every crate, lowest layer first, by its package name without `breezeway-`.
const TABLE: &[Row] = &[
    // Words.
    Row { name: "core", may_use: &[] },
    Row { name: "wire", may_use: &["core"] },
    // Nouns.
    Row { name: "auth", may_use: &["core"] },
    // What an answer took is read off its bytes.
    Row { name: "usage", may_use: &["core", "wire"] },
    Row { name: "registry", may_use: &["core", "wire"] },
    Row { name: "embedding", may_use: &["core"] },
    // A chunk is stored beside its vector, which is a word of `embedding`.
    Row { name: "knowledge", may_use: &["core", "embedding"] },
    // Verbs. None of them knows another.
    Row { name: "ingest", may_use: &["core", "knowledge", "embedding"] },
    Row { name: "retrieval", may_use: &["core", "knowledge", "embedding"] },
    Row { name: "chat", may_use: &["core", "wire", "usage", "registry"] },
    // Adapters: each knows the crates whose ports it implements.
    Row { name: "store", may_use: &["core", "auth", "usage", "registry", "embedding", "knowledge", "chat"] },
    Row { name: "upstream", may_use: &["core", "wire", "registry", "embedding"] },
    Row { name: "ollama", may_use: &["core", "wire", "usage", "registry", "embedding", "upstream"] },
    // People are sent to a provider through `upstream`'s client; the port is `auth`'s.
    Row { name: "oidc", may_use: &["core", "auth", "upstream"] },
    Row { name: "embedding-fastembed", may_use: &["core", "embedding"] },
    // Tool servers are called through `upstream`'s client; the port is `chat`'s.
    Row { name: "tools", may_use: &["core", "wire", "registry", "chat", "upstream"] },
    // Delivery.
    Row { name: "middleware", may_use: &["core", "auth", "usage"] },
    Row {
        name: "api",
        may_use: &[
            "core",
            "wire",
            "auth",
            "usage",
            "registry",
            "embedding",
            "knowledge",
            "ingest",
            "retrieval",
            "chat",
            "ollama",
            // What a tool server is: admins configure them over HTTP.
            "tools",
            "middleware",
        ],
    },
    // Composition.
    Row {
        name: "breezeway",
        may_use: &[
            "core",
            "wire",
            "auth",
            "usage",
            "registry",
            "embedding",
            "knowledge",
            "ingest",
            "retrieval",
            "chat",
            "store",
            "upstream",
            "ollama",
            "oidc",
            "tools",
            "embedding-fastembed",
            "middleware",
            "api",
        ],
    },
    Row { name: "server", may_use: &["breezeway"] },
    // Tools.
    Row { name: TEST_ONLY, may_use: &[] },
    Row { name: "xtask", may_use: &[] },
];

const FENCES: &[Fence] = &[
    Fence {
        dependencies: &["axum", "axum-core"],
        users: &["api", "breezeway"],
        in_tests: &[],
        because: "routes are written in `api` and put under one stack in the facade, which shows a tower service",
    },
    Fence {
        dependencies: &["utoipa", "utoipa-axum", "utoipa-swagger-ui"],
        users: &["api"],
        in_tests: &[],
        because: "a route and its description stand in the same place",
    },
    Fence {
        dependencies: &["hyper", "hyper-util"],
        users: &["upstream", "ollama", "server", TEST_ONLY],
        in_tests: &[],
        because: "connections are made in the two HTTP adapters and accepted in the binary",
    },
    Fence {
        dependencies: &["hyper-rustls", "rustls"],
        users: &["upstream"],
        in_tests: &[],
        because: "one client decides about trust and ciphers",
    },
    Fence {
        dependencies: &["http", "http-body", "http-body-util", "tower", "tower-http", "multer"],
        users: &[
            "upstream",
            "ollama",
            "oidc",
            "tools",
            "middleware",
            "api",
            "breezeway",
            "server",
            TEST_ONLY,
        ],
        in_tests: &[],
        because: "no status and no header exists below the adapters",
    },
    Fence {
        dependencies: &["openidconnect", "chrono"],
        users: &["oidc"],
        in_tests: &[],
        because: "what a provider says is verified in one crate",
    },
    Fence {
        dependencies: &["rusqlite", "libsqlite3-sys"],
        users: &["store"],
        in_tests: &[],
        because: "SQL is written in one crate",
    },
    Fence {
        dependencies: &["tantivy", "roaring"],
        users: &["retrieval"],
        in_tests: &[],
        because: "the index is a cache that `retrieval` alone keeps",
    },
    Fence {
        dependencies: &["fastembed", "ort"],
        users: &["embedding-fastembed"],
        in_tests: &[],
        because: "a heavy dependency stays in the crate that needs it",
    },
    Fence {
        dependencies: &["clap", "anyhow"],
        users: &["server", "xtask"],
        in_tests: &[],
        because: "libraries take a plain configuration and return their own errors",
    },
    Fence {
        dependencies: &["tracing-subscriber"],
        users: &["server"],
        // A test that reads the lines a layer writes.
        in_tests: &["middleware"],
        because: "only the binary decides where log lines go",
    },
];

const BANS: &[Ban] = &[
    Ban {
        name: "core",
        dependencies: &["serde", "serde_json", "futures-util"],
        because: "the words every crate shares have no wire shape",
    },
    Ban {
        name: "wire",
        dependencies: &["tokio", "async-trait", "futures-util"],
        because: "its conversions are pure functions over values and bytes",
    },
];

impl Args {
    pub(crate) fn run(&self, _sh: &Shell) -> anyhow::Result<()> {
        let members = members()?;
        let mut findings = check::findings(&members);
        findings.extend(environment::findings(&workspace::files()?)?);
        for finding in &findings {
            eprintln!("layers: {finding}");
        }
        if !findings.is_empty() {
            bail!(
                "{} against the layers; a change of the table in `xtask/src/layers.rs` is a decision, \
                 made in a commit of its own with the reason",
                counted(findings.len())
            );
        }
        let edges: usize = members.iter().map(|member| member.edges.len()).sum();
        println!("layers: {} crates and {edges} dependencies are as the table says", members.len());
        Ok(())
    }
}

fn counted(findings: usize) -> String {
    if findings == 1 { "1 finding".to_owned() } else { format!("{findings} findings") }
}

/// The workspace as its manifests describe it.
fn members() -> anyhow::Result<Vec<Member>> {
    let metadata = workspace::metadata()?;
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<String> = packages.iter().map(|package| package.name.to_string()).collect();
    let members = packages.iter().map(|package| {
        let edges = package.dependencies.iter().map(|dependency| Edge {
            to: if ours.contains(&dependency.name) {
                short(&dependency.name)
            } else {
                dependency.name.clone()
            },
            ours: ours.contains(&dependency.name),
            kind: match dependency.kind {
                DependencyKind::Development => EdgeKind::Test,
                _ => EdgeKind::Normal,
            },
        });
        Member { name: short(&package.name), edges: edges.collect() }
    });
    Ok(members.collect())
}

fn short(package: &str) -> String {
    package.strip_prefix("breezeway-").unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_as_the_table_says() {
        let findings = check::findings(&members().unwrap());

        assert_eq!(findings, Vec::<String>::new());
    }

    #[test]
    fn a_row_uses_only_rows_above_it() {
        for (index, row) in TABLE.iter().enumerate() {
            for used in row.may_use {
                assert!(TABLE[..index].iter().any(|lower| lower.name == *used), "{} uses {used}", row.name);
            }
        }
    }

    #[test]
    fn fences_and_bans_name_crates_of_the_table() {
        let fenced = FENCES.iter().flat_map(|fence| fence.users.iter().chain(fence.in_tests));
        let banned = BANS.iter().map(|ban| &ban.name);

        for name in fenced.chain(banned) {
            assert!(TABLE.iter().any(|row| row.name == *name), "{name}");
        }
    }
}
