//! Compares the crates as they are with the tables.

use std::collections::BTreeSet;

use super::{BANS, FENCES, TABLE, TEST_ONLY};

/// A crate of the workspace as its manifest describes it.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) edges: Vec<Edge>,
}

/// A line under `[dependencies]`, `[build-dependencies]` or `[dev-dependencies]`.
pub(super) struct Edge {
    pub(super) to: String,
    pub(super) ours: bool,
    pub(super) kind: EdgeKind,
}

/// When a dependency is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EdgeKind {
    /// In what we ship, or in making it.
    Normal,
    /// In tests and examples only.
    Test,
}

/// One sentence for everything that is not as the tables say.
pub(super) fn findings(members: &[Member]) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        own_edges(member, members, &mut findings);
        fences(member, &mut findings);
    }
    for row in TABLE {
        if !members.iter().any(|member| member.name == row.name) {
            findings
                .push(format!("the table has a row for `{}`, which is no crate of the workspace", row.name));
        }
    }
    findings
}

fn own_edges(member: &Member, members: &[Member], findings: &mut Vec<String>) {
    let name = &member.name;
    let Some(row) = TABLE.iter().find(|row| row.name == *name) else {
        findings.push(format!("`{name}` has no row in the table; say what it may use"));
        return;
    };
    for edge in member.edges.iter().filter(|edge| edge.ours) {
        let to = edge.to.as_str();
        match edge.kind {
            EdgeKind::Normal if to == TEST_ONLY => {
                findings.push(format!("`{name}` ships `{to}`, which is for tests only"));
            }
            EdgeKind::Normal if !row.may_use.contains(&to) => {
                findings.push(format!("`{name}` must not use `{to}`"));
            }
            EdgeKind::Test if reaches(members, to, name) => {
                findings.push(format!(
                    "`{name}` uses `{to}` in its tests, and `{to}` is built on `{name}`: \
                     that test belongs to `{to}` or above it"
                ));
            }
            EdgeKind::Normal | EdgeKind::Test => {}
        }
    }
}

fn fences(member: &Member, findings: &mut Vec<String>) {
    let name = member.name.as_str();
    for edge in member.edges.iter().filter(|edge| !edge.ours) {
        let to = edge.to.as_str();
        for fence in FENCES.iter().filter(|fence| fence.dependencies.contains(&to)) {
            let allowed = fence.users.contains(&name)
                || (edge.kind == EdgeKind::Test && fence.in_tests.contains(&name));
            if !allowed {
                findings.push(format!("`{name}` must not use `{to}`: {}", fence.because));
            }
        }
        for ban in BANS.iter().filter(|ban| ban.name == name && ban.dependencies.contains(&to)) {
            if edge.kind == EdgeKind::Normal {
                findings.push(format!("`{name}` must not use `{to}`: {}", ban.because));
            }
        }
    }
}

/// Whether `from` is, or is built on, `to`.
fn reaches(members: &[Member], from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if !seen.insert(name) {
            continue;
        }
        let edges = members.iter().filter(|member| member.name == name).flat_map(|member| &member.edges);
        open.extend(
            edges.filter(|edge| edge.ours && edge.kind == EdgeKind::Normal).map(|edge| edge.to.as_str()),
        );
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates_as_in_the_table() -> Vec<Member> {
        let member = |row: &super::super::Row| Member {
            name: row.name.to_owned(),
            edges: row.may_use.iter().map(|to| ours(to, EdgeKind::Normal)).collect(),
        };
        TABLE.iter().map(member).collect()
    }

    fn ours(to: &str, kind: EdgeKind) -> Edge {
        Edge { to: to.to_owned(), ours: true, kind }
    }

    fn foreign(to: &str, kind: EdgeKind) -> Edge {
        Edge { to: to.to_owned(), ours: false, kind }
    }

    /// What is found when `name` has one more dependency.
    fn found_with(name: &str, edge: Edge) -> Vec<String> {
        let mut members = crates_as_in_the_table();
        members.iter_mut().find(|member| member.name == name).unwrap().edges.push(edge);
        findings(&members)
    }

    #[test]
    fn the_table_itself_is_in_order() {
        assert_eq!(findings(&crates_as_in_the_table()), Vec::<String>::new());
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_refused() {
        let found = found_with("chat", ours("retrieval", EdgeKind::Normal));

        assert_eq!(found, ["`chat` must not use `retrieval`"]);
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        let mut members = crates_as_in_the_table();
        members.push(Member { name: "telepathy".to_owned(), edges: Vec::new() });

        assert_eq!(findings(&members), ["`telepathy` has no row in the table; say what it may use"]);
    }

    #[test]
    fn a_row_without_a_crate_is_refused() {
        let mut members = crates_as_in_the_table();
        members.retain(|member| member.name != "ollama");

        let expected = "the table has a row for `ollama`, which is no crate of the workspace";
        assert_eq!(findings(&members), [expected]);
    }

    #[test]
    fn nothing_ships_the_scripted_peers_and_every_test_may_use_them() {
        assert_eq!(found_with("upstream", ours(TEST_ONLY, EdgeKind::Test)), Vec::<String>::new());

        let found = found_with("upstream", ours(TEST_ONLY, EdgeKind::Normal));

        assert_eq!(found, ["`upstream` ships `testkit`, which is for tests only"]);
    }

    #[test]
    fn a_test_may_look_sideways_but_not_up() {
        assert_eq!(found_with("api", ours("store", EdgeKind::Test)), Vec::<String>::new());

        let found = found_with("knowledge", ours("store", EdgeKind::Test));

        assert_eq!(found.len(), 1);
        assert!(found[0].contains("`store` is built on `knowledge`"), "{found:?}");
    }

    #[test]
    fn what_is_fenced_stays_with_its_users_even_in_tests() {
        for (name, dependency) in [("chat", "hyper"), ("api", "rusqlite"), ("ingest", "tantivy")] {
            for kind in [EdgeKind::Normal, EdgeKind::Test] {
                let found = found_with(name, foreign(dependency, kind));

                assert!(
                    found[0].starts_with(&format!("`{name}` must not use `{dependency}`: ")),
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn some_of_what_is_fenced_may_be_used_in_tests() {
        let found = found_with("middleware", foreign("tracing-subscriber", EdgeKind::Test));
        assert_eq!(found, Vec::<String>::new());

        assert_eq!(found_with("middleware", foreign("tracing-subscriber", EdgeKind::Normal)).len(), 1);
    }

    #[test]
    fn what_a_crate_must_not_know_it_may_use_in_tests() {
        assert_eq!(found_with("wire", foreign("tokio", EdgeKind::Normal)).len(), 1);

        assert_eq!(found_with("wire", foreign("tokio", EdgeKind::Test)), Vec::<String>::new());
    }
}
