//! Archives: ZIP with whatever is in it, and gzip around one file.
//!
//! Nothing is written to a disk, so a name that leads out of the archive leads nowhere.

use std::io::Cursor;

use breezeway_knowledge::Document;
use flate2::read::MultiGzDecoder;
use zip::{ZipArchive, result::ZipError};

use super::{
    ExtractError, Extracted, Hint,
    bundle::{Bundle, shown},
    reading::Reading,
    text,
};

pub(super) fn read(bytes: &[u8], reading: &mut Reading<'_>) -> Result<Document, ExtractError> {
    let mut archive = open(bytes)?;
    let mut bundle = Bundle::default();
    for index in 0..archive.len() {
        reading.count_entry()?;
        // A name can be had even of an entry that cannot be unpacked.
        let raw = archive.by_index_raw(index).map(|entry| (entry.name_raw().to_vec(), entry.is_file()));
        let (name, is_file) = raw.map_err(|error| refusal(&error))?;
        let name = text::name(&name);
        if !is_file || is_machinery(&name) {
            continue;
        }
        let unpacked = match archive.by_index(index) {
            Ok(entry) => reading.unpack(entry),
            Err(error) => Err(refusal(&error)),
        };
        match unpacked {
            Ok(content) => bundle.add(reading, &name, "", content.into())?,
            Err(error) if reading.is_exhausted() => return Err(error),
            Err(error) => bundle.skip(shown(&name), error),
        }
    }
    bundle.finish()
}

/// What gzip is around. Its own file name is not believed more than the outer one.
pub(super) fn read_gzip(
    hint: &Hint,
    bytes: &[u8],
    reading: &mut Reading<'_>,
) -> Result<Extracted, ExtractError> {
    let content = reading.unpack(MultiGzDecoder::new(bytes))?;
    let name = hint.name.strip_suffix(".gz").or_else(|| hint.name.strip_suffix(".GZ")).unwrap_or(&hint.name);
    reading.inner(&Hint::new(name, ""), content.into())
}

/// Open a ZIP archive.
pub(super) fn open(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, ExtractError> {
    ZipArchive::new(Cursor::new(bytes)).map_err(|_| {
        ExtractError::Damaged("The file is a damaged archive: its end is missing or unreadable.".to_owned())
    })
}

/// The content of a part that a document format requires.
pub(super) fn part(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    reading: &mut Reading<'_>,
) -> Result<Option<Vec<u8>>, ExtractError> {
    match archive.by_name(name) {
        Ok(entry) => reading.unpack(entry).map(Some),
        Err(ZipError::FileNotFound) => Ok(None),
        Err(error) => Err(refusal(&error)),
    }
}

fn refusal(error: &ZipError) -> ExtractError {
    match error {
        ZipError::UnsupportedArchive(words) if *words == ZipError::PASSWORD_REQUIRED => {
            ExtractError::Encrypted
        }
        ZipError::InvalidPassword => ExtractError::Encrypted,
        ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => {
            ExtractError::Damaged("It is packed in a way that is not supported.".to_owned())
        }
        _ => ExtractError::Damaged("The archive is damaged and cannot be unpacked.".to_owned()),
    }
}

/// What programs leave in archives.
fn is_machinery(name: &str) -> bool {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    name.starts_with("__MACOSX/") || last == ".DS_Store" || last == "Thumbs.db" || last.starts_with("._")
}
