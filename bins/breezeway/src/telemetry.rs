//! Logs, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// Install the subscriber. `level` is a level (`INFO`, `debug`, Python's `WARNING` and `CRITICAL` too)
/// or a filter such as `info,breezeway_ingest=debug`.
pub(crate) fn install(level: &str, json: bool) {
    let filter = match level.to_ascii_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" => "error".to_owned(),
        other => other.to_owned(),
    };
    // Crates below log at info what only they care about.
    let filter = if filter.contains(['=', ',']) {
        filter
    } else {
        format!("{filter},tantivy=warn,ort=warn,hyper=warn,h2=warn,rustls=warn")
    };
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second subscriber is refused; that can only be a test's own.
    let _ = match json {
        true => lines.json().try_init(),
        false => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}
