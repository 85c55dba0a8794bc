//! Where the project is, which files it has, and how cargo is called from inside cargo.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use cargo_metadata::{Metadata, MetadataCommand};
use xshell::Cmd;

/// Folders that hold nothing anyone wrote.
const SKIPPED: &[&str] = &[".git", "target", "data"];

/// The project's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lives in a folder of the root")
}

/// What the manifests of the workspace say, without resolving anybody else's.
pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot read the workspace's manifests")
}

/// A file of the project.
pub(crate) struct SourceFile {
    /// Its path from the root, with forward slashes.
    pub(crate) path: String,
    /// Where it really is.
    pub(crate) location: PathBuf,
}

impl SourceFile {
    /// Its text, or nothing if it is not text.
    pub(crate) fn text(&self) -> anyhow::Result<Option<String>> {
        let bytes = fs::read(&self.location).with_context(|| format!("cannot read `{}`", self.path))?;
        Ok(String::from_utf8(bytes).ok())
    }
}

/// Every file of the project, in order of its path.
///
/// The folders are walked instead of asking git, so that an exported tree can be checked too.
pub(crate) fn files() -> anyhow::Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    walk(root(), "", &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !(prefix.is_empty() && SKIPPED.contains(&name.as_str())) {
                walk(&entry.path(), &format!("{prefix}{name}/"), found)?;
            }
        } else if kind.is_file() {
            found.push(SourceFile { path: format!("{prefix}{name}"), location: entry.path() });
        }
    }
    Ok(())
}

/// `command` without what cargo told this process about the package `xtask`.
///
/// Build scripts ask to run again when such a variable changes (ring's does, for its version and
/// its folder), so passing them on would rebuild half of the tree each time one goes back and
/// forth between `cargo xtask` and plain `cargo`.
pub(crate) fn outside_of_xtask(command: Cmd<'_>) -> Cmd<'_> {
    std::env::vars_os().fold(command, |command, (name, _)| {
        let own = name.to_str().is_some_and(is_about_this_package);
        if own { command.env_remove(name) } else { command }
    })
}

fn is_about_this_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_")
        || variable.starts_with("CARGO_MANIFEST_")
        || matches!(variable, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_person_reach_the_inner_cargo_and_facts_about_xtask_do_not() {
        for kept in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "RUSTUP_TOOLCHAIN"] {
            assert!(!is_about_this_package(kept), "{kept}");
        }

        for dropped in ["CARGO_PKG_VERSION_MAJOR", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_LINKS"] {
            assert!(is_about_this_package(dropped), "{dropped}");
        }
    }

    #[test]
    fn the_walk_finds_manifests_and_leaves_build_output_alone() {
        let paths: Vec<String> = files().unwrap().into_iter().map(|file| file.path).collect();

        assert!(paths.contains(&"xtask/Cargo.toml".to_owned()));
        assert!(!paths.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")));
    }
}
