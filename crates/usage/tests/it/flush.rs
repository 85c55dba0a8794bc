use std::{sync::atomic::Ordering, time::Duration};

use breezeway_core::{Amount, Classify, Clock, ErrorKind, Period};
use breezeway_usage::{Day, GroupBy, LedgerStore, Outcome, Refusal, Tokens};

use crate::support::{Ledger, TODAY, budget, call, everything, on, open, pass, principal, reserve};

async fn recorded(ledger: &Ledger) -> u64 {
    let found = ledger.recover(Day::from_number(TODAY)).await.expect("read");
    found.budgets.first().map_or(0, |record| record.used)
}

#[tokio::test(start_paused = true)]
async fn a_settled_call_is_written_down_within_a_second() {
    let (ledger, clock) = (Ledger::default(), Clock::fixed(on(0, 0)));
    let meter = open(&ledger, &clock).await;

    let reservation = meter.reserve(&principal("ada", None), call(1, None)).await.expect("reserved");
    reservation.settle(Tokens { input: 5, output: 6, cached: 1 }, Outcome::Completed);
    pass(&meter, Duration::from_millis(1001)).await;

    let written = ledger.report(&everything(GroupBy::default())).await.expect("read").rows;
    assert_eq!(written[0].totals.output, 6);
    assert_eq!(meter.report(&everything(GroupBy::default())).await.expect("read"), written);
}

#[tokio::test(start_paused = true)]
async fn too_many_rows_in_memory_are_written_down_early() {
    let ledger = Ledger::default();
    let meter = open(&ledger, &Clock::fixed(on(0, 0))).await;

    for number in 0..8192 {
        let caller = principal(&format!("account {number}"), None);
        drop(meter.reserve(&caller, call(1, None)).await.expect("reserved"));
    }
    pass(&meter, Duration::from_millis(1)).await;

    let by_account = GroupBy { account: true, ..GroupBy::default() };
    assert_eq!(ledger.report(&everything(by_account)).await.expect("read").rows.len(), 8192);
    assert_eq!(ledger.writes.load(Ordering::Relaxed), 2, "4096 at a time");
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_written_down_ahead_and_the_rest_given_back() {
    let (ledger, clock) = (Ledger::default(), Clock::fixed(on(0, 0)));
    let meter = open(&ledger, &clock).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(100_000), Period::Day)));

    let reservation = reserve(&meter, &ada, call(100, Some(900))).await.expect("reserved");
    assert_eq!(recorded(&ledger).await, 1000 + 500 + 2000, "held, cushion and ahead");
    reservation.settle(Tokens { input: 100, output: 200, cached: 0 }, Outcome::Completed);
    pass(&meter, Duration::from_secs(2)).await;
    assert_eq!(recorded(&ledger).await, 3500, "it may be back any moment");
    pass(&meter, Duration::from_secs(11)).await;

    assert_eq!(recorded(&ledger).await, 300, "what rests is not at risk");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_gives_everything_back() {
    let (ledger, clock) = (Ledger::default(), Clock::fixed(on(0, 0)));
    let meter = open(&ledger, &clock).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(100_000), Period::Day)));
    let reservation = reserve(&meter, &ada, call(100, Some(900))).await.expect("reserved");
    reservation.settle(Tokens { input: 100, output: 200, cached: 0 }, Outcome::Completed);

    meter.flush().await.expect("flushed");

    assert_eq!(recorded(&ledger).await, 300);
    let left = open(&ledger, &clock).await.admit(&ada).expect("admitted").and_then(|it| it.budget);
    assert_eq!(left.map(|it| it.1.remaining), Some(99_700));
}

#[tokio::test(start_paused = true)]
async fn a_busy_key_does_not_wait_for_every_call() {
    let ledger = Ledger::default();
    let meter = open(&ledger, &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(1_000_000), Period::Month)));

    for _ in 0..100 {
        let reservation = reserve(&meter, &ada, call(10, Some(90))).await.expect("reserved");
        reservation.settle(Tokens { input: 10, output: 90, cached: 0 }, Outcome::Completed);
    }

    assert!(ledger.writes.load(Ordering::Relaxed) <= 6, "10,000 tokens by 2000: {:?}", ledger.writes);
}

#[tokio::test(start_paused = true)]
async fn many_calls_that_wait_share_one_write() {
    let ledger = Ledger::default();
    let meter = open(&ledger, &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(1_000_000), Period::Month)));

    let five = async {
        tokio::join!(
            meter.reserve(&ada, call(0, Some(9000))),
            meter.reserve(&ada, call(0, Some(9000))),
            meter.reserve(&ada, call(0, Some(9000))),
            meter.reserve(&ada, call(0, Some(9000))),
            meter.reserve(&ada, call(0, Some(9000))),
        )
    };
    let (a, b, c, d, e) = tokio::select! { it = five => it, never = meter.run() => match never {} };

    assert!([a, b, c, d, e].iter().all(Result::is_ok));
    assert_eq!(ledger.writes.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_that_writes_no_budget_is_spent() {
    let ledger = Ledger::default();
    ledger.failures.store(1001, Ordering::Relaxed);
    let meter = open(&ledger, &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(1_000_000), Period::Month)));

    let refusal = reserve(&meter, &ada, call(1, Some(1))).await.expect_err("refused");
    assert!(matches!(refusal, Refusal::LedgerBehind { .. }), "{refusal:?}");
    assert_eq!(refusal.kind(), ErrorKind::Overloaded);
    assert!(ledger.writes.load(Ordering::Relaxed) < 10, "a failing store is left alone for a while");

    ledger.failures.store(0, Ordering::Relaxed);
    assert!(reserve(&meter, &ada, call(1, Some(1))).await.is_ok());
    let totals = meter.report(&everything(GroupBy::default())).await.expect("read")[0].totals;
    assert_eq!((totals.requests, totals.refused), (2, 1), "and nothing is lost or counted twice");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outgrows_its_reservation_is_written_down_while_it_flows() {
    let ledger = Ledger::default();
    let meter = open(&ledger, &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(100_000), Period::Day)));
    let mut reservation = reserve(&meter, &ada, call(0, None)).await.expect("reserved");

    for _ in 0..100 {
        reservation.produced_bytes(4 * 400);
        assert!(recorded(&ledger).await >= reservation.estimate().output);
        pass(&meter, Duration::from_millis(1001)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_is_not_used_though_nobody_knows_whether_it_is_written() {
    let ledger = Ledger::default();
    let meter = open(&ledger, &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(100_000), Period::Day)));
    let spend = async || {
        let reservation = reserve(&meter, &ada, call(0, Some(300))).await.expect("reserved");
        reservation.settle(Tokens { input: 0, output: 300, cached: 0 }, Outcome::Completed);
    };
    spend().await;
    pass(&meter, Duration::from_millis(1001)).await;

    // The second failure to come is one after the write.
    ledger.failures.store(2, Ordering::Relaxed);
    assert!(meter.flush().await.is_err());
    assert_eq!(recorded(&ledger).await, 300);
    spend().await;

    assert!(recorded(&ledger).await >= 600);
}
