//! `/api/v1/usage`: what was used, by day, model, account and key.

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_core::UserId;
use breezeway_usage::{Day, GroupBy, ReportQuery};
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::{Admin, Query, Verified},
    state::ApiState,
    views::usage,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(own)).routes(routes!(all))
}

/// How many days a report covers if it does not say.
const DAYS: i32 = 30;

/// The most rows of a report.
const MOST_ROWS: u32 = 10_000;

#[derive(Deserialize, IntoParams)]
struct UsageQuery {
    /// The first day, as `2026-01-31`, in UTC; 30 days before the last one if missing.
    since: Option<String>,
    /// The last day, which is included; today if missing.
    until: Option<String>,
    /// What is kept apart: `day`, `model`, `account`, `key`, with commas between; `day,model` if missing.
    group_by: Option<String>,
    /// `json` or `csv`.
    format: Option<String>,
    /// How many rows at most, up to 10000, the newest days first.
    limit: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
struct AllUsageQuery {
    /// Only the calls of this account.
    user_id: Option<String>,
}

/// What the caller used.
#[utoipa::path(
    get, path = "/api/v1/usage", tag = "usage", params(UsageQuery),
    responses(
        (status = 200, description = "`{\"since\", \"until\", \"rows\": […]}`, or CSV"),
        (status = "4XX", description = "refused"),
    ),
)]
async fn own(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<UsageQuery>,
) -> ApiResult<Response> {
    report(&state, query, Some(principal.user)).await
}

/// What everybody used.
#[utoipa::path(
    get, path = "/api/v1/usage/all", tag = "usage", params(UsageQuery, AllUsageQuery),
    responses(
        (status = 200, description = "`{\"since\", \"until\", \"rows\": […]}`, or CSV"),
        (status = "4XX", description = "refused"),
    ),
)]
async fn all(
    State(state): State<ApiState>,
    _: Admin,
    Query(query): Query<UsageQuery>,
    Query(all): Query<AllUsageQuery>,
) -> ApiResult<Response> {
    let account = all.user_id.map(|id| id.parse::<UserId>()).transpose();
    let account = account.map_err(|_| ApiError::not_found())?;
    report(&state, query, account).await
}

async fn report(state: &ApiState, query: UsageQuery, account: Option<UserId>) -> ApiResult<Response> {
    let today = Day::of(state.registry.clock().now());
    let until = day("until", query.until)?.unwrap_or(today);
    let first = Day::from_number(until.number().saturating_sub(DAYS - 1));
    let since = day("since", query.since)?.unwrap_or(first);
    let as_csv = match query.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(other) => return Err(invalid("format", "Input should be 'json' or 'csv'", other)),
    };
    let limit = query.limit.unwrap_or(MOST_ROWS).clamp(1, MOST_ROWS);
    let group_by = group_by(query.group_by.as_deref().unwrap_or("day,model"))?;
    let query = ReportQuery { since, until, account, group_by, limit };
    let rows = state.meter.report(&query).await.map_err(|failure| ApiError::from_store(&failure))?;
    if as_csv {
        let csv = usage::csv(&rows, &state.auth);
        let kind = HeaderValue::from_static("text/csv; charset=utf-8");
        let name = HeaderValue::from_static("attachment; filename=\"usage.csv\"");
        return Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], csv).into_response());
    }
    let rows: Vec<Value> = rows.iter().map(|row| usage::row(row, &state.auth)).collect();
    let answer = json!({"since": since.to_string(), "until": until.to_string(), "rows": rows});
    Ok(JsonAnswer(answer).into_response())
}

fn day(name: &'static str, text: Option<String>) -> ApiResult<Option<Day>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(day) => Ok(Some(day)),
        Err(_) => Err(invalid(name, "Input should be a day such as 2026-01-31", &text)),
    }
}

fn group_by(text: &str) -> ApiResult<GroupBy> {
    let mut group_by = GroupBy::default();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "day" => group_by.day = true,
            "model" => group_by.model = true,
            "account" => group_by.account = true,
            "key" => group_by.key = true,
            other => {
                let message = "Input should be made of 'day', 'model', 'account' and 'key'";
                return Err(invalid("group_by", message, other));
            }
        }
    }
    Ok(group_by)
}

fn invalid(field: &'static str, message: &str, input: &str) -> ApiError {
    ApiError::invalid("value_error", &["query", field], message, input.into())
}
