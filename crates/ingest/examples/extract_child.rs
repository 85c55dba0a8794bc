//! The child process of isolated extraction, as small as it can be.
//!
//! `IngestConfig::extraction` is given this program's path; any binary can do the same behind a
//! subcommand of its own. The tests of this crate use it.

use std::io;

fn main() -> io::Result<()> {
    breezeway_ingest::extract::serve_child(io::stdin().lock(), io::stdout().lock())
}
