//! Uploads: a multipart form whose file is streamed, never held.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    BoxError,
    body::Body,
    extract::{FromRequest, Request},
};
use breezeway_knowledge::{BlobStream, Error as LibraryError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{StatusCode, header};
use multer::{Constraints, Multipart, SizeLimit};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The longest `metadata` part, in bytes.
const METADATA_BYTES: u64 = 1 << 20;

/// The longest `purpose`, in bytes.
const PURPOSE_BYTES: u64 = 256;

/// An upload form up to its file; the parts in front of the file have been read.
pub(crate) struct UploadForm {
    pub(crate) file_name: String,
    pub(crate) media_type: String,
    pub(crate) metadata: LateMetadata,
    /// OpenAI's `purpose`.
    pub(crate) purpose: LateText,
    pub(crate) bytes: BlobStream,
}

/// The form's `metadata`. It may stand behind the file, where `curl -F file=… -F metadata=…` puts it,
/// so it is known only when the file's bytes have ended.
#[derive(Clone, Default)]
pub(crate) struct LateMetadata(Arc<Mutex<Map<String, Value>>>);

impl LateMetadata {
    fn put(&self, metadata: Map<String, Value>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
    }

    /// What has been read.
    pub(crate) fn take(&self) -> Map<String, Value> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A short text of the form, which may stand behind the file like the metadata.
#[derive(Clone, Default)]
pub(crate) struct LateText(Arc<Mutex<Option<String>>>);

impl LateText {
    async fn put(&self, field: multer::Field<'_>) -> Result<(), multer::Error> {
        let text = field.text().await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        Ok(())
    }

    /// What has been read so far.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Send + Sync> FromRequest<S> for UploadForm {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let no_file = || ApiError::missing(&["body", "file"], Value::Null);
        let boundary = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| multer::parse_boundary(value).ok())
            .ok_or_else(no_file)?;
        let limits =
            SizeLimit::new().for_field("metadata", METADATA_BYTES).for_field("purpose", PURPOSE_BYTES);
        let mut form = Multipart::with_constraints(
            guarded(request.into_body(), &boundary),
            boundary,
            Constraints::new().size_limit(limits),
        );
        let (metadata, purpose) = (LateMetadata::default(), LateText::default());
        while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
            match field.name() {
                Some("file") if field.file_name().is_some() => {
                    return Ok(Self {
                        file_name: field.file_name().unwrap_or_default().to_owned(),
                        media_type: field
                            .content_type()
                            .map_or_else(String::new, |media_type| media_type.essence_str().to_owned()),
                        metadata: metadata.clone(),
                        purpose: purpose.clone(),
                        bytes: bytes(form, field, metadata, purpose),
                    });
                }
                Some("metadata") => metadata.put(metadata_of(field).await?),
                Some("purpose") => purpose.put(field).await.map_err(|error| broken(&error))?,
                _ => {}
            }
        }
        Err(no_file())
    }
}

