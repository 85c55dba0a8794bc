//! What neither the compiler nor clippy says about a tree of files.

mod length;
mod links;
mod migrations;
mod snapshots;
mod text;

use anyhow::bail;
use xshell::Shell;

use crate::workspace;

/// Check file length, snapshots, links, released migrations and the like.
#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// Seal every migration as it is now; part of making a release.
    #[arg(long)]
    seal_migrations: bool,
}

/// Something that is not tidy, and where.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// The line, counted from one; none for the file as a whole.
    line: Option<usize>,
    what: String,
}

impl Finding {
    fn file(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into() }
    }

    fn line(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), what: what.into() }
    }

    fn print(&self, level: &str) {
        match self.line {
            Some(line) => eprintln!("{level}: {}:{line}: {}", self.path, self.what),
            None => eprintln!("{level}: {}: {}", self.path, self.what),
        }
    }
}

impl Args {
    pub(crate) fn run(&self, _sh: &Shell) -> anyhow::Result<()> {
        let files = workspace::files()?;
        if self.seal_migrations {
            return migrations::seal(&files);
        }

        let mut findings = Vec::new();
        let mut warnings = Vec::new();
        for file in &files {
            let Some(text) = file.text()? else { continue };
            text::check(&file.path, &text, &mut findings);
            length::check(&file.path, &text, &mut findings, &mut warnings);
        }
        length::check_table(&files, &mut findings);
        links::check(&files, &mut findings)?;
        snapshots::check(&files, &mut findings)?;
        migrations::check(&files, &mut findings)?;

        for warning in &warnings {
            warning.print("warning");
        }
        for finding in &findings {
            finding.print("error");
        }
        if !findings.is_empty() {
            bail!("{} not tidy", if findings.len() == 1 { "1 thing is" } else { "some things are" });
        }
        println!("tidy: {} files, {} warnings", files.len(), warnings.len());
        Ok(())
    }
}
