//! Everything a change must pass, in the order in which it fails soonest.
//!
//! All steps that compile select the same packages and features (`--workspace --all-features`).
//! Cargo unifies features over what it is asked to build, so a step with a narrower selection,
//! such as `cargo run -p breezeway --example nest`, would compile many dependencies a second time.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use xshell::{Shell, cmd};

use crate::{layers, openapi, tidy, workspace};

/// An example is a few calls over loopback; one that runs longer hangs.
const EXAMPLE_DEADLINE: Duration = Duration::from_secs(120);

/// Check everything a change must pass.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The steps to take; without a word all of them, in this order.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting.
    Fmt,
    /// Lints; a warning is an error.
    Clippy,
    /// Which crate may use which.
    Layers,
    /// File length, snapshots, links, migrations and the like.
    Tidy,
    /// The committed OpenAPI document is the one the code makes.
    Openapi,
    /// Documentation builds without a warning.
    Docs,
    /// Tests, documentation examples and the facade's examples.
    Test,
}

impl Args {
    pub(crate) fn run(&self, sh: &Shell) -> anyhow::Result<()> {
        let steps = if self.steps.is_empty() { Step::value_variants() } else { &self.steps };
        let started = Instant::now();
        let mut passed = Vec::new();
        for step in steps {
            println!("\n──── {} ────", step.name());
            let began = Instant::now();
            step.run(sh).with_context(|| format!("`{}` failed; {}", step.name(), step.remedy()))?;
            passed.push(format!("  {:<8} {}", step.name(), seconds(began.elapsed())));
        }
        println!("\n──── passed in {} ────\n{}", seconds(started.elapsed()), passed.join("\n"));
        Ok(())
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Layers => "layers",
            Self::Tidy => "tidy",
            Self::Openapi => "openapi",
            Self::Docs => "docs",
            Self::Test => "test",
        }
    }

    /// What to type next.
    fn remedy(self) -> String {
        match self {
            Self::Fmt => "repair it with `cargo fmt --all`".to_owned(),
            Self::Openapi => "repair it with `cargo xtask openapi export`".to_owned(),
            Self::Layers | Self::Tidy => format!("repeat it with `cargo xtask {}`", self.name()),
            _ => format!("repeat it with `cargo xtask ci {}`", self.name()),
        }
    }

    fn run(self, sh: &Shell) -> anyhow::Result<()> {
        match self {
            Self::Fmt => cargo(sh, &["fmt", "--all", "--check"], &[]),
            Self::Clippy => {
                cargo(sh, &["clippy", "--workspace", "--all-targets", "--all-features"], &["-D", "warnings"])
            }
            Self::Layers => layers::Args {}.run(sh),
            Self::Tidy => tidy::Args::default().run(sh),
            Self::Openapi => openapi::check(sh),
            Self::Docs => docs(sh),
            Self::Test => test(sh),
        }
    }
}

/// Runs cargo with `arguments`, and `passed_on` after a double dash.
fn cargo(sh: &Shell, arguments: &[&str], passed_on: &[&str]) -> anyhow::Result<()> {
    let dashes: &[&str] = if passed_on.is_empty() { &[] } else { &["--"] };
    workspace::outside_of_xtask(cmd!(sh, "cargo {arguments...} {dashes...} {passed_on...}")).run()?;
    Ok(())
}

fn docs(sh: &Shell) -> anyhow::Result<()> {
    let command = cmd!(sh, "cargo doc --workspace --all-features --no-deps");
    workspace::outside_of_xtask(command).env("RUSTDOCFLAGS", "-Dwarnings").run()?;
    Ok(())
}

fn test(sh: &Shell) -> anyhow::Result<()> {
    let nextest = cmd!(sh, "cargo nextest --version").quiet().ignore_stdout().ignore_stderr().run();
    if nextest.is_ok() {
        cargo(sh, &["nextest", "run", "--workspace", "--all-features"], &[])?;
    } else {
        // The same tests, a crate after the other and without time limits: enough for a first look.
        println!(
            "cargo-nextest is not installed (`cargo install cargo-nextest --locked`); `cargo test` runs the tests"
        );
        cargo(sh, &["test", "--workspace", "--all-features", "--lib", "--bins", "--tests"], &[])?;
    }
    cargo(sh, &["test", "--doc", "--workspace", "--all-features"], &[])?;
    cargo(sh, &["build", "--workspace", "--all-features", "--examples"], &[])?;
    run_facade_examples()
}

/// Runs what was just built of `crates/breezeway/examples`: the promises of that crate's
/// documentation, each as a program that fails when the promise is broken.
fn run_facade_examples() -> anyhow::Result<()> {
    let built = examples_folder()?;
    let names = facade_examples()?;
    ensure!(!names.is_empty(), "`crates/breezeway/examples` has no example to run");
    for name in names {
        println!("$ {name} (example of crates/breezeway)");
        run_bounded(&built.join(&name)).with_context(|| format!("the example `{name}` failed"))?;
    }
    Ok(())
}

/// Where cargo puts the examples it builds.
pub(crate) fn examples_folder() -> anyhow::Result<PathBuf> {
    let target = workspace::metadata()?.target_directory;
    Ok(target.into_std_path_buf().join("debug/examples"))
}

fn facade_examples() -> anyhow::Result<Vec<String>> {
    let folder = workspace::root().join("crates/breezeway/examples");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn run_bounded(program: &PathBuf) -> anyhow::Result<()> {
    let mut child = Command::new(program).current_dir(workspace::root()).spawn()?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "it ended with {status}");
            return Ok(());
        }
        if began.elapsed() > EXAMPLE_DEADLINE {
            child.kill()?;
            child.wait()?;
            bail!("it was still running after {}", seconds(EXAMPLE_DEADLINE));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_called_by_the_word_one_types() {
        for step in Step::value_variants() {
            let typed = step.to_possible_value().unwrap();

            assert_eq!(typed.get_name(), step.name());
        }
    }

    #[test]
    fn every_failure_says_what_to_type_next() {
        for step in Step::value_variants() {
            assert!(step.remedy().contains("`cargo "), "{step:?}");
        }
    }
}
