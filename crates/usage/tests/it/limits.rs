use std::time::Duration;

use breezeway_core::{Amount, Clock, Credential, Limits, Period};
use breezeway_usage::{Exceeded, GroupBy, LimitKind, Outcome, Refusal, Tokens, Unit};
use tokio::time::advance;

use crate::support::{Ledger, budget, call, everything, on, open, pass, principal, reserve};

fn exceeded(refusal: Refusal) -> Exceeded {
    match refusal {
        Refusal::Exceeded(exceeded) => *exceeded,
        other => panic!("{other:?}"),
    }
}

fn used(input: u64, output: u64) -> Tokens {
    Tokens { input, output, cached: 0 }
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_limits_is_never_refused_and_still_counted() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", None);
    let open_rules = principal("eve", Some(Limits::default()));

    for _ in 0..1000 {
        assert_eq!(meter.admit(&ada), Ok(None));
        assert_eq!(meter.admit(&open_rules), Ok(None));
        let reservation = meter.reserve(&ada, call(1 << 40, None)).await.expect("reserved");
        assert!(reservation.rates().is_none());
        reservation.settle(used(3, 4), Outcome::Completed);
    }

    let rows = meter.report(&everything(GroupBy::default())).await.expect("reported");
    assert_eq!((rows[0].totals.requests, rows[0].totals.output), (1000, 4000));
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_those_of_a_minute_are_refused_until_the_minute_is_over() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(Limits { requests_per_minute: Some(2), ..Limits::default() }));

    assert_eq!(
        meter.admit(&ada).expect("admitted").and_then(|it| it.requests).map(|it| it.remaining),
        Some(1)
    );
    advance(Duration::from_secs(20)).await;
    assert!(meter.admit(&ada).is_ok());
    let refusal = exceeded(meter.admit(&ada).expect_err("refused"));
    assert_eq!((refusal.kind, refusal.limit, refusal.remaining), (LimitKind::Requests, 2, 0));
    assert_eq!(
        refusal.retry_after,
        Duration::from_secs(45),
        "the first one's slice of five seconds and a minute"
    );
    assert_eq!(refusal.to_string(), "the key allows 2 requests a minute");

    advance(refusal.retry_after - Duration::from_millis(1)).await;
    assert!(meter.admit(&ada).is_err());
    advance(Duration::from_millis(1)).await;
    assert!(meter.admit(&ada).is_ok());
    assert!(meter.admit(&ada).is_err(), "the second one still counts");
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_account_have_limits_of_their_own() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let one = principal("ada", Some(Limits { requests_per_minute: Some(1), ..Limits::default() }));
    let mut other = one.clone();
    other.credential = Credential::ApiKey("another".parse().expect("an id"));

    assert!(meter.admit(&one).is_ok());
    assert!(meter.admit(&other).is_ok());
    assert!(meter.admit(&one).is_err());
    assert!(meter.admit(&other).is_err());
}

