//! What is read from files: `cargo run -p breezeway-ingest --example read -- FILE…`
//!
//! One line of JSON for each file: its text, where its pages begin, what it says about itself, how
//! many chunks it makes, or why there is no text. For looking at documents that are not ours to
//! keep, and for measuring.

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use breezeway_ingest::{
    chunk::{self, ChunkPlan},
    extract::{Hint, Limits, Source, extract},
};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    // As in a server: parsers get a deep stack.
    let reading = std::thread::Builder::new().stack_size(64 << 20).spawn(|| -> io::Result<()> {
        let mut out = io::stdout().lock();
        for path in env::args().skip(1) {
            let path = Path::new(&path);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let started = Instant::now();
            let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
            let read = extract(&Hint::new(name.clone(), ""), Source::Path(path.to_owned()), &limits);
            let seconds = started.elapsed().as_secs_f64();
            let line = match read {
                Ok(read) => {
                    let pages: Vec<_> = read
                        .document
                        .sections
                        .iter()
                        .map(|part| json!([part.start, part.end, part.page, part.page_label, part.title]))
                        .collect();
                    let chunks = chunk::cut(&read.document, read.kind, &ChunkPlan::default()).len();
                    json!({
                        "file": name, "seconds": seconds, "text": read.document.text, "sections": pages,
                        "metadata": read.document.metadata, "chunks": chunks,
                    })
                }
                Err(error) => json!({"file": name, "seconds": seconds, "error": error.to_string()}),
            };
            writeln!(out, "{line}")?;
        }
        Ok(())
    })?;
    reading.join().map_err(|_| "a reader panicked")??;
    Ok(())
}
