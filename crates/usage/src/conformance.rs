//! The contract of the port, sentence by sentence.
//!
//! An implementation runs [`ledger_store`] in a test of its own, with a function that makes a fresh,
//! empty store for each check.

use std::sync::Arc;

use breezeway_core::Period;

use crate::{
    Batch, BudgetRecord, Day, GroupBy, LedgerKey, LedgerStore, Operation, Recovered, ReportQuery, ReportRow,
    Totals, Unit,
};

/// Check everything that [`LedgerStore`] promises.
///
/// # Panics
/// If a promise is not kept.
pub async fn ledger_store<S: LedgerStore>(fresh: impl AsyncFn() -> S) {
    a_fresh_store_is_empty(&fresh().await).await;
    rows_are_added_number_by_number(&fresh().await).await;
    a_batch_counts_once(&fresh().await).await;
    a_batch_of_the_past_changes_nothing(&fresh().await).await;
    too_large_numbers_stay_large(&fresh().await).await;
    a_budget_replaces_the_one_before(&fresh().await).await;
    budgets_of_the_past_are_forgotten(&fresh().await).await;
    days_and_accounts_are_chosen(&fresh().await).await;
    what_is_not_kept_apart_is_added_up(&fresh().await).await;
    rows_have_an_order_and_a_limit(&fresh().await).await;
    rows_of_old_days_are_forgotten(&fresh().await).await;
}

const EVERYTHING: GroupBy = GroupBy { day: true, model: true, account: true, key: true };

fn day(number: i32) -> Day {
    Day::from_number(20_000 + number)
}

/// A row by day, account, key and model.
fn row(of: i32, account: &str, key: &str, model: &str) -> LedgerKey {
    LedgerKey {
        day: day(of),
        account: account.parse().expect("a name is an id"),
        key: key.parse().ok(),
        model: model.into(),
        operation: Operation::Chat,
        upstream: None,
    }
}

/// Totals in which no two numbers are alike.
fn totals(number: u64) -> Totals {
    Totals {
        requests: number,
        estimated: number + 1,
        failed: number + 2,
        aborted: number + 3,
        refused: number + 4,
        input: number + 5,
        output: number + 6,
        cached: number + 7,
        cost: number + 8,
        first_token_ms: number + 9,
        first_tokens: number + 10,
        duration_ms: number + 11,
    }
}

fn sum(parts: &[Totals]) -> Totals {
    let mut sum = Totals::default();
    parts.iter().for_each(|part| sum.add(part));
    sum
}

fn budget(holder: &str, period: Period, of: i32, unit: Unit, used: u64) -> BudgetRecord {
    BudgetRecord { holder: holder.into(), period, start: day(of), unit, used }
}

async fn write<S: LedgerStore>(
    store: &S,
    number: u64,
    rows: &[(LedgerKey, Totals)],
    budgets: &[BudgetRecord],
) {
    let batch = Batch { number, rows: rows.to_vec(), budgets: budgets.to_vec() };
    store.write(Arc::new(batch)).await.expect("a batch is written");
}

async fn recover<S: LedgerStore>(store: &S, since: i32) -> Recovered {
    let mut found = store.recover(day(since)).await.expect("the store is read");
    found.budgets.sort_by(|a, b| a.holder.cmp(&b.holder));
    found
}

fn query(group_by: GroupBy) -> ReportQuery {
    ReportQuery { since: day(0), until: day(99), account: None, group_by, limit: 1000 }
}

async fn rows<S: LedgerStore>(store: &S, query: &ReportQuery) -> Vec<ReportRow> {
    store.report(query).await.expect("the store is read").rows
}

async fn a_fresh_store_is_empty<S: LedgerStore>(store: &S) {
    assert_eq!(recover(store, 0).await, Recovered::default());
    let report = store.report(&query(GroupBy::default())).await.expect("the store is read");
    assert_eq!((report.last_batch, report.rows), (0, Vec::new()), "nothing is no row");
}

