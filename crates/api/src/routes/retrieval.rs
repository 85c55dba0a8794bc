//! `/api/v1/retrieval`: searching without a chat.

use std::collections::{BTreeSet, HashMap};

use axum::{Json as JsonAnswer, extract::State};
use breezeway_core::{FileId, Principal};
use breezeway_knowledge::{Error as LibraryError, File, Filter, Unread, Wanted};
use breezeway_retrieval::{Answer, Passage, Question};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult},
    extract::{Json, Trail, Verified, shared_with},
    metered::metered_search,
    search::SearchOptions,
    state::ApiState,
    views::passages,
};

mod explain;
mod fsck;
mod passages_of;
mod process;
mod settings;
mod web;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(query_doc))
        .routes(routes!(query_collection))
        .routes(routes!(explain::search))
        .routes(routes!(passages_of::passage))
        .routes(routes!(passages_of::change_metadata))
        .merge(fsck::router())
        .merge(process::router())
        .merge(web::router())
        .merge(settings::router())
}

pub(super) use self::explain::bad_filter;

/// Files and collections of one question at most: each is looked up.
const MOST_NAMES: usize = 256;
/// Files named as left out at most: while a collection is filled there may be thousands.
const MOST_LEFT_OUT: usize = 20;

/// A question to one file (`file-<id>`) or collection.
#[derive(Deserialize, ToSchema)]
struct QueryDoc {
    collection_name: String,
    query: String,
    #[serde(flatten)]
    options: SearchOptions,
}

/// A question to several files and collections at once.
#[derive(Deserialize, ToSchema)]
struct QueryCollection {
    collection_names: Vec<String>,
    query: String,
    #[serde(flatten)]
    options: SearchOptions,
}

/// Search one file or collection.
#[utoipa::path(
    post, path = "/api/v1/retrieval/query/doc", tag = "retrieval", request_body = QueryDoc,
    responses((status = 200, description = "passages, best first"), (status = "4XX", description = "refused")),
)]
async fn query_doc(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
    Json(form): Json<QueryDoc>,
) -> ApiResult<JsonAnswer<Value>> {
    let filter = form.options.filter().map_err(|error| explain::bad_filter(&error))?;
    let asked = scope(&state, (&principal, &trail), &form.collection_name, filter.as_ref()).await?;
    let Some(files) = asked else {
        return Ok(JsonAnswer(Value::Null));
    };
    let found = search(&state, &principal, files, &form.query, &form.options).await?;
    let ids: Vec<_> = found.answer.passages.iter().map(|passage| passage.chunk.id.0.to_string()).collect();
    let mut view = Map::new();
    view.insert("ids".into(), json!([ids]));
    view.extend(view_of(&state, &found));
    Ok(JsonAnswer(view.into()))
}

/// Search several files and collections as one.
#[utoipa::path(
    post, path = "/api/v1/retrieval/query/collection", tag = "retrieval", request_body = QueryCollection,
    responses((status = 200, description = "passages, best first"), (status = "4XX", description = "refused")),
)]
async fn query_collection(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
    Json(form): Json<QueryCollection>,
) -> ApiResult<JsonAnswer<Value>> {
    let names: BTreeSet<&str> = form.collection_names.iter().map(String::as_str).collect();
    if names.len() > MOST_NAMES {
        let message = format!("List should have at most {MOST_NAMES} items");
        return Err(ApiError::invalid("too_long", &["body", "collection_names"], &message, Value::Null));
    }
    let filter = form.options.filter().map_err(|error| explain::bad_filter(&error))?;
    let mut files = Vec::new();
    for name in names {
        let asked = scope(&state, (&principal, &trail), name, filter.as_ref()).await?;
        files.extend(asked.unwrap_or_default());
    }
    let found = search(&state, &principal, files, &form.query, &form.options).await?;
    Ok(JsonAnswer(view_of(&state, &found).into()))
}

