//! Logs, on standard error, written by a thread of their own: a terminal or a pipe that nobody reads
//! must not hold up requests, nor two of them each other.

mod lines;
mod plain;

use std::io::IsTerminal;

use anyhow::{Context, Result, bail};
use tracing_subscriber::{EnvFilter, fmt};

pub(crate) use self::lines::Flushing;
use self::plain::Plain;

/// What the crates below say of themselves concerns only those who ask for it by name: some of it
/// repeats what they carry, and that is secret.
const QUIET: &str = "tantivy=warn,ort=warn,hyper=warn,h2=warn,rustls=warn,tower=warn,multer=warn";

/// Install the subscriber. `level` is a level (`INFO`, `debug`, Python's `WARNING` and `CRITICAL` too)
/// or a filter such as `info,breezeway_ingest=debug`.
///
/// # Errors
/// If `level` is neither, or there can be no thread for the lines.
pub(crate) fn install(level: &str, json: bool) -> Result<Flushing> {
    let filter = filter(level)?;
    let (writer, flushing) = lines::start(std::io::stderr()).context("cannot start the thread of the log")?;
    let lines = fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    // A second subscriber is refused; that can only be a test's own.
    let _ = match json {
        true => lines.json().try_init(),
        false if std::io::stderr().is_terminal() => lines.try_init(),
        false => lines.event_format(Plain).fmt_fields(Plain).try_init(),
    };
    Ok(flushing)
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