async fn rows_are_added_number_by_number<S: LedgerStore>(store: &S) {
    let (here, there) = (row(1, "ada", "k", "m"), row(1, "ada", "", "m"));

    write(store, 1, &[(here.clone(), totals(10)), (there, totals(20))], &[]).await;
    write(store, 2, &[(here, totals(300))], &[]).await;

    let report = store.report(&query(EVERYTHING)).await.expect("the store is read");
    assert_eq!(report.last_batch, 2, "a report says what it covers");
    let row = |key: &str, totals| ReportRow {
        day: Some(day(1)),
        account: Some("ada".parse().expect("an id")),
        key: key.parse().ok(),
        model: Some("m".into()),
        totals,
    };
    assert_eq!(report.rows, [row("", totals(20)), row("k", sum(&[totals(10), totals(300)]))]);
}

async fn a_batch_counts_once<S: LedgerStore>(store: &S) {
    let rows_of_it = [(row(1, "ada", "", "m"), totals(1))];
    let budgets = [budget("k", Period::Day, 1, Unit::Tokens, 7)];
    write(store, 1, &rows_of_it, &budgets).await;

    write(store, 1, &rows_of_it, &budgets).await;

    let found = rows(store, &query(GroupBy::default())).await;
    assert_eq!(found[0].totals, totals(1), "a batch written twice counts once");
    assert_eq!(recover(store, 0).await, Recovered { last_batch: 1, budgets: budgets.to_vec() });
}

async fn a_batch_of_the_past_changes_nothing<S: LedgerStore>(store: &S) {
    write(store, 5, &[], &[budget("k", Period::Day, 1, Unit::Tokens, 7)]).await;

    let late = [budget("k", Period::Day, 1, Unit::Tokens, 3)];
    write(store, 4, &[(row(1, "ada", "", "m"), totals(1))], &late).await;

    let found = recover(store, 0).await;
    assert_eq!((found.last_batch, found.budgets[0].used), (5, 7));
    assert_eq!(rows(store, &query(GroupBy::default())).await, []);
}

async fn too_large_numbers_stay_large<S: LedgerStore>(store: &S) {
    let huge = Totals { input: u64::MAX, output: 1 << 52, requests: 1, ..Totals::default() };
    for number in 1..=3 {
        write(store, number, &[(row(1, "ada", "", "m"), huge)], &[]).await;
    }
    write(store, 4, &[(row(2, "ada", "", "m"), huge)], &[]).await;

    let found = rows(store, &query(GroupBy::default())).await;
    let totals = found[0].totals;
    assert!(totals.input >= 1 << 53 && totals.output >= 1 << 53, "{totals:?}");
    assert_eq!(totals.requests, 4, "a number that is too large harms no other");
}

async fn a_budget_replaces_the_one_before<S: LedgerStore>(store: &S) {
    let first = [
        budget("a", Period::Day, 3, Unit::Tokens, 9),
        budget("b", Period::Month, 3, Unit::MicroUnits, 1 << 60),
    ];
    write(store, 1, &[], &first).await;
    assert_eq!(recover(store, 0).await.budgets, first);

    let second = [budget("a", Period::Month, 1, Unit::MicroUnits, 2)];
    write(store, 2, &[], &second).await;

    let found = recover(store, 0).await.budgets;
    assert_eq!(found, [second[0].clone(), first[1].clone()], "smaller or not");
}

async fn budgets_of_the_past_are_forgotten<S: LedgerStore>(store: &S) {
    let old = budget("old", Period::Day, 4, Unit::Tokens, 1);
    let new = budget("new", Period::Day, 5, Unit::Tokens, 2);
    write(store, 1, &[(row(1, "ada", "", "m"), totals(1))], &[old, new.clone()]).await;

    assert_eq!(recover(store, 5).await.budgets, std::slice::from_ref(&new));

    assert_eq!(recover(store, 0).await.budgets, [new], "what is forgotten does not come back");
    assert_eq!(rows(store, &query(GroupBy::default())).await.len(), 1, "rows are not forgotten");
}

async fn days_and_accounts_are_chosen<S: LedgerStore>(store: &S) {
    let all = [(1, "ada"), (2, "ada"), (2, "eve"), (3, "ada"), (4, "ada")];
    let numbered = all.iter().zip([1, 20, 300, 4000, 50_000]);
    let written: Vec<_> = numbered
        .map(|(&(day, account), input)| (row(day, account, "", "m"), Totals { input, ..Totals::default() }))
        .collect();
    write(store, 1, &written, &[]).await;

    let between = ReportQuery { since: day(2), until: day(3), ..query(GroupBy::default()) };
    let ada = ReportQuery { account: "ada".parse().ok(), ..between.clone() };

    assert_eq!(rows(store, &between).await[0].totals.input, 4320, "both ends are included");
    assert_eq!(rows(store, &ada).await[0].totals.input, 4020);
    let turned = ReportQuery { since: day(3), until: day(2), ..between };
    assert_eq!(rows(store, &turned).await, [], "from later to earlier there is nothing");
}

