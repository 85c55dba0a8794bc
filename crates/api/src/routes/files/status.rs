//! How far the processing of files has come, and having it stopped or done once more.

use std::time::Duration;

use axum::{
    Json as JsonAnswer,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use breezeway_core::{FileId, Principal};
use breezeway_ingest::Progress;
use breezeway_knowledge::{Error as LibraryError, File, FileState, Listener};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{id_of, with_text};
use crate::{
    error::ApiResult,
    extract::{Query, Verified},
    sse,
    state::ApiState,
    views::files::processing,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(process_status))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(reprocess))
}

/// How long a request that waits for the processing waits before it answers all the same.
const PROCESSING_WAIT: Duration = Duration::from_secs(600);
/// How long a status stream lasts at most.
const STATUS_WAIT: Duration = Duration::from_secs(2 * 3600);
/// How long a status stream is silent at most.
const SILENCE: Duration = Duration::from_secs(1);
/// Changes that come closer together than this are one event.
const APART: Duration = Duration::from_millis(20);

#[derive(Deserialize, IntoParams)]
struct StatusQuery {
    /// Answer events until the processing has ended.
    stream: Option<bool>,
}

/// How far a file has come, once or as events until the end. While it is processed: `stage`
/// (`extracting`, `embedding`, `indexing`), `chunks_done` of `chunks_total`, `pages`,
/// `chunks_per_second` and `seconds_left`, as far as they are known.
#[utoipa::path(
    get, path = "/api/v1/files/{id}/process/status", tag = "files", params(("id" = String, Path), StatusQuery),
    responses((status = 200, description = "`{\"status\": …}`"), (status = "4XX", description = "refused")),
)]
async fn process_status(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<StatusQuery>,
) -> ApiResult<Response> {
    let id = id_of(&id)?;
    let file = state.library.file(&principal, &id).await?;
    if query.stream == Some(true) {
        return Ok(sse::events(events(state, principal, id)));
    }
    let progress = state.ingestor.progress().of(&file.id);
    Ok(JsonAnswer(shown(&file, progress, false)).into_response())
}

/// Stop the processing of a file. A text that it had before stays.
#[utoipa::path(
    post, path = "/api/v1/files/{id}/process/cancel", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "the file"), (status = 409, description = "it is not being processed"), (status = "4XX", description = "refused")),
)]
async fn cancel(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let file = state.library.cancel(&principal, &id_of(&id)?).await?;
    Ok(JsonAnswer(with_text(&state, &principal, &file).await?))
}

/// Process a file again that failed or was cancelled.
#[utoipa::path(
    post, path = "/api/v1/files/{id}/process/retry", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "the file"), (status = 409, description = "it did neither"), (status = "4XX", description = "refused")),
)]
async fn retry(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let file = state.library.retry(&principal, &id_of(&id)?).await?;
    Ok(JsonAnswer(with_text(&state, &principal, &file).await?))
}

/// Process a file again, whatever came of it before. Until that is done its former text is found.
#[utoipa::path(
    post, path = "/api/v1/files/{id}/process", tag = "files", params(("id" = String, Path)),
    responses((status = 200, description = "the file"), (status = "4XX", description = "refused")),
)]
async fn reprocess(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    let file = state.library.reprocess(&principal, &id_of(&id)?).await?;
    Ok(JsonAnswer(with_text(&state, &principal, &file).await?))
}

/// Wait until nothing will change by itself any more, or for as long as a request may wait.
pub(in crate::routes) async fn wait_until_final(
    state: &ApiState,
    principal: &Principal,
    id: &FileId,
) -> ApiResult<File> {
    Ok(state.library.wait_until_final(principal, id, PROCESSING_WAIT).await?)
}

fn shown(file: &File, progress: Option<Progress>, with_reason: bool) -> Value {
    let mut answer = processing(file, with_reason);
    let (FileState::Processing, Some(progress)) = (&file.state, progress) else { return answer };
    answer["stage"] = progress.stage.as_str().into();
    answer["chunks_done"] = progress.chunks_done.into();
    answer["chunks_total"] = progress.chunks_total.into();
    if let Some(pages) = progress.pages {
        answer["pages"] = pages.into();
    }
    if let Some(rate) = progress.chunks_per_second() {
        answer["chunks_per_second"] = ((rate * 10.0).round() / 10.0).into();
    }
    if let Some(left) = progress.time_left() {
        answer["seconds_left"] = left.as_secs().into();
    }
    answer
}

/// A stream of a file's states that waits to be told of changes.
struct Watch {
    state: ApiState,
    principal: Principal,
    id: FileId,
    deadline: Instant,
    moves: Listener,
    steps: Listener,
    /// The file as it was read last; it is read again when some file has moved.
    file: Option<File>,
    last: Option<(Value, Instant)>,
}

/// The status at once, then whenever it changes and at least once a second, until it is final.
fn events(state: ApiState, principal: Principal, id: FileId) -> impl stream::Stream<Item = Bytes> + Send {
    let (moves, steps) = (state.library.bells().movements.listen(), state.ingestor.progress().listen());
    let deadline = Instant::now() + STATUS_WAIT;
    let watch = Watch { state, principal, id, deadline, moves, steps, file: None, last: None };
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        loop {
            let (answer, ends) = watch.look().await?;
            let ends = ends || Instant::now() >= watch.deadline;
            let due = watch.last.as_ref().is_none_or(|(last, at)| *last != answer || at.elapsed() >= SILENCE);
            if ends || due {
                let event = Bytes::from(format!("data: {answer}\n\n"));
                watch.last = Some((answer, Instant::now()));
                return Some((event, (!ends).then_some(watch)));
            }
            watch.wait().await;
        }
    })
}

impl Watch {
    /// How the file is, and whether that is the end; nothing if it cannot be told.
    async fn look(&mut self) -> Option<(Value, bool)> {
        let progress = self.state.ingestor.progress().of(&self.id);
        let known = self.file.take().filter(|file| file.state == FileState::Processing && progress.is_some());
        let file = match known {
            Some(file) => file,
            None => match self.state.library.file(&self.principal, &self.id).await {
                Ok(file) => file,
                Err(LibraryError::NoSuchFile(_)) => return Some((json!({"status": "not_found"}), true)),
                Err(error) => {
                    tracing::warn!(error = %error, "The status of a file could not be read");
                    return None;
                }
            },
        };
        let looked = (shown(&file, progress, true), file.state.is_final());
        self.file = Some(file);
        Some(looked)
    }

    /// Wait until there may be something new, or something is to be said again.
    async fn wait(&mut self) {
        let silent_until = self.last.as_ref().map_or_else(Instant::now, |(_, at)| *at + SILENCE);
        tokio::select! {
            () = self.moves.moved() => self.file = None,
            () = self.steps.moved() => {}
            () = sleep_until(silent_until) => self.file = None,
        }
        sleep(APART).await;
    }
}
