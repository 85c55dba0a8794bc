//! The very text that a citation points to, and what users say about files for filters.

use axum::{Json as JsonAnswer, extract::State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, Path, Trail, Verified},
    routes::files::id_of,
    state::ApiState,
    views::files,
};

/// Other metadata for a file.
#[derive(Deserialize, ToSchema)]
pub(super) struct MetadataForm {
    /// All of it: what is left out is forgotten.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// The text of a range of a file's text, as `start_index` and `end_index` of a source give it: bytes of
/// UTF-8, the end left out (`120-480`).
#[utoipa::path(
    get, path = "/api/v1/files/{id}/passages/{range}", tag = "files",
    params(("id" = String, Path), ("range" = String, Path, description = "`start-end`")),
    responses((status = 200, description = "the text, its page and its section"), (status = "4XX", description = "refused")),
)]
pub(super) async fn passage(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path((id, range)): Path<(String, String)>,
    trail: Trail,
) -> ApiResult<JsonAnswer<Value>> {
    let id = id_of(&id)?;
    let file = state.library.file(&principal, &id).await?;
    trail.report_foreign(&principal, &file.owner, "file", &file.id).await;
    let document = state.library.document(&principal, &id).await?.ok_or_else(ApiError::not_found)?;
    let (start, end) = range_of(&range).ok_or_else(|| {
        ApiError::bad_request("A range is written as `start-end`, with the indexes a source gives.")
    })?;
    // An index in the middle of a character is one of another text.
    let text = document.text.get(start..end).ok_or_else(|| {
        ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "The file's text has no such range.")
    })?;
    let section = document.sections.iter().rfind(|section| section.start <= start);
    Ok(JsonAnswer(json!({
        "file_id": file.id.as_str(),
        "filename": file.name,
        "hash": file.text_hash,
        "start_index": start,
        "end_index": end,
        "page": section.and_then(|section| section.page),
        "page_label": section.and_then(|section| section.page_label.clone()),
        "section": section.and_then(|section| section.title.clone()),
        "text": text,
    })))
}

fn range_of(range: &str) -> Option<(usize, usize)> {
    let (start, end) = range.split_once('-')?;
    let (start, end) = (start.parse().ok()?, end.parse().ok()?);
    (start <= end).then_some((start, end))
}

/// Say other things about a file, for filters: tags, dates, authors, whatever the filters ask for.
#[utoipa::path(
    post, path = "/api/v1/files/{id}/metadata/update", tag = "files", params(("id" = String, Path)),
    request_body = MetadataForm,
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
pub(super) async fn change_metadata(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    trail: Trail,
    Json(form): Json<MetadataForm>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let file = state.library.set_metadata(&principal, &id_of(&id)?, form.metadata).await?;
    trail.report_foreign(&principal, &file.owner, "file", &file.id).await;
    Ok(JsonAnswer(files::view(&file, None)))
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn a_range_has_two_ends_in_order() {
        assert_eq!(range_of("3-9"), Some((3, 9)));
        assert_eq!(range_of("9-9"), Some((9, 9)));
        for nonsense in ["", "3", "9-3", "-1-2", "a-b", "1-2-3", "1-99999999999999999999999"] {
            assert_eq!(range_of(nonsense), None, "{nonsense}");
        }
    }
}
