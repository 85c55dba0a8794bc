//! However many keys come, what is kept of them is bounded by those that still matter.

use std::{collections::BTreeSet, time::Duration};

use breezeway_core::{Amount, Clock, Limits, Period, Principal};
use breezeway_usage::{Footprint, Outcome, Tokens};
use proptest::prelude::*;

use crate::support::{Ledger, block_on, budget, call, on, open, pass, principal, reserve};

/// Two minutes and more: the window of a minute, and one round over all shards, one each second.
const ROUND: Duration = Duration::from_secs(135);

#[derive(Clone, Debug)]
enum Use {
    /// Looks at a list.
    Look,
    /// Calls a model, which takes so much.
    Call(u64),
    /// Leaves in the middle of a call, or before.
    Leave,
}

fn caller(number: u16) -> Principal {
    let limits = match number % 4 {
        0 => Limits { requests_per_minute: Some(10_000), ..Limits::default() },
        1 => Limits { tokens_per_minute: Some(1_000_000), ..Limits::default() },
        2 => budget(Amount::Tokens(1_000_000), Period::Day),
        _ => budget(Amount::MicroUnits(1_000_000), Period::Day),
    };
    principal(&format!("account-{number}"), Some(limits))
}

fn uses() -> impl Strategy<Value = Vec<(u16, Use)>> {
    let one = prop_oneof![Just(Use::Look), (1..50_u64).prop_map(Use::Call), Just(Use::Leave)];
    prop::collection::vec((0..2000_u16, one), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn keys_that_do_not_matter_any_more_are_forgotten(uses in uses()) {
        block_on(async {
            let clock = Clock::fixed(on(0, 0));
            let meter = open(&Ledger::default(), &clock).await;
            let (mut all, mut spent) = (BTreeSet::new(), BTreeSet::new());
            for (number, how) in &uses {
                let caller = caller(*number);
                all.insert(*number);
                match how {
                    Use::Look => drop(meter.admit(&caller).expect("far below every limit")),
                    Use::Call(tokens) => {
                        let reservation = reserve(&meter, &caller, call(1, Some(100))).await.expect("reserved");
                        let tokens = Tokens { input: *tokens, output: 0, cached: 0 };
                        reservation.settle(tokens, Outcome::Completed);
                        spent.insert(*number);
                    }
                    Use::Leave => {
                        let reserved = reserve(&meter, &caller, call(1, None)).await.expect("reserved");
                        drop(reserved);
                        spent.insert(*number);
                    }
                }
            }
            assert!(meter.footprint().keys <= all.len());

            pass(&meter, ROUND).await;

            let with_budget = spent.iter().filter(|number| *number % 4 > 1).count();
            assert_eq!(meter.footprint(), Footprint { keys: with_budget, rows: 0 });

            clock.set(on(1, 0));
            pass(&meter, ROUND).await;
            assert_eq!(meter.footprint(), Footprint { keys: 0, rows: 0 });
        });
    }
}

#[test]
fn rows_of_a_store_that_fails_for_long_stay_bounded() {
    block_on(async {
        let ledger = Ledger::default();
        let meter = open(&ledger, &Clock::fixed(on(0, 0))).await;
        let ada = principal("ada", None);
        ledger.failures.store(u32::MAX, std::sync::atomic::Ordering::Relaxed);

        for number in 0..200_000 {
            let call = breezeway_usage::Call { model: format!("model {number}").into(), ..call(1, None) };
            let reservation = meter.reserve(&ada, call).await.expect("nothing is limited");
            reservation.settle(Tokens { input: 1, output: 0, cached: 0 }, Outcome::Completed);
        }

        // Sixteen times as many as make it ask to be emptied, and one for the rest.
        assert_eq!(meter.footprint().rows, 16 * 8192 + 1);
        ledger.failures.store(0, std::sync::atomic::Ordering::Relaxed);
        meter.flush().await.expect("flushed");
        let rows = meter.report(&crate::support::everything(breezeway_usage::GroupBy::default())).await;
        assert_eq!(rows.expect("reported")[0].totals.requests, 200_000, "nothing is lost");
    });
}

#[test]
fn a_call_that_another_model_answered_is_counted_as_its() {
    block_on(async {
        let meter = open(&Ledger::default(), &Clock::fixed(on(0, 0))).await;
        let ada = principal("ada", Some(budget(Amount::MicroUnits(1000), Period::Day)));
        let mut reservation = reserve(&meter, &ada, call(10, Some(10))).await.expect("reserved");

        reservation.set_model("dear".into());
        let left = meter.admit(&ada).expect("admitted").and_then(|rates| rates.budget).expect("a budget").1;
        assert_eq!(left.remaining, 1000 - 200, "it holds what the other one may cost");
        reservation.settle(Tokens { input: 10, output: 5, cached: 0 }, Outcome::Completed);

        let by_model = breezeway_usage::GroupBy { model: true, ..Default::default() };
        let rows = meter.report(&crate::support::everything(by_model)).await.expect("reported");
        assert_eq!((rows[0].model.as_deref(), rows[0].totals.cost), (Some("dear"), 150));
        let left = meter.admit(&ada).expect("admitted").and_then(|rates| rates.budget).expect("a budget").1;
        assert_eq!(left.remaining, 850);
    });
}
