//! `/api/v1/audit`: who did what, for admins.

use axum::{
    Json as JsonAnswer,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_auth::{Action, AuditCursor, AuditLog, AuditQuery};
use breezeway_core::UnixTime;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Query},
    state::ApiState,
    views::audit::{AuditPage, AuditView},
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// How many entries a page has unless told otherwise, and at most.
const PAGE: u64 = 100;
const LARGEST_PAGE: u64 = 1000;

#[derive(Deserialize, IntoParams)]
struct AuditFilter {
    /// Not before this time, in seconds since 1970.
    since: Option<i64>,
    /// Not at or after this time, in seconds since 1970.
    until: Option<i64>,
    /// Only what the account with this id did.
    actor: Option<String>,
    /// Only this action.
    action: Option<String>,
    /// Only what was done to the thing with this id; for failed sign-ins, the address typed.
    target: Option<String>,
    /// Only entries with lower numbers: `next` of the page before.
    before: Option<u64>,
    /// Entries to answer, 1 to 1000; 100 unless given. An export answers all.
    limit: Option<u64>,
}

impl AuditFilter {
    fn read(self) -> ApiResult<AuditQuery> {
        let wrong = |field: &str, why: String, given: &str| {
            ApiError::invalid("value_error", &["query", field], &why, given.into())
        };
        let actor = self.actor.as_deref().map(|id| {
            id.parse().map_err(|why: breezeway_core::InvalidId| wrong("actor", why.to_string(), id))
        });
        let action = self.action.as_deref().map(|word| {
            let unknown = |why: breezeway_auth::UnknownAction| wrong("action", why.to_string(), "…");
            word.parse::<Action>().map_err(unknown)
        });
        Ok(AuditQuery {
            since: self.since.map(UnixTime::from_seconds),
            until: self.until.map(UnixTime::from_seconds),
            actor: actor.transpose()?,
            action: action.transpose()?,
            target: self.target,
            from: AuditCursor::Before(self.before),
            limit: self.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE),
        })
    }
}

/// The audit log, latest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(AuditFilter),
    responses((status = 200, body = AuditPage), (status = "4XX", description = "refused")),
)]
async fn list(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Query(filter): Query<AuditFilter>,
) -> ApiResult<JsonAnswer<AuditPage>> {
    let query = filter.read()?;
    let entries = state.audit.entries(&query).await.map_err(|failure| ApiError::from_store(&failure))?;
    Ok(JsonAnswer(AuditPage::new(entries, query.limit)))
}

/// The whole audit log as JSON lines, earliest first.
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "audit", params(AuditFilter),
    responses(
        (status = 200, description = "an entry a line", content_type = "application/x-ndjson"),
        (status = "4XX", description = "refused"),
    ),
)]
async fn export(
    State(state): State<ApiState>,
    Admin(_): Admin,
    Query(filter): Query<AuditFilter>,
) -> ApiResult<Response> {
    let mut query = filter.read()?;
    query.from = AuditCursor::After(0);
    query.limit = LARGEST_PAGE;
    // The first page is read before the head is sent, so that a failure is a status.
    let first = page(&state.audit, &query).await.map_err(|failure| ApiError::from_store(&failure))?;
    let rest =
        stream::try_unfold((state.audit.clone(), query, Some(first)), |(log, mut query, ready)| async move {
            let (lines, last) = match ready {
                Some(page) => page,
                None => page(&log, &query).await.map_err(std::io::Error::other)?,
            };
            let Some(last) = last else { return Ok::<_, std::io::Error>(None) };
            query.from = AuditCursor::After(last);
            Ok(Some((lines, (log, query, None))))
        });
    let kind = HeaderValue::from_static("application/x-ndjson");
    let name = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(rest)).into_response())
}

/// A page as lines, with the number of its last entry; `None` if there is none.
async fn page(
    log: &AuditLog,
    query: &AuditQuery,
) -> Result<(Bytes, Option<u64>), breezeway_core::StoreError> {
    let entries = log.entries(query).await?;
    let last = entries.last().map(|entry| entry.id);
    let mut lines = Vec::new();
    for entry in entries {
        // Every key of the detail is a text, which is the only thing that can go wrong here.
        if serde_json::to_writer(&mut lines, &AuditView::from(entry)).is_ok() {
            lines.push(b'\n');
        }
    }
    Ok((lines.into(), last))
}
