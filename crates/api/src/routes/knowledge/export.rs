//! The texts of a collection as one archive.
//!
//! The archive is written as it is sent, one text after another, and none is packed: compressing would
//! cost the machine more than sending costs the line, and readers of archives read both.

use std::{collections::HashSet, io};

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::header;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::id_of;
use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Trail, shared_with},
    routes::files::content::encoded,
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(export))
}

/// All texts of a collection in a zip archive.
#[utoipa::path(
    get, path = "/api/v1/knowledge/{id}/export", tag = "knowledge", params(("id" = String, Path)),
    responses((status = 200, description = "a zip archive"), (status = "4XX", description = "refused")),
)]
async fn export(
    State(state): State<ApiState>,
    Admin(principal): Admin,
    Path(id): Path<String>,
    trail: Trail,
) -> ApiResult<Response> {
    let id = id_of(&id)?;
    let collection = state.library.collection(&principal, &id).await?;
    if !shared_with(&principal, &collection.owner, &collection.grants) {
        trail.report_foreign(&principal, &collection.owner, "knowledge", &collection.id).await;
    }
    let mut files = state.library.all_members(&principal, &id).await?;
    if files.len() > MOST_ENTRIES {
        return Err(ApiError::bad_request(format!("An archive holds {MOST_ENTRIES} files at most.")));
    }
    files.sort_by(|left, right| (&left.name, &left.id).cmp(&(&right.name, &right.id)));
    files.reverse();

    let zip = Zip::default();
    let pieces = stream::unfold(Some((state, principal, files, zip)), |left| async move {
        let (state, principal, mut files, mut zip) = left?;
        while let Some(file) = files.pop() {
            match state.library.document(&principal, &file.id).await {
                Ok(Some(document)) => {
                    let entry = zip.entry(&file.name, document.text.into());
                    let ends = entry.is_err();
                    return Some((entry, (!ends).then_some((state, principal, files, zip))));
                }
                // Without a text, or deleted meanwhile.
                Ok(None) | Err(breezeway_knowledge::Error::NoSuchFile(_)) => {}
                Err(error) => return Some((Err(io::Error::other(error)), None)),
            }
        }
        Some((Ok(zip.end()), None))
    });
    let disposition = format!("attachment; filename*=UTF-8''{}.zip", encoded(&collection.name));
    let headers = [(header::CONTENT_TYPE, "application/zip"), (header::CONTENT_DISPOSITION, &disposition)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Entries that the plain form of an archive can count.
const MOST_ENTRIES: usize = 65_535;
/// UTF-8 names, in a version that every reader knows (APPNOTE 4.4.4).
const UTF8: u16 = 1 << 11;
const VERSION: u16 = 20;
/// The first day that the format can tell, 1 January 1980: texts have no time of their own.
const DATE: u16 = (1 << 5) | 1;

/// An archive being written.
#[derive(Default)]
struct Zip {
    names: HashSet<String>,
    directory: BytesMut,
    entries: u16,
    written: u64,
}

impl Zip {
    /// One text under a name of its own.
    fn entry(&mut self, name: &str, text: Bytes) -> io::Result<Bytes> {
        let too_large = || io::Error::other("the archive is larger than its format can tell");
        let name = self.unique(name);
        let offset = u32::try_from(self.written).map_err(|_| too_large())?;
        let length = u32::try_from(text.len()).map_err(|_| too_large())?;
        let about = |out: &mut BytesMut| {
            out.put_u16_le(VERSION);
            out.put_u16_le(UTF8);
            // Stored as it is; no time of day.
            out.put_u16_le(0);
            out.put_u16_le(0);
            out.put_u16_le(DATE);
            out.put_u32_le(crc32fast::hash(&text));
            out.put_u32_le(length);
            out.put_u32_le(length);
            // Names are at most 255 bytes of ours and a few of a number.
            out.put_u16_le(u16::try_from(name.len()).unwrap_or(u16::MAX));
            out.put_u16_le(0);
        };
        let mut entry = BytesMut::with_capacity(30 + name.len() + text.len());
        entry.put_slice(b"PK\x03\x04");
        about(&mut entry);
        entry.put_slice(name.as_bytes());
        entry.put_slice(&text);

        self.directory.put_slice(b"PK\x01\x02");
        self.directory.put_u16_le(VERSION);
        about(&mut self.directory);
        // No comment, first disk, no attributes.
        self.directory.put_bytes(0, 2 + 2 + 2 + 4);
        self.directory.put_u32_le(offset);
        self.directory.put_slice(name.as_bytes());
        self.entries += 1;
        self.written += entry.len() as u64;
        Ok(entry.freeze())
    }

    /// The directory, which ends the archive.
    fn end(self) -> Bytes {
        let (mut end, length) = (self.directory, self.written);
        let directory = end.len();
        end.put_slice(b"PK\x05\x06");
        end.put_bytes(0, 4);
        end.put_u16_le(self.entries);
        end.put_u16_le(self.entries);
        end.put_u32_le(u32::try_from(directory).unwrap_or(u32::MAX));
        end.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
        end.put_u16_le(0);
        end.freeze()
    }

    /// A name that no other entry has, on file systems without upper and lower case either, and that
    /// every file system takes.
    fn unique(&mut self, name: &str) -> String {
        let is_bad = |sign: char| sign.is_control() || r#"/\<>:"|?*"#.contains(sign);
        let name: String = name.chars().map(|sign| if is_bad(sign) { '_' } else { sign }).collect();
        let stem =
            name.strip_suffix(".txt").unwrap_or(&name).trim_start_matches('.').trim_end_matches(['.', ' ']);
        let stem = if stem.is_empty() { "file" } else { stem };
        let names = std::iter::once(format!("{stem}.txt"))
            .chain((2_u32..).map(|number| format!("{stem} ({number}).txt")));
        let mut free = names.filter(|name| self.names.insert(name.to_lowercase()));
        free.next().expect("there are more numbers than entries")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_unlike() {
        let mut zip = Zip::default();

        let names = ["a.txt", "A.TXT", "a.txt", "b.pdf", "../c?.md", "...", ""].map(|name| zip.unique(name));

        assert_eq!(
            names,
            ["a.txt", "A.TXT.txt", "a (2).txt", "b.pdf.txt", "_c_.md.txt", "file.txt", "file (2).txt"]
        );
    }

    #[test]
    fn an_archive_says_where_its_entries_are() {
        let mut zip = Zip::default();
        let first = zip.entry("größe.txt", Bytes::from_static("eins".as_bytes())).unwrap();
        let second = zip.entry("b.md", Bytes::from_static(b"")).unwrap();
        let (start, entries) = (first.len() + second.len(), zip.entries);

        let end = zip.end();

        assert_eq!(entries, 2);
        assert_eq!(&first[14..18], crc32fast::hash(b"eins").to_le_bytes());
        let tail = &end[end.len() - 22..];
        assert_eq!(&tail[..4], b"PK\x05\x06");
        assert_eq!(tail[16..20], u32::try_from(start).unwrap().to_le_bytes());
        assert_eq!(tail[12..16], u32::try_from(end.len() - 22).unwrap().to_le_bytes());
    }
}
