//! Running extraction where it can do no harm.
//!
//! A panic is caught in either mode. An abort, an endless loop, a stack overflow and an allocation
//! of 100 GB are not panics; only a process of its own survives those, by dying instead of ours.

use std::{
    io::{self, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    thread,
};

use super::{ExtractError, Extracted, Hint, Limits, Ocr, Source, extract_with, wire};

mod parent;
mod rlimit;
mod sandbox;

pub(crate) use self::parent::in_child;
use self::sandbox::Allow;

/// The stack of the thread that parses: nesting limits keep recursion well below it, even in
/// builds without optimisation.
const STACK_BYTES: usize = 64 << 20;

/// Extract on a thread of its own in this process; the caller waits, on a lane.
pub(crate) fn in_process(
    hint: Hint,
    source: Source,
    limits: Limits,
    ocr: Option<Ocr>,
) -> Result<Extracted, ExtractError> {
    let work = move || catch_unwind(AssertUnwindSafe(|| extract_with(&hint, source, &limits, ocr.as_ref())));
    let started = thread::Builder::new().name("extract".to_owned()).stack_size(STACK_BYTES).spawn(work);
    let crashed = |what: &str| ExtractError::Crashed(what.to_owned());
    match started {
        Err(_) => Err(crashed("the system has no thread to spare")),
        Ok(thread) => match thread.join() {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(crashed("the reader of its format failed on it")),
        },
    }
}

/// Be the child of [`super::Extraction::Child`]: read one request from `input`, answer on `output`.
///
/// The process lowers its own limits for good and, once it has the file, gives up files, programs and
/// the network, so it should do nothing else afterwards. Nothing
/// else may be written to `output`.
///
/// # Errors
/// If the parent is gone or does not keep to the protocol. What is wrong with the file is part of
/// the answer.
pub fn serve_child(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let out_of_order = || io::Error::new(io::ErrorKind::InvalidData, "frame out of order");
    let (wire::Tag::Request, body) = wire::read(&mut input)? else { return Err(out_of_order()) };
    let request: wire::Request = serde_json::from_slice(&body)?;
    let (hint, limits, ocr) = request.into_parts();
    rlimit::lower(&limits)?;

    let mut bytes = Vec::new();
    let source = loop {
        match wire::read(&mut input)? {
            (wire::Tag::Path, path) => break Source::Path(path_from(path)?),
            (wire::Tag::Piece, piece) => bytes.extend_from_slice(&piece),
            (wire::Tag::End, _) => break Source::Bytes(bytes.into()),
            _ => return Err(out_of_order()),
        }
    };
    drop(input);

    let allow = if ocr.is_some() { Allow::Programs } else { Allow::Nothing };
    let read = source.load(&limits).and_then(|bytes| {
        // Where the system refuses the filter, limits and the empty environment still hold.
        let _ = sandbox::lock(allow);
        in_process(hint, Source::Bytes(bytes), limits, ocr)
    });
    match read {
        Ok(extracted) => {
            let (outline, text) = wire::Outline::split(extracted);
            for piece in text.as_bytes().chunks(wire::PIECE) {
                wire::write(&mut output, wire::Tag::Piece, piece)?;
            }
            wire::write(&mut output, wire::Tag::Outline, &serde_json::to_vec(&outline)?)?;
        }
        Err(error) => {
            let failure = wire::Failure::from(error);
            wire::write(&mut output, wire::Tag::Failure, &serde_json::to_vec(&failure)?)?;
        }
    }
    output.flush()
}

#[cfg(unix)]
fn path_from(bytes: Vec<u8>) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;

    Ok(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path_from(bytes: Vec<u8>) -> io::Result<PathBuf> {
    String::from_utf8(bytes)
        .map(Into::into)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
