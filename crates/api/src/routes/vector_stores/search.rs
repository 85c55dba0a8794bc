//! Searching a vector store.

use std::collections::HashMap;

use axum::{Json as JsonAnswer, extract::State};
use breezeway_core::{FileId, Principal};
use breezeway_knowledge::{Collection, File, Wanted};
use breezeway_retrieval::{Passage, Question};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{missing, store_id, views};
use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, Path, Verified},
    metered::metered_search,
    routes::retrieval::bad_filter,
    search::SearchOptions,
    state::ApiState,
    views::passages,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(search))
}

/// Results unless a request says otherwise, and at most: OpenAI's numbers.
const USUAL: usize = 10;
const MOST: usize = 50;

/// Wordings of one question at most.
const MOST_QUERIES: usize = 8;

/// How often the use of a store that expires is noted, in seconds.
const NOTED_EVERY: i64 = 3600;

/// A question to a vector store.
#[derive(Deserialize, ToSchema)]
struct SearchForm {
    /// A text, or several wordings.
    #[schema(value_type = Object)]
    query: Value,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filters: Value,
    max_num_results: Option<usize>,
    #[serde(default)]
    ranking_options: Ranking,
}

/// How results are ranked.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct Ranking {
    /// `none` keeps the fused order although there is a reranker; any other name means the best there is.
    ranker: Option<String>,
    /// Similarity (0 to 1) below which results are dropped.
    score_threshold: Option<f32>,
}

impl Ranking {
    fn options(&self, k: Option<usize>, filters: Value) -> SearchOptions {
        SearchOptions {
            k: Some(k.unwrap_or(USUAL).clamp(1, MOST)),
            r: self.score_threshold,
            rerank: (self.ranker.as_deref() == Some("none")).then_some(false),
            filters,
            ..SearchOptions::default()
        }
    }
}

/// Search a vector store.
#[utoipa::path(
    post, path = "/v1/vector_stores/{id}/search", tag = "v1", params(("id" = String, Path)), request_body = SearchForm,
    responses((status = 200, description = "a page of results, best first"), (status = "4XX", description = "refused")),
)]
async fn search(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Json(form): Json<SearchForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let store = state.library.collection(&principal, &store_id(&id)?).await.map_err(missing(&id))?;
    note_use(&state, &principal, &store).await?;
    let queries = queries(&form.query)?;
    let options = form.ranking_options.options(form.max_num_results, form.filters);
    let filter = options.filter().map_err(|error| bad_filter(&error))?;
    let wanted = Wanted::Collection(store.id.clone());
    let files = state.library.searchable_where(&principal, &wanted, filter.as_ref()).await?;
    let question = Question { files, ..options.question("", &state.tuning.settings().rag) };
    let passages = best(&state, &principal, &question, &queries).await?;

    let mut ids: Vec<FileId> = passages.iter().map(|passage| passage.chunk.file.clone()).collect();
    ids.sort();
    ids.dedup();
    let known = state.library.files_by_id(&ids).await?;
    let known: HashMap<&FileId, &File> = known.iter().map(|file| (&file.id, file)).collect();
    let attributes = state.library.attributes(&principal, &store.id).await?;
    let data: Vec<Value> = passages
        .iter()
        .filter_map(|passage| Some(result(passage, known.get(&passage.chunk.file)?, &attributes)))
        .collect();
    Ok(JsonAnswer(json!({
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": data,
        "has_more": false,
        "next_page": null,
    })))
}

/// Refuse a store that has expired, and note that one which may was used.
async fn note_use(state: &ApiState, principal: &Principal, store: &Collection) -> ApiResult<()> {
    let Some(expires_at) = views::expires_at(store) else { return Ok(()) };
    let now = state.registry.clock().now().seconds();
    if expires_at <= now {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "The vector store has expired."));
    }
    let mut kept = views::kept(store);
    if now - views::last_active(store, &kept) >= NOTED_EVERY && state.library.may_write(principal, store) {
        kept.insert("last_active_at".into(), now.into());
        let mut meta = store.meta.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        meta.insert(views::STORE.into(), kept.into());
        state.library.set_meta(principal, &store.id, meta.into()).await?;
    }
    Ok(())
}

fn queries(query: &Value) -> ApiResult<Vec<String>> {
    let texts: Option<Vec<String>> = match query {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let texts = texts.filter(|texts| (1..=MOST_QUERIES).contains(&texts.len()));
    texts.filter(|texts| texts.iter().all(|text| !text.trim().is_empty())).ok_or_else(|| {
        ApiError::bad_request(format!("`query` is a text, or a list of 1 to {MOST_QUERIES} texts."))
    })
}

/// The best passages over all wordings: each by its best place.
async fn best(
    state: &ApiState,
    principal: &Principal,
    question: &Question,
    queries: &[String],
) -> ApiResult<Vec<Passage>> {
    let embedding = state.tuning.embedding().model;
    let mut best: HashMap<u32, (usize, Passage)> = HashMap::new();
    for text in queries {
        let question = Question { text: text.clone(), ..question.clone() };
        let answer = metered_search(&state.meter, &state.retriever, principal, &embedding, question).await?;
        for (place, passage) in answer.passages.into_iter().enumerate() {
            let entry = best.entry(passage.chunk.id.0).or_insert_with(|| (place, passage));
            entry.0 = entry.0.min(place);
        }
    }
    let mut ranked: Vec<(usize, Passage)> = best.into_values().collect();
    ranked.sort_by(|(place_a, a), (place_b, b)| place_a.cmp(place_b).then(a.chunk.id.cmp(&b.chunk.id)));
    Ok(ranked.into_iter().take(question.limit).map(|(_, passage)| passage).collect())
}

fn result(passage: &Passage, file: &File, attributes: &HashMap<FileId, Map<String, Value>>) -> Value {
    let score = (f64::from(passages::similarity(passage)) * 1e6).round() / 1e6;
    json!({
        "file_id": file.id.as_str(),
        "filename": file.name,
        "score": score,
        "attributes": attributes.get(&file.id).cloned().unwrap_or_default(),
        "content": [{"type": "text", "text": passage.chunk.chunk.text}],
    })
}

/// The items of a chat that the `file_search` tools of a response stand for; `None` if there are none.
pub(crate) fn tool_items(tools: &Value) -> Option<Vec<Value>> {
    let searches = tools.as_array()?.iter().filter(|tool| tool["type"] == "file_search");
    let mut items = Vec::new();
    for tool in searches {
        let k = tool["max_num_results"].as_u64().and_then(|k| usize::try_from(k).ok());
        let ranking: Ranking = serde_json::from_value(tool["ranking_options"].clone()).unwrap_or_default();
        let options = ranking.options(k.or(Some(20)), tool["filters"].clone());
        for store in tool["vector_store_ids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut item =
                json!({"type": "collection", "id": store, "k": options.k, "filters": options.filters});
            if let Some(threshold) = options.r {
                item["r"] = threshold.into();
            }
            if options.rerank == Some(false) {
                item["rerank"] = false.into();
            }
            items.push(item);
        }
    }
    (!items.is_empty()).then_some(items)
}