async fn what_is_not_kept_apart_is_added_up<S: LedgerStore>(store: &S) {
    let mut other = row(1, "ada", "k", "m");
    (other.operation, other.upstream) = (Operation::Embedding, Some("there".into()));
    let written = [
        (row(1, "ada", "k", "m"), totals(1)),
        (other, totals(1)),
        (row(1, "ada", "k", "n"), totals(1)),
        (row(1, "ada", "l", "m"), totals(1)),
        (row(1, "eve", "k", "m"), totals(1)),
        (row(2, "ada", "k", "m"), totals(1)),
    ];
    write(store, 1, &written, &[]).await;

    let one = GroupBy::default();
    for (group_by, requests) in [
        (one, vec![6]),
        (GroupBy { day: true, ..one }, vec![1, 5]),
        (GroupBy { account: true, ..one }, vec![5, 1]),
        (GroupBy { key: true, ..one }, vec![5, 1]),
        (GroupBy { model: true, ..one }, vec![5, 1]),
        (EVERYTHING, vec![1, 2, 1, 1, 1]),
    ] {
        let found = rows(store, &query(group_by)).await;
        let counted: Vec<_> = found.iter().map(|row| row.totals.requests).collect();
        assert_eq!(counted, requests, "{group_by:?}");
        for row in &found {
            assert_eq!(row.day.is_some(), group_by.day);
            assert_eq!(row.account.is_some(), group_by.account);
            assert_eq!(row.key.is_some(), group_by.key, "each has one here");
            assert_eq!(row.model.is_some(), group_by.model);
        }
    }
}

async fn rows_have_an_order_and_a_limit<S: LedgerStore>(store: &S) {
    let order = [
        row(2, "ada", "", "z"),
        row(2, "ada", "k", "Z"),
        row(2, "ada", "k", "a"),
        row(2, "ada", "k", "é"),
        row(2, "adam", "", "a"),
        row(1, "Ada", "", "a"),
    ];
    let mut written: Vec<_> = order.iter().map(|key| (key.clone(), totals(1))).collect();
    written.reverse();
    write(store, 1, &written, &[]).await;

    for limit in [6, 4, 0] {
        let found = rows(store, &ReportQuery { limit, ..query(EVERYTHING) }).await;
        let names: Vec<_> = found
            .into_iter()
            .map(|row| (row.day.expect("a day"), row.account.expect("an account"), row.key, row.model))
            .collect();
        let expected: Vec<_> = order
            .iter()
            .take(limit as usize)
            .map(|key| (key.day, key.account.clone(), key.key.clone(), Some(key.model.clone())))
            .collect();
        assert_eq!(names, expected);
    }
}

async fn rows_of_old_days_are_forgotten<S: LedgerStore>(store: &S) {
    let kept =
        [row(1, "ada", "", "m"), row(2, "ada", "", "m"), row(2, "bob", "k", "m"), row(3, "ada", "", "m")];
    let written: Vec<_> = kept.iter().map(|key| (key.clone(), totals(1))).collect();
    let budget = budget("k", Period::Month, 0, Unit::Tokens, 7);
    write(store, 1, &written, std::slice::from_ref(&budget)).await;
    let left = async || rows(store, &query(EVERYTHING)).await.len();

    assert_eq!(store.forget(day(1), 10).await.expect("asked"), 0);
    assert_eq!(store.forget(day(3), 2).await.expect("forgotten"), 2);
    assert_eq!(left().await, 2, "the earliest go first");
    assert_eq!(store.forget(day(3), 2).await.expect("forgotten"), 1);
    assert_eq!(left().await, 1);

    let recovered = store.recover(day(0)).await.expect("readable");
    assert_eq!(recovered.budgets, [budget], "a budget is not forgotten with the rows that used it");
}
