//! A search that says how its answer came about.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use axum::{Json as JsonAnswer, extract::State};
use breezeway_chat::{ContextItem, ItemKind, Source, SourcePassage};
use breezeway_core::{CollectionId, FileId, Principal};
use breezeway_knowledge::{File, Filter, Wanted};
use breezeway_retrieval::{Answer, Cut, CutReason, Passage, Question, Reranked, Stages};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::MOST_NAMES;
use crate::{
    error::{ApiError, ApiResult},
    extract::{Json, Trail, Verified, shared_with},
    metered::metered_search,
    search::SearchOptions,
    state::ApiState,
    views::passages,
};

/// A question, and what is wanted beside its passages.
#[derive(Deserialize, ToSchema)]
pub(super) struct SearchForm {
    query: String,
    /// Collections to search, by id or name; `file-<id>` is a file.
    #[serde(default)]
    collection_names: Vec<String>,
    /// Files to search.
    #[serde(default)]
    file_ids: Vec<String>,
    /// Also the messages that a model would be sent.
    #[serde(default)]
    prompt: bool,
    #[serde(flatten)]
    options: SearchOptions,
}

/// One thing that is searched, and the files of it that may be.
struct Scope {
    item: ContextItem,
    files: Vec<FileId>,
}

/// Search, and say how the answer came about: ranks and scores of both legs, their fusion, what was cut
/// and why, and how long each stage took. Without collections and files, everything the caller may read
/// is searched. What they may not read, or what does not exist, gives nothing.
#[utoipa::path(
    post, path = "/api/v1/retrieval/search", tag = "retrieval", request_body = SearchForm,
    responses((status = 200, description = "passages, best first, and how they came about"), (status = "4XX", description = "refused")),
)]
pub(super) async fn search(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    trail: Trail,
    Json(form): Json<SearchForm>,
) -> ApiResult<JsonAnswer<Value>> {
    if form.collection_names.len() + form.file_ids.len() > MOST_NAMES {
        let message = format!("List should have at most {MOST_NAMES} items");
        return Err(ApiError::invalid("too_long", &["body", "collection_names"], &message, Value::Null));
    }
    let filter = form.options.filter().map_err(|error| bad_filter(&error))?;
    let (scopes, unfiltered) = scopes(&state, (&principal, &trail), &form, filter.as_ref()).await?;
    let settings = state.tuning.settings().rag;
    let mut files: Vec<FileId> = scopes.iter().flat_map(|scope| scope.files.iter().cloned()).collect();
    files.sort();
    files.dedup();
    let searched = files.len();
    let question = Question { files, ..form.options.question(&form.query, &settings) };
    let embedding = state.tuning.embedding();
    let answer = match form.query.trim().is_empty() {
        true => Answer::default(),
        false => {
            metered_search(&state.meter, &state.retriever, &principal, &embedding.model, question).await?
        }
    };
    let known = files_of(&state, &answer).await?;
    let prompt = match form.prompt {
        true => Some(prompt(&state, &form.query, scopes, &answer, &known)),
        false => None,
    };
    let counts = Counts { searched, filtered_out: unfiltered.saturating_sub(searched) };
    let mut view = view(&answer, &known, &counts, &embedding.metadata());
    view.insert("query".into(), form.query.into());
    if let Some(prompt) = prompt {
        view.insert("prompt".into(), prompt);
    }
    Ok(JsonAnswer(view.into()))
}

pub(crate) fn bad_filter(error: &breezeway_knowledge::BadFilter) -> ApiError {
    ApiError::invalid("value_error", &["body", "filters"], &error.to_string(), Value::Null)
}

