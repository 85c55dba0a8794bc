//! The usage ledger and what is used of budgets.

use breezeway_core::{Period, StoreError};
use breezeway_usage::{
    Batch, BudgetRecord, Day, LedgerKey, Recovered, Report, ReportQuery, ReportRow, Totals, Unit,
};

use crate::db::{Row, Tx, Value, unreadable};

/// No number of a row becomes larger, so that a report can add up a thousand rows of the largest.
const MOST: u64 = 1 << 53;

macro_rules! select {
    () => {
        "SELECT iif(?3, day, NULL) AS by_day, iif(?4, account, NULL) AS by_account, \
         iif(?5, nullif(key, ''), NULL) AS by_key, iif(?6, model, NULL) AS by_model, \
         sum(requests) AS requests, sum(estimated) AS estimated, sum(failed) AS failed, \
         sum(aborted) AS aborted, sum(refused) AS refused, sum(input) AS input, sum(output) AS output, \
         sum(cached) AS cached, sum(cost) AS cost, sum(first_token_ms) AS first_token_ms, \
         sum(first_tokens) AS first_tokens, sum(duration_ms) AS duration_ms FROM usage WHERE "
    };
}

macro_rules! group {
    () => {
        " GROUP BY by_day, by_account, by_key, by_model \
         ORDER BY by_day DESC, by_account, by_key, by_model LIMIT ?7"
    };
}

/// Forget budgets of periods that began before `since`, and read the others.
pub(crate) fn recover(tx: &mut Tx<'_>, since: Day) -> Result<Recovered, StoreError> {
    tx.execute("DELETE FROM usage_budgets WHERE start < ?1", &[day(since)])?;
    let budgets = tx.query("SELECT holder, period, start, unit, used FROM usage_budgets", &[], |row| {
        let (period, unit) = (row.text("period")?, row.text("unit")?);
        Ok(BudgetRecord {
            holder: row.text("holder")?.into(),
            period: match period.as_str() {
                "day" => Period::Day,
                "month" => Period::Month,
                _ => return Err(unreadable("period", period)),
            },
            start: Day::from_number(row.number("start")?),
            unit: match unit.as_str() {
                "tokens" => Unit::Tokens,
                "micro_units" => Unit::MicroUnits,
                _ => return Err(unreadable("unit", unit)),
            },
            used: row.number("used")?,
        })
    })?;
    Ok(Recovered { last_batch: last_batch(tx)?, budgets })
}

/// Write a batch, unless it is already there.
pub(crate) fn write(tx: &mut Tx<'_>, batch: &Batch) -> Result<(), StoreError> {
    let new = tx.execute("UPDATE usage_batches SET last = ?1 WHERE last < ?1", &[batch.number.into()])?;
    if new == 0 {
        return Ok(());
    }
    batch.rows.iter().try_for_each(|(key, totals)| add(tx, key, totals))?;
    batch.budgets.iter().try_for_each(|record| put_budget(tx, record))
}