/// The file's bytes as they arrive; before they end, the rest of the form is read.
fn bytes(
    form: Multipart<'static>,
    file: multer::Field<'static>,
    metadata: LateMetadata,
    purpose: LateText,
) -> BlobStream {
    let upload = |error: multer::Error| LibraryError::Upload(Box::new(error));
    Box::pin(stream::unfold(Some((form, Some(file), (metadata, purpose))), move |state| async move {
        let (mut form, file, late) = state?;
        let (metadata, purpose) = &late;
        if let Some(mut file) = file {
            match file.chunk().await {
                Ok(Some(piece)) => return Some((Ok(piece), Some((form, Some(file), late)))),
                Ok(None) => {}
                Err(error) => return Some((Err(upload(error)), None)),
            }
        }
        loop {
            match form.next_field().await {
                Ok(Some(field)) if field.name() == Some("metadata") => match metadata_of(field).await {
                    Ok(read) => metadata.put(read),
                    Err(_) => return Some((Err(LibraryError::BadMetadata), None)),
                },
                Ok(Some(field)) if field.name() == Some("purpose") => {
                    if let Err(error) = purpose.put(field).await {
                        return Some((Err(upload(error)), None));
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some((Err(upload(error)), None)),
            }
        }
    }))
}

/// The form as it arrives, ended with an error where the head of a part grows too long.
///
/// The parser looks through all it holds at every piece, and it holds a head until the head ends: one
/// that never does would cost the square of its length. A head begins behind a boundary, so the guard
/// follows boundaries and counts.
fn guarded(body: Body, boundary: &str) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + use<> {
    let mut guard = HeadGuard::new(boundary);
    body.into_data_stream().map(move |piece| {
        let piece = piece?;
        guard.read(&piece)?;
        Ok(piece)
    })
}

/// The longest head of a part, in bytes; real ones have a few hundred.
const HEAD_BYTES: usize = 16 * 1024;
/// The most parts of a form.
const PARTS: usize = 64;

/// Follows a form just far enough to know where the heads of its parts are.
struct HeadGuard {
    mark: Vec<u8>,
    /// How much of the mark, or of the empty line that ends a head, the last bytes have matched.
    matched: usize,
    /// Bytes of the head that is being read; `None` between heads.
    head: Option<usize>,
    parts: usize,
}

impl HeadGuard {
    fn new(boundary: &str) -> Self {
        let mark = [b"--", boundary.as_bytes()].concat();
        // What stands before the first boundary is ignored by the parser, and is held like a head.
        Self { mark, matched: 0, head: Some(0), parts: 0 }
    }

    fn read(&mut self, piece: &[u8]) -> Result<(), BoxError> {
        for &byte in piece {
            match &mut self.head {
                Some(length) => {
                    *length += 1;
                    if *length > HEAD_BYTES {
                        return Err("the head of a part is too long".into());
                    }
                    let end = b"\r\n\r\n";
                    self.matched = if byte == end[self.matched] {
                        self.matched + 1
                    } else {
                        usize::from(byte == end[0])
                    };
                    if self.matched == end.len() {
                        (self.head, self.matched) = (None, 0);
                    }
                }
                None => {
                    // A boundary holds no `-` at its own start again but for its first two signs, which a
                    // line of dashes repeats: then the match stays where it is.
                    self.matched = match byte {
                        byte if byte == self.mark[self.matched] => self.matched + 1,
                        b'-' if self.mark[..self.matched].iter().all(|&sign| sign == b'-') => self.matched,
                        b'-' => 1,
                        _ => 0,
                    };
                    if self.matched == self.mark.len() {
                        (self.head, self.matched) = (Some(0), 0);
                        self.parts += 1;
                        if self.parts > PARTS {
                            return Err("the form has too many parts".into());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

async fn metadata_of(field: multer::Field<'_>) -> Result<Map<String, Value>, ApiError> {
    let text = field.text().await.map_err(|error| broken(&error))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        _ if text.trim().is_empty() => Ok(Map::new()),
        _ => Err(ApiError::bad_request("[ERROR: Invalid metadata format]")),
    }
}

fn broken(error: &multer::Error) -> ApiError {
    match error {
        multer::Error::FieldSizeExceeded { .. } => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The `metadata` part is larger than a megabyte, or another one too large.",
        ),
        _ => ApiError::bad_request("There was an error parsing the body"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut form = Vec::new();
        for (head, body) in parts {
            form.extend_from_slice(b"--B0undary\r\n");
            form.extend_from_slice(head.as_bytes());
            form.extend_from_slice(b"\r\n\r\n");
            form.extend_from_slice(body);
            form.extend_from_slice(b"\r\n");
        }
        form.extend_from_slice(b"--B0undary--\r\n");
        form
    }

    fn accepts(form: &[u8], piece: usize) -> bool {
        let mut guard = HeadGuard::new("B0undary");
        form.chunks(piece).all(|piece| guard.read(piece).is_ok())
    }

    #[test]
    fn an_honest_form_passes_however_it_is_cut_and_whatever_it_carries() {
        let dashes = [b"----\r\n--B0undar\r\n-".as_slice(), &[b'-'; 100_000]].concat();
        let form = form(&[
            ("Content-Disposition: form-data; name=\"metadata\"", b"{}"),
            ("Content-Disposition: form-data; name=\"file\"; filename=\"a\"", &dashes),
            ("Content-Disposition: form-data; name=\"more\"", b""),
        ]);

        for piece in [1, 7, 4096] {
            assert!(accepts(&form, piece));
        }
    }

    #[test]
    fn a_head_without_an_end_and_parts_without_number_are_refused() {
        let endless = form(&[(&"X: ".repeat(10_000), b"")]);
        let many = form(&vec![("A: b", b"".as_slice()); 100]);

        assert!(!accepts(&endless, 1000));
        assert!(!accepts(&many, 1000));
        assert!(!accepts(&[b'x'; 100_000], 1000), "nothing but a beginning");
    }
}