/// What is to be searched, and how many files it is without the filter.
async fn scopes(
    state: &ApiState,
    (principal, trail): (&Principal, &Trail),
    form: &SearchForm,
    filter: Option<&Filter>,
) -> ApiResult<(Vec<Scope>, usize)> {
    let library = &state.library;
    if form.collection_names.is_empty() && form.file_ids.is_empty() {
        let (files, all) = library.searchable_anywhere(principal, filter).await?;
        let scopes = files.into_iter().map(|file| Scope { item: file_item(&file), files: vec![file] });
        return Ok((scopes.collect(), all));
    }
    let (mut scopes, mut all) = (Vec::new(), BTreeSet::new());
    for wanted in wanted(form) {
        report(state, principal, trail, &wanted).await?;
        let files = library.searchable_where(principal, &wanted, filter).await?;
        all.extend(match filter {
            Some(_) => library.searchable(principal, &wanted).await?,
            None => files.clone(),
        });
        let item = match &wanted {
            Wanted::File(id) => file_item(id),
            Wanted::Collection(id) => collection_item(id),
        };
        scopes.push(Scope { item, files });
    }
    Ok((scopes, all.len()))
}

fn wanted(form: &SearchForm) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for name in &form.collection_names {
        wanted.extend(match name.strip_prefix("file-") {
            Some(id) => file_wanted(id),
            None => name.parse::<CollectionId>().ok().map(Wanted::Collection),
        });
    }
    wanted.extend(form.file_ids.iter().filter_map(|id| file_wanted(id)));
    wanted
}

/// An admin who reads what is another's leaves a trace.
async fn report(state: &ApiState, principal: &Principal, trail: &Trail, wanted: &Wanted) -> ApiResult<()> {
    if !principal.is_admin() {
        return Ok(());
    }
    match wanted {
        Wanted::File(id) => {
            if let Ok(file) = state.library.file(principal, id).await {
                trail.report_foreign(principal, &file.owner, "file", &file.id).await;
            }
        }
        Wanted::Collection(id) => {
            let found = state.library.find_collection(principal, id.as_str()).await?;
            if let Some(found) = found.filter(|it| !shared_with(principal, &it.owner, &it.grants)) {
                trail.report_foreign(principal, &found.owner, "knowledge", &found.id).await;
            }
        }
    }
    Ok(())
}

fn file_wanted(id: &str) -> Option<Wanted> {
    id.parse().ok().map(Wanted::File)
}

fn file_item(id: &FileId) -> ContextItem {
    item(ItemKind::File(id.clone()), "file", id.as_str())
}

fn collection_item(id: &CollectionId) -> ContextItem {
    item(ItemKind::Collection(id.clone()), "collection", id.as_str())
}

fn item(kind: ItemKind, word: &str, id: &str) -> ContextItem {
    let sent = [("type", word), ("id", id)].map(|(name, value)| (name.to_owned(), Value::from(value)));
    ContextItem { kind, name: None, full: false, sent: sent.into_iter().collect() }
}

async fn files_of(state: &ApiState, answer: &Answer) -> ApiResult<HashMap<FileId, File>> {
    let mut ids: Vec<FileId> = answer.passages.iter().map(|passage| passage.chunk.file.clone()).collect();
    ids.sort();
    ids.dedup();
    let files = state.library.files_by_id(&ids).await?;
    Ok(files.into_iter().map(|file| (file.id.clone(), file)).collect())
}

/// The messages that a chat with this question and these items would be sent on with.
fn prompt(
    state: &ApiState,
    query: &str,
    scopes: Vec<Scope>,
    answer: &Answer,
    known: &HashMap<FileId, File>,
) -> Value {
    let embedding = state.tuning.embedding().metadata();
    // A passage of a file that several of them have is told under the first.
    let mut scope_of: HashMap<&FileId, usize> = HashMap::new();
    for (at, scope) in scopes.iter().enumerate() {
        for file in &scope.files {
            scope_of.entry(file).or_insert(at);
        }
    }
    let mut found: Vec<Vec<SourcePassage>> = scopes.iter().map(|_| Vec::new()).collect();
    for passage in &answer.passages {
        let id = &passage.chunk.file;
        let (Some(&at), Some(file)) = (scope_of.get(id), known.get(id)) else { continue };
        found[at].push(SourcePassage {
            text: passage.chunk.chunk.text.clone(),
            metadata: passages::metadata(file, passage, &embedding),
            score: passage.similarity(),
        });
    }
    drop(scope_of);
    let sources = scopes.into_iter().zip(found).filter_map(|(scope, passages)| {
        (!passages.is_empty()).then(|| Source {
            item: scope.item,
            passages,
            over_budget: 0,
            left_out: Vec::new(),
        })
    });
    state.chat.preview(query, &sources.collect::<Vec<_>>())
}

