//! Uploading a file.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_knowledge::{Error as LibraryError, Upload};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::wait_until_final;
use crate::{
    error::{ApiError, ApiResult},
    extract::{Query, UploadForm, Verified},
    state::ApiState,
    views::files::view,
};

/// The upload alone: its body has a limit of its own.
pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// What a key for certain knowledge is told that would upload past it.
const NOT_LOOSE: &str = "This API key is limited to certain collections. Name one of them as `knowledge_id` in the upload's `metadata`.";

#[derive(Deserialize, IntoParams)]
struct UploadQuery {
    /// Extract and embed the text. `false` only keeps the bytes.
    process: Option<bool>,
    /// `false` answers when the processing has ended.
    process_in_background: Option<bool>,
    /// `true` answers when the processing has ended: the same, in fewer words.
    wait: Option<bool>,
}

/// Upload a file. It is answered at once; its text follows in the background.
#[utoipa::path(
    post, path = "/api/v1/files/", tag = "files", params(UploadQuery),
    request_body(content = Object, content_type = "multipart/form-data", description = "`file`, and `metadata` as JSON"),
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
async fn upload(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<UploadQuery>,
    form: UploadForm,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let process = query.process.unwrap_or(true);
    let media_type = match form.media_type.as_str() {
        "" => mime_guess::from_path(&form.file_name).first_or_octet_stream().essence_str().to_owned(),
        given => given.to_owned(),
    };
    let upload = Upload { name: form.file_name, media_type, process, metadata: Map::new(), into: None };
    let metadata = form.metadata;
    let file = state
        .library
        .add_file_completed(&principal, upload, form.bytes, |upload| {
            upload.metadata = metadata.take();
            let into = upload.metadata.get("knowledge_id").and_then(Value::as_str);
            upload.into = into.and_then(|id| id.parse().ok());
            Ok(())
        })
        .await
        .map_err(|refusal| match refusal {
            LibraryError::KeyNarrowed => ApiError::new(StatusCode::FORBIDDEN, NOT_LOOSE),
            other => other.into(),
        })?;
    let file = match process && (query.wait == Some(true) || query.process_in_background == Some(false)) {
        true => wait_until_final(&state, &principal, &file.id).await?,
        false => file,
    };
    let mut view = view(&file, None);
    if process {
        view.insert("status".into(), true.into());
    } else {
        view.shift_remove("path");
    }
    Ok(JsonAnswer(view))
}
