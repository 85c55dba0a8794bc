//! Files of collections that are looked for across them, and those still on their way.

use std::time::Duration;

use axum::{
    Json as JsonAnswer,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use breezeway_core::{CollectionId, Principal};
use breezeway_knowledge::{CollectionQuery, FileOrder, FileState, MemberQuery, Slice};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{FILES_SHOWN, PAGE, id_of, owner};
use crate::{
    error::ApiResult,
    extract::{Query, Verified},
    routes::files::positive,
    sse,
    state::ApiState,
    views::{files, knowledge},
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(search_files)).routes(routes!(pending))
}

/// Time between two events about files on their way.
const EVENT_EVERY: Duration = Duration::from_secs(3);
/// How long such events are sent at most.
const EVENTS_FOR: Duration = Duration::from_secs(2 * 3600);

#[derive(Deserialize, IntoParams)]
struct SearchFilesQuery {
    /// Only names that contain this.
    query: Option<String>,
    /// From 1.
    page: Option<i64>,
}

#[derive(Deserialize, IntoParams)]
struct PendingQuery {
    /// Answer events until none is on its way any more.
    stream: Option<bool>,
}

/// Find files in all collections that the caller may read, the latest changed first.
#[utoipa::path(
    get, path = "/api/v1/knowledge/search/files", tag = "knowledge", params(SearchFilesQuery),
    responses((status = 200, description = "`{\"items\": […], \"total\": n}`"), (status = "4XX", description = "refused")),
)]
async fn search_files(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<SearchFilesQuery>,
) -> ApiResult<JsonAnswer<Value>> {
    let page = positive(query.page)?;
    let text = query.query.filter(|text| !text.is_empty());
    let mut found = Vec::new();
    for (collection, files) in state.library.collections(&principal, CollectionQuery::default()).await? {
        if files == 0 {
            continue;
        }
        let slice = Slice { offset: 0, limit: FILES_SHOWN };
        let wanted = MemberQuery { text: text.clone(), order: FileOrder::LatestChangeFirst, slice };
        let members = state.library.members(&principal, &collection.id, wanted).await?;
        found.extend(members.items.into_iter().map(|member| (collection.clone(), member)));
    }
    found.sort_by(|(_, left), (_, right)| {
        right.file.updated_at.cmp(&left.file.updated_at).then_with(|| left.file.id.cmp(&right.file.id))
    });
    let skipped = usize::try_from((page - 1).saturating_mul(PAGE)).unwrap_or(usize::MAX);
    let items: Vec<_> = found
        .iter()
        .skip(skipped)
        .take(PAGE as usize)
        .map(|(collection, member)| {
            let mut view = knowledge::member(collection, member, owner(&state, member));
            view.insert("collection".into(), knowledge::view(collection, None, false).into());
            view
        })
        .collect();
    Ok(JsonAnswer(json!({"items": items, "total": found.len()})))
}

/// The files of a collection that are still being processed, once or as events until there is none.
#[utoipa::path(
    get, path = "/api/v1/knowledge/{id}/files/pending", tag = "knowledge",
    params(("id" = String, Path), PendingQuery),
    responses((status = 200, description = "files"), (status = "4XX", description = "refused")),
)]
async fn pending(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Path(id): Path<String>,
    Query(query): Query<PendingQuery>,
) -> ApiResult<Response> {
    let id = id_of(&id)?;
    let now = on_their_way(&state, &principal, &id).await?;
    if query.stream == Some(true) {
        return Ok(sse::events(events(state, principal, id, now)));
    }
    Ok(JsonAnswer(now).into_response())
}

async fn on_their_way(state: &ApiState, principal: &Principal, id: &CollectionId) -> ApiResult<Vec<Value>> {
    let members = state.library.all_members(principal, id).await?;
    let waiting = |state: &FileState| matches!(state, FileState::Pending | FileState::Processing);
    let mut waiting: Vec<_> = members.iter().filter(|file| waiting(&file.state)).collect();
    waiting.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
    Ok(waiting.into_iter().map(|file| files::view(file, None).into()).collect())
}

/// The list at once and then every three seconds; the last one is empty.
fn events(
    state: ApiState,
    principal: Principal,
    id: CollectionId,
    first: Vec<Value>,
) -> impl stream::Stream<Item = Bytes> + Send {
    let deadline = Instant::now() + EVENTS_FOR;
    stream::unfold(Some((state, principal, id, Some(first))), move |watch| async move {
        let (state, principal, id, first) = watch?;
        let list = match first {
            Some(first) => first,
            None => {
                sleep(EVENT_EVERY).await;
                // Gone, or no longer the caller's to read: there is nothing more to say.
                on_their_way(&state, &principal, &id).await.ok()?
            }
        };
        let ends = list.is_empty() || Instant::now() >= deadline;
        let event = Bytes::from(format!("data: {}\n\n", Value::from(list)));
        Some((event, (!ends).then_some((state, principal, id, None))))
    })
}