/// Delete the earliest rows of days before one.
pub(crate) fn forget(tx: &mut Tx<'_>, before: Day, most: u64) -> Result<u64, StoreError> {
    let deleted = tx.execute(
        "DELETE FROM usage WHERE (day, account, key, model, operation, upstream) IN (\
         SELECT day, account, key, model, operation, upstream FROM usage WHERE day < ?1 \
         ORDER BY day, account, key, model, operation, upstream LIMIT ?2)",
        &[day(before), most.into()],
    )?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

/// Add up rows.
pub(crate) fn report(tx: &mut Tx<'_>, query: &ReportQuery) -> Result<Report, StoreError> {
    // Two statements, so that each has its index.
    let sql = match &query.account {
        Some(_) => concat!(select!(), "account = ?8 AND day BETWEEN ?1 AND ?2", group!()),
        None => concat!(select!(), "?8 IS NULL AND day BETWEEN ?1 AND ?2", group!()),
    };
    let by = query.group_by;
    let values = [
        day(query.since),
        day(query.until),
        by.day.into(),
        by.account.into(),
        by.key.into(),
        by.model.into(),
        query.limit.into(),
        query.account.as_ref().into(),
    ];
    let rows = tx.query(sql, &values, |row| {
        Ok(ReportRow {
            day: row.opt_number("by_day")?.map(Day::from_number),
            account: row.opt_id("by_account")?,
            key: row.opt_id("by_key")?,
            model: row.opt_text("by_model")?.map(Into::into),
            totals: totals(row)?,
        })
    })?;
    Ok(Report { last_batch: last_batch(tx)?, rows })
}

fn add(tx: &mut Tx<'_>, key: &LedgerKey, totals: &Totals) -> Result<(), StoreError> {
    // `min(x, MOST - y) + y` is `min(x + y, MOST)` without ever being larger than either.
    tx.execute(
        "INSERT INTO usage (day, account, key, model, operation, upstream, requests, estimated, failed, aborted, \
         refused, input, output, cached, cost, first_token_ms, first_tokens, duration_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) \
         ON CONFLICT (day, account, key, model, operation, upstream) DO UPDATE SET \
         requests = min(requests, ?19 - ?7) + ?7, estimated = min(estimated, ?19 - ?8) + ?8, \
         failed = min(failed, ?19 - ?9) + ?9, aborted = min(aborted, ?19 - ?10) + ?10, \
         refused = min(refused, ?19 - ?11) + ?11, input = min(input, ?19 - ?12) + ?12, \
         output = min(output, ?19 - ?13) + ?13, cached = min(cached, ?19 - ?14) + ?14, \
         cost = min(cost, ?19 - ?15) + ?15, first_token_ms = min(first_token_ms, ?19 - ?16) + ?16, \
         first_tokens = min(first_tokens, ?19 - ?17) + ?17, duration_ms = min(duration_ms, ?19 - ?18) + ?18",
        &[
            day(key.day),
            (&key.account).into(),
            key.key.as_ref().map_or("", |key| key.as_str()).into(),
            key.model.as_ref().into(),
            key.operation.as_str().into(),
            key.upstream.as_deref().unwrap_or_default().into(),
            number(totals.requests),
            number(totals.estimated),
            number(totals.failed),
            number(totals.aborted),
            number(totals.refused),
            number(totals.input),
            number(totals.output),
            number(totals.cached),
            number(totals.cost),
            number(totals.first_token_ms),
            number(totals.first_tokens),
            number(totals.duration_ms),
            MOST.into(),
        ],
    )
    .map(drop)
}

fn totals(row: &Row<'_>) -> Result<Totals, StoreError> {
    Ok(Totals {
        requests: row.number("requests")?,
        estimated: row.number("estimated")?,
        failed: row.number("failed")?,
        aborted: row.number("aborted")?,
        refused: row.number("refused")?,
        input: row.number("input")?,
        output: row.number("output")?,
        cached: row.number("cached")?,
        cost: row.number("cost")?,
        first_token_ms: row.number("first_token_ms")?,
        first_tokens: row.number("first_tokens")?,
        duration_ms: row.number("duration_ms")?,
    })
}

fn put_budget(tx: &mut Tx<'_>, record: &BudgetRecord) -> Result<(), StoreError> {
    let period = match record.period {
        Period::Day => "day",
        Period::Month => "month",
    };
    let unit = match record.unit {
        Unit::Tokens => "tokens",
        Unit::MicroUnits => "micro_units",
    };
    tx.execute(
        "INSERT INTO usage_budgets (holder, period, start, unit, used) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (holder) DO UPDATE SET \
         period = excluded.period, start = excluded.start, unit = excluded.unit, used = excluded.used",
        &[
            record.holder.as_ref().into(),
            period.into(),
            day(record.start),
            unit.into(),
            // Beyond the database's range is more than any budget.
            record.used.into(),
        ],
    )
    .map(drop)
}

fn last_batch(tx: &mut Tx<'_>) -> Result<u64, StoreError> {
    tx.query_one("SELECT last FROM usage_batches", &[], |row| row.number("last"))
}

fn day(day: Day) -> Value<'static> {
    i64::from(day.number()).into()
}

fn number(number: u64) -> Value<'static> {
    number.min(MOST).into()
}
