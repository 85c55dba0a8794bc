//! `/api/v1/retrieval`: searching without a chat.

use std::collections::HashMap;

use axum::{Json as JsonAnswer, extract::State};
use breezeway_core::{CollectionId, FileId, Principal};
use breezeway_knowledge::{Error as LibraryError, File, Wanted};
use breezeway_retrieval::{Answer, Leg, Passage, Question};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult},
    extract::{Admin, Json, Verified},
    state::ApiState,
    views::passages,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(query_doc))
        .routes(routes!(query_collection))
        .routes(routes!(process_file))
        .routes(routes!(config))
        .routes(routes!(embedding))
}

/// Passages a request may ask for at most.
const MOST: usize = 1000;

/// A question to one file (`file-<id>`) or collection.
#[derive(Deserialize, ToSchema)]
struct QueryDoc {
    collection_name: String,
    query: String,
    #[serde(flatten)]
    options: Options,
}

/// A question to several files and collections at once.
#[derive(Deserialize, ToSchema)]
struct QueryCollection {
    collection_names: Vec<String>,
    query: String,
    #[serde(flatten)]
    options: Options,
}

#[derive(Deserialize, ToSchema)]
struct Options {
    /// Passages wanted.
    k: Option<usize>,
    /// Similarity (0 to 1) below which passages are dropped.
    r: Option<f32>,
    /// `false` searches by meaning alone.
    hybrid: Option<bool>,
    /// Weight of words against meaning, 0 to 1.
    hybrid_bm25_weight: Option<f32>,
}

/// A file to process again.
#[derive(Deserialize, ToSchema)]
struct ProcessFile {
    file_id: String,
    content: Option<String>,
}

/// Search one file or collection.
#[utoipa::path(
    post, path = "/api/v1/retrieval/query/doc", tag = "retrieval", request_body = QueryDoc,
    responses((status = 200, description = "passages, best first"), (status = "4XX", description = "refused")),
)]
async fn query_doc(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<QueryDoc>,
) -> ApiResult<JsonAnswer<Value>> {
    let Some(files) = scope(&state, &principal, &form.collection_name).await? else {
        return Ok(JsonAnswer(Value::Null));
    };
    let found = search(&state, files, &form.query, &form.options).await?;
    let (files, answer) = found;
    let ids: Vec<_> = answer.passages.iter().map(|passage| passage.chunk.id.0.to_string()).collect();
    let mut view = Map::new();
    view.insert("ids".into(), json!([ids]));
    view.extend(view_of(&state, &files, &answer));
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
    Json(form): Json<QueryCollection>,
) -> ApiResult<JsonAnswer<Value>> {
    let mut files = Vec::new();
    for name in &form.collection_names {
        files.extend(scope(&state, &principal, name).await?.unwrap_or_default());
    }
    let (files, answer) = search(&state, files, &form.query, &form.options).await?;
    Ok(JsonAnswer(view_of(&state, &files, &answer).into()))
}

/// Process a file (again) and wait for its text.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/file", tag = "retrieval", request_body = ProcessFile,
    responses((status = 200, description = "its text"), (status = "4XX", description = "refused")),
)]
async fn process_file(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Json(form): Json<ProcessFile>,
) -> ApiResult<JsonAnswer<Value>> {
    let id = super::files::id_of(&form.file_id)?;
    match &form.content {
        Some(content) => state.library.replace_text(&principal, &id, content).await?,
        None => state.library.reprocess(&principal, &id).await?,
    };
    let file = super::files::wait_until_final(&state, &principal, &id).await?;
    if let breezeway_knowledge::FileState::Failed(reason) = &file.state {
        return Err(ApiError::bad_request(reason.clone()));
    }
    let document = state.library.document(&principal, &id).await?;
    Ok(JsonAnswer(json!({
        "status": true,
        "collection_name": format!("file-{id}"),
        "filename": file.name,
        "content": document.map(|document| document.text).unwrap_or_default(),
    })))
}

/// The settings of retrieval in force.
#[utoipa::path(
    get, path = "/api/v1/retrieval/config", tag = "retrieval",
    responses((status = 200, description = "settings by name"), (status = "4XX", description = "refused")),
)]
async fn config(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Map<String, Value>> {
    JsonAnswer(state.config.retrieval.config.clone())
}

/// The embedding engine and model in use.
#[utoipa::path(
    get, path = "/api/v1/retrieval/embedding", tag = "retrieval",
    responses((status = 200, description = "settings by name"), (status = "4XX", description = "refused")),
)]
async fn embedding(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Map<String, Value>> {
    JsonAnswer(state.config.retrieval.embedding.clone())
}

/// The files behind a name: `file-<id>`, or a collection's id. `None` where an admin asks for what does
/// not exist; anybody else is refused, as for what is not theirs, so that names tell nothing.
async fn scope(state: &ApiState, principal: &Principal, name: &str) -> ApiResult<Option<Vec<FileId>>> {
    let refused = || ApiError::new(StatusCode::FORBIDDEN, ACCESS_PROHIBITED);
    let unknown = || if principal.is_admin() { Ok(None) } else { Err(refused()) };
    if let Some(Ok(id)) = name.strip_prefix("file-").map(str::parse::<FileId>) {
        return match state.library.file(principal, &id).await {
            Ok(_) => Ok(Some(vec![id])),
            Err(LibraryError::NoSuchFile(_)) => unknown(),
            Err(other) => Err(other.into()),
        };
    }
    let Ok(id) = name.parse::<CollectionId>() else { return unknown() };
    match state.library.collection(principal, &id).await {
        Ok(_) => Ok(Some(state.library.searchable(principal, &Wanted::Collection(id)).await?)),
        Err(LibraryError::NoSuchCollection(_)) => unknown(),
        Err(LibraryError::CollectionForbidden(_)) => Err(refused()),
        Err(other) => Err(other.into()),
    }
}

async fn search(
    state: &ApiState,
    files: Vec<FileId>,
    text: &str,
    options: &Options,
) -> ApiResult<(HashMap<FileId, File>, Answer)> {
    if text.trim().is_empty() || files.is_empty() {
        return Ok((HashMap::new(), Answer::default()));
    }
    let defaults = &state.config.retrieval;
    let question = Question {
        text: text.to_owned(),
        files,
        limit: options.k.unwrap_or(defaults.top_k).min(MOST),
        min_similarity: options.r.unwrap_or(defaults.relevance_threshold),
        legs: if options.hybrid == Some(false) { Leg::Dense } else { Leg::Both },
        dense_weight: options.hybrid_bm25_weight.map(|words| 1.0 - words.clamp(0.0, 1.0)),
    };
    let answer = state.retriever.search(question).await?;
    let mut ids: Vec<FileId> = answer.passages.iter().map(|passage| passage.chunk.file.clone()).collect();
    ids.sort();
    ids.dedup();
    let files = state.library.files_by_id(&ids).await?;
    Ok((files.into_iter().map(|file| (file.id.clone(), file)).collect(), answer))
}

fn view_of(state: &ApiState, files: &HashMap<FileId, File>, answer: &Answer) -> Map<String, Value> {
    let embedding = state.config.retrieval.embedding_text();
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
    if let Some(reason) = &answer.degraded {
        view.insert("degraded".into(), reason.as_str().into());
    }
    view
}