/// How many files were searched, and how many the filter kept out.
struct Counts {
    searched: usize,
    filtered_out: usize,
}

fn view(
    answer: &Answer,
    known: &HashMap<FileId, File>,
    counts: &Counts,
    embedding: &str,
) -> Map<String, Value> {
    let trace = &answer.trace;
    let shown = answer.passages.iter().filter_map(|passage| Some((passage, known.get(&passage.chunk.file)?)));
    let passages: Vec<Value> = (1..)
        .zip(shown)
        .map(|(rank, (passage, file))| passage_view(rank, passage, file, embedding))
        .collect();
    let mut view = Map::new();
    view.insert("passages".into(), passages.into());
    view.insert(
        "counts".into(),
        json!({
            "files": counts.searched,
            "files_filtered_out": counts.filtered_out,
            "chunks": trace.allowed,
            "by_words": trace.by_words,
            "by_meaning": trace.by_meaning,
            "candidates": trace.candidates,
            "cut": trace.cut.len(),
        }),
    );
    view.insert("cut".into(), trace.cut.iter().map(cut_view).collect());
    let method = if trace.dense_weight.is_some() { "z-score" } else { "one leg" };
    let weight = trace.dense_weight.map(rounded);
    view.insert("fusion".into(), json!({"method": method, "dense_weight": weight, "terms": trace.terms}));
    view.insert(
        "rerank".into(),
        match &trace.rerank {
            None => Value::Null,
            Some(Reranked::Done(passages)) => json!({"status": "done", "passages": passages}),
            Some(Reranked::FellBack(why)) => json!({"status": "fell_back", "why": why}),
        },
    );
    view.insert("degraded".into(), answer.degraded.clone().into());
    view.insert("timings_ms".into(), timings(&trace.stages));
    view
}

fn passage_view(rank: usize, passage: &Passage, file: &File, embedding: &str) -> Value {
    let place = passage.place;
    json!({
        "rank": rank,
        "text": passage.chunk.chunk.text,
        "score": rounded(passage.score),
        "similarity": passage.similarity().map(rounded),
        "words": {"rank": place.bm25_rank, "score": passage.bm25.map(rounded), "share": rounded(place.shares.0)},
        "meaning": {"rank": place.cosine_rank, "score": passage.cosine.map(rounded), "share": rounded(place.shares.1)},
        "fused_rank": place.fused_rank,
        "reranked": place.reranked.map(rounded),
        "chunk": passage.chunk.id.0,
        "metadata": passages::metadata(file, passage, embedding),
    })
}

fn cut_view(cut: &Cut) -> Value {
    let why = match cut.why {
        CutReason::BelowThreshold => "below_threshold",
        CutReason::SameText => "same_text",
        CutReason::OverLimit => "over_limit",
        CutReason::Gone => "deleted_meanwhile",
    };
    let file = cut.file.as_ref().map(FileId::as_str);
    json!({"chunk": cut.chunk.0, "file_id": file, "score": rounded(cut.score), "why": why})
}

fn timings(stages: &Stages) -> Value {
    let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    json!({
        "follow": millis(stages.follow),
        "embed": millis(stages.embed),
        "wait": millis(stages.wait),
        "filter": millis(stages.filter),
        "meaning": millis(stages.dense),
        "words": millis(stages.lexical),
        "fuse": millis(stages.fuse),
        "read": millis(stages.read),
        "rerank": millis(stages.rerank),
        "total": millis(stages.total),
    })
}

/// The number without the digits that the wider type would make up.
fn rounded(number: f32) -> f64 {
    if number.is_finite() { (f64::from(number) * 1e6).round() / 1e6 } else { 0.0 }
}
