//! Uploads: a multipart form whose file is streamed, never held.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequest, Request};
use breezeway_knowledge::{BlobStream, Error as LibraryError};
use futures_util::stream;
use http::{StatusCode, header};
use multer::{Constraints, Multipart, SizeLimit};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The longest `metadata` part, in bytes.
const METADATA_BYTES: u64 = 1 << 20;

/// An upload form up to its file; the parts in front of the file have been read.
pub(crate) struct UploadForm {
    pub(crate) file_name: String,
    pub(crate) media_type: String,
    pub(crate) metadata: LateMetadata,
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
        let limits = SizeLimit::new().for_field("metadata", METADATA_BYTES);
        let mut form = Multipart::with_constraints(
            request.into_body().into_data_stream(),
            boundary,
            Constraints::new().size_limit(limits),
        );
        let metadata = LateMetadata::default();
        while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
            match field.name() {
                Some("file") if field.file_name().is_some() => {
                    return Ok(Self {
                        file_name: field.file_name().unwrap_or_default().to_owned(),
                        media_type: field
                            .content_type()
                            .map_or_else(String::new, |media_type| media_type.essence_str().to_owned()),
                        metadata: metadata.clone(),
                        bytes: bytes(form, field, metadata),
                    });
                }
                Some("metadata") => metadata.put(metadata_of(field).await?),
                _ => {}
            }
        }
        Err(no_file())
    }
}

/// The file's bytes as they arrive; before they end, the rest of the form is read.
fn bytes(form: Multipart<'static>, file: multer::Field<'static>, metadata: LateMetadata) -> BlobStream {
    let upload = |error: multer::Error| LibraryError::Upload(Box::new(error));
    Box::pin(stream::unfold(Some((form, Some(file), metadata)), move |state| async move {
        let (mut form, file, metadata) = state?;
        if let Some(mut file) = file {
            match file.chunk().await {
                Ok(Some(piece)) => return Some((Ok(piece), Some((form, Some(file), metadata)))),
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
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some((Err(upload(error)), None)),
            }
        }
    }))
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
        multer::Error::FieldSizeExceeded { .. } => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "The `metadata` part is larger than a megabyte.")
        }
        _ => ApiError::bad_request("There was an error parsing the body"),
    }
}
