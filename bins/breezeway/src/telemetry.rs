//! Logs, on standard error, written by a thread of their own: a terminal or a pipe that nobody reads
//! must not hold up requests, nor two of them each other.

use std::io::{BufWriter, IsTerminal};

use anyhow::{Context, Result, bail};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt};

/// What the crates below say of themselves concerns only those who ask for it by name: some of it
/// repeats what they carry, and that is secret.
const QUIET: &str = "tantivy=warn,ort=warn,hyper=warn,h2=warn,rustls=warn,tower=warn,multer=warn";

/// Lines that may wait for their writer; whoever logs more waits too, and nothing is dropped.
const LINES: usize = 4096;

/// Keep this as long as something may be logged: dropping it writes what is still waiting.
#[must_use]
pub(crate) struct Flushing(#[expect(dead_code, reason = "its drop is what it is for")] WorkerGuard);

/// Install the subscriber. `level` is a level (`INFO`, `debug`, Python's `WARNING` and `CRITICAL` too)
/// or a filter such as `info,breezeway_ingest=debug`.
///
/// # Errors
/// If `level` is neither.
pub(crate) fn install(level: &str, json: bool) -> Result<Flushing> {
    let (writer, flushing) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(LINES)
        .finish(BufWriter::new(std::io::stderr()));
    let lines = fmt().with_env_filter(filter(level)?).with_writer(writer).with_target(false);
    // A second subscriber is refused; that can only be a test's own.
    let _ = match json {
        true => lines.json().try_init(),
        false => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    Ok(Flushing(flushing))
}

fn filter(level: &str) -> Result<EnvFilter> {
    let level = level.trim().to_ascii_lowercase();
    let level = match level.as_str() {
        "warning" => "warn",
        "critical" => "error",
        "notset" => "trace",
        other => other,
    };
    // A single word that is no level would be read as the name of a module, and silence everything.
    let is_level = ["trace", "debug", "info", "warn", "error", "off"].contains(&level);
    if !is_level && !level.contains(['=', ',']) {
        bail!("`GLOBAL_LOG_LEVEL` is `{level}`; use `debug`, `info`, `warning` or `error`");
    }
    EnvFilter::try_new(format!("{QUIET},{level}")).with_context(|| format!("`GLOBAL_LOG_LEVEL` is `{level}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_names_of_several_programs() {
        for level in ["INFO", "debug", "WARNING", "critical", "info,breezeway_ingest=debug", "hyper=debug"] {
            assert!(filter(level).is_ok(), "{level}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_and_not_taken_for_a_module() {
        let refusal = filter("verbose").unwrap_err().to_string();

        assert!(refusal.contains("`verbose`"), "{refusal}");
    }

    #[test]
    fn other_crates_are_quiet_unless_they_are_named() {
        assert!(filter("trace").unwrap().to_string().contains("hyper=warn"));
        let asked = filter("debug,hyper=trace").unwrap().to_string();
        assert!(asked.contains("hyper=trace") && !asked.contains("hyper=warn"), "{asked}");
    }
}