#[tokio::test(start_paused = true)]
async fn tokens_are_held_by_open_calls_and_used_by_settled_ones() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(Limits { tokens_per_minute: Some(1000), ..Limits::default() }));
    let left = || meter.admit(&ada).expect("admitted").and_then(|it| it.tokens).map(|it| it.remaining);

    let first = meter.reserve(&ada, call(100, Some(500))).await.expect("reserved");
    assert_eq!(first.rates().and_then(|it| it.tokens).map(|it| it.remaining), Some(400));
    let refusal = exceeded(meter.reserve(&ada, call(100, Some(301))).await.expect_err("refused"));
    assert_eq!((refusal.kind, refusal.remaining, refusal.requested), (LimitKind::Tokens, 400, 401));
    assert_eq!(refusal.retry_after, Duration::from_secs(5), "the open call may give something back");
    first.settle(used(100, 20), Outcome::Completed);
    assert_eq!(left(), Some(880));

    let second = meter.reserve(&ada, call(100, Some(780))).await.expect("reserved");
    second.settle(used(100, 900), Outcome::Completed);
    assert_eq!(left(), Some(0), "what was used counts, not what was reserved");
    advance(Duration::from_secs(65)).await;
    assert_eq!(left(), Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_maximum_makes_do_with_what_is_left() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(Limits { tokens_per_minute: Some(50), ..Limits::default() }));

    let reservation = meter.reserve(&ada, call(49, None)).await.expect("one is left to generate");
    assert_eq!(reservation.rates().and_then(|it| it.tokens).map(|it| it.remaining), Some(0));
    drop(reservation);
    advance(Duration::from_secs(65)).await;

    let refusal = exceeded(meter.reserve(&ada, call(50, None)).await.expect_err("refused"));
    assert_eq!((refusal.limit, refusal.requested), (50, 51), "it would never fit");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outgrows_its_reservation_holds_more() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(Limits { tokens_per_minute: Some(10_000), ..Limits::default() }));
    let left = || meter.admit(&ada).expect("admitted").and_then(|it| it.tokens).map(|it| it.remaining);
    let mut reservation = meter.reserve(&ada, call(10, None)).await.expect("reserved");
    assert_eq!(left(), Some(9890));

    reservation.produced("x".repeat(400));
    assert_eq!(left(), Some(9890), "as much as was assumed");
    reservation.produced("x");
    assert_eq!(left(), Some(9890 - 1 - 256), "a step more than it has now");
    reservation.produced_bytes(16_000);
    assert_eq!(left(), Some(10_000 - 10 - 4101 - 256));

    drop(reservation);
    assert_eq!(left(), Some(10_000 - 10 - 4101), "an aborted call used what can be estimated");
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_refused_until_its_period_ends() {
    let clock = Clock::fixed(on(0, 3600));
    let meter = open(&Ledger::default(), &clock).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(1000), Period::Day)));

    reserve(&meter, &ada, call(400, Some(500)))
        .await
        .expect("reserved")
        .settle(used(400, 600), Outcome::Failed);
    let refusal = exceeded(reserve(&meter, &ada, call(1, Some(1))).await.expect_err("refused"));
    assert_eq!(refusal.kind, LimitKind::Budget(Unit::Tokens));
    assert_eq!((refusal.limit, refusal.remaining, refusal.requested), (1000, 0, 2));
    assert_eq!(refusal.retry_after, Duration::from_secs(23 * 3600));
    assert!(meter.admit(&ada).is_ok(), "what it used may still be looked at");

    clock.set(on(1, 0));
    let reservation = reserve(&meter, &ada, call(1, Some(1))).await.expect("a new day");
    let (unit, rate) = reservation.rates().and_then(|it| it.budget).expect("a budget");
    assert_eq!((unit, rate.remaining, rate.window), (Unit::Tokens, 998, Duration::from_secs(86_400)));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_money_counts_what_calls_cost() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(budget(Amount::MicroUnits(2_500_000), Period::Month)));

    reserve(&meter, &ada, call(400_000, Some(1_000_000)))
        .await
        .expect("reserved")
        .settle(used(400_000, 600_000), Outcome::Completed);

    let refusal = reserve(&meter, &ada, call(500_000, Some(1_000_001))).await.expect_err("refused");
    assert_eq!(refusal.to_string(), "the key's budget of 2.50 has 1.50 left; this call may cost 1.500001");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_counts_something_else_starts_anew() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let tokens = principal("ada", Some(budget(Amount::Tokens(1000), Period::Day)));
    let money = principal("ada", Some(budget(Amount::MicroUnits(900), Period::Day)));
    let held = reserve(&meter, &tokens, call(0, Some(800))).await.expect("reserved");

    let reservation = reserve(&meter, &money, call(0, Some(900))).await.expect("nothing of it is used");
    held.settle(used(0, 800), Outcome::Completed);

    assert!(reserve(&meter, &money, call(0, Some(1))).await.is_err());
    reservation.settle(used(0, 100), Outcome::Completed);
    let left = meter.admit(&money).expect("admitted").and_then(|it| it.budget).map(|it| it.1.remaining);
    assert_eq!(left, Some(800), "what was held of the old one is not given back to the new one");
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_in_the_books_and_holds_nothing() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let limits = Limits { tokens_per_minute: Some(1000), ..budget(Amount::Tokens(10), Period::Day) };
    let ada = principal("ada", Some(limits));

    assert!(reserve(&meter, &ada, call(20, Some(20))).await.is_err());

    let rates = meter.admit(&ada).expect("admitted").expect("limits");
    assert_eq!(rates.tokens.map(|it| it.remaining), Some(1000));
    let totals = meter.report(&everything(GroupBy::default())).await.expect("reported")[0].totals;
    assert_eq!((totals.requests, totals.refused, totals.input), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn limits_are_given_names_and_windows() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let limits = Limits {
        requests_per_minute: Some(5),
        tokens_per_minute: Some(100),
        ..budget(Amount::Tokens(10), Period::Month)
    };

    let rates = meter.admit(&principal("ada", Some(limits))).expect("admitted").expect("limits");

    let policies: Vec<_> = rates
        .policies()
        .map(|(name, rate)| (name, rate.limit, rate.remaining, rate.reset.as_secs(), rate.window.as_secs()))
        .collect();
    let (month, gone) = (30 * 86_400, 22 * 86_400);
    assert_eq!(
        policies,
        [("requests", 5, 4, 65, 60), ("tokens", 100, 100, 0, 60), ("budget", 10, 10, month - gone, month)],
        "the 23rd of November"
    );
}

#[tokio::test(start_paused = true)]
async fn limits_of_idle_keys_are_forgotten_and_budgets_are_not() {
    let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
    let ada = principal("ada", Some(budget(Amount::Tokens(1000), Period::Day)));
    reserve(&meter, &ada, call(0, Some(10))).await.expect("reserved").settle(used(3, 7), Outcome::Completed);

    pass(&meter, Duration::from_secs(300)).await;

    let left = meter.admit(&ada).expect("admitted").and_then(|it| it.budget).map(|it| it.1.remaining);
    assert_eq!(left, Some(990));
}