/// The files behind a name: `file-<id>`, or a collection's id. `None` where an admin asks for what does
/// not exist; anybody else is refused, as for what is not theirs, so that names tell nothing.
async fn scope(
    state: &ApiState,
    (principal, trail): (&Principal, &Trail),
    name: &str,
    filter: Option<&Filter>,
) -> ApiResult<Option<Vec<FileId>>> {
    let refused = || ApiError::new(StatusCode::FORBIDDEN, ACCESS_PROHIBITED);
    let unknown = || if principal.is_admin() { Ok(None) } else { Err(refused()) };
    if let Some(Ok(id)) = name.strip_prefix("file-").map(str::parse::<FileId>) {
        return match state.library.file(principal, &id).await {
            Ok(file) => {
                trail.report_foreign(principal, &file.owner, "file", &file.id).await;
                Ok(Some(state.library.searchable_where(principal, &Wanted::File(id), filter).await?))
            }
            Err(LibraryError::NoSuchFile(_)) => unknown(),
            Err(other) => Err(other.into()),
        };
    }
    match state.library.find_collection(principal, name).await {
        Ok(Some(collection)) => {
            if !shared_with(principal, &collection.owner, &collection.grants) {
                trail.report_foreign(principal, &collection.owner, "knowledge", &collection.id).await;
            }
            let wanted = Wanted::Collection(collection.id);
            Ok(Some(state.library.searchable_where(principal, &wanted, filter).await?))
        }
        Ok(None) => unknown(),
        Err(other) => Err(other.into()),
    }
}

/// What a question found.
#[derive(Default)]
struct Found {
    /// The files of the passages.
    files: HashMap<FileId, File>,
    answer: Answer,
    /// Files that were asked and have no text yet.
    unread: Vec<Unread>,
}

async fn search(
    state: &ApiState,
    principal: &Principal,
    files: Vec<FileId>,
    text: &str,
    options: &SearchOptions,
) -> ApiResult<Found> {
    if text.trim().is_empty() || files.is_empty() {
        return Ok(Found::default());
    }
    let settings = state.tuning.settings().rag;
    let question = Question { files, ..options.question(text, &settings) };
    let unread = state.library.wait_for_texts(&question.files, settings.file_wait).await?;
    let embedding = state.tuning.embedding().model;
    let answer = metered_search(&state.meter, &state.retriever, principal, &embedding, question).await?;
    let mut ids: Vec<FileId> = answer.passages.iter().map(|passage| passage.chunk.file.clone()).collect();
    ids.sort();
    ids.dedup();
    let files = state.library.files_by_id(&ids).await?;
    let files = files.into_iter().map(|file| (file.id.clone(), file)).collect();
    Ok(Found { files, answer, unread })
}

fn view_of(state: &ApiState, found: &Found) -> Map<String, Value> {
    let Found { files, answer, unread } = found;
    let embedding = state.tuning.embedding().metadata();
    let shown: Vec<(&Passage, &File)> = answer
        .passages
        .iter()
        .filter_map(|passage| Some((passage, files.get(&passage.chunk.file)?)))
        .collect();
    let distances: Vec<f32> = shown.iter().map(|(passage, _)| passages::similarity(passage)).collect();
    let documents: Vec<&str> = shown.iter().map(|(passage, _)| passage.chunk.chunk.text.as_str()).collect();
    let metadatas: Vec<_> =
        shown.iter().map(|(passage, file)| passages::metadata(file, passage, &embedding)).collect();
    let mut view = Map::new();
    view.insert("distances".into(), json!([distances]));
    view.insert("documents".into(), json!([documents]));
    view.insert("metadatas".into(), json!([metadatas]));
    if !unread.is_empty() {
        view.insert("left_out".into(), unread.iter().take(MOST_LEFT_OUT).map(left_out).collect());
    }
    if let Some(reason) = &answer.degraded {
        view.insert("degraded".into(), reason.as_str().into());
    }
    view
}

/// A file that was asked and has no text yet.
fn left_out(file: &Unread) -> Value {
    let status = if file.next_try.is_some() { "pending" } else { "processing" };
    json!({"id": file.id.as_str(), "name": file.name, "status": status})
}
