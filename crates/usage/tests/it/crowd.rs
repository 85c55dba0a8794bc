//! Many threads at once.

use std::{sync::Arc, thread, time::Duration};

use breezeway_core::{Amount, Clock, Period, Principal};
use breezeway_usage::{GroupBy, Meter, Outcome, Tokens, Totals};
use tokio::runtime::{Builder, Runtime};

use crate::support::{Ledger, budget, call, everything, on, open, principal};

const THREADS: u64 = 8;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Let threads make calls of ten tokens, each until it has made `calls` or is refused, while another
/// one writes down; what the books say then.
fn crowd(callers: &[Principal], calls: u64) -> (Meter, Totals) {
    let runtime_here = runtime();
    let meter = runtime_here.block_on(open(&Ledger::default(), &Clock::fixed(on(0, 0))));
    let done = Arc::new(tokio::sync::Notify::new());
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            runtime().block_on(async {
                tokio::select! {
                    never = meter.run() => match never {},
                    () = done.notified() => {}
                }
            });
        });
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (meter, caller) = (meter.clone(), &callers[number as usize % callers.len()]);
                scope.spawn(move || {
                    runtime().block_on(async {
                        for _ in 0..calls {
                            let Ok(reservation) = meter.reserve(caller, call(4, Some(6))).await else {
                                break;
                            };
                            let tokens = Tokens { input: 4, output: 6, cached: 0 };
                            reservation.settle(tokens, Outcome::Completed);
                        }
                    });
                })
            })
            .collect();
        let ended: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        // Said even if one of them panicked: the scope waits for the writer.
        done.notify_one();
        ended.into_iter().for_each(|thread| thread.expect("no thread panics"));
        writing.join().expect("no thread panics");
    });
    let rows = runtime_here.block_on(meter.report(&everything(GroupBy::default()))).expect("reported");
    (meter, rows[0].totals)
}

#[test]
fn no_call_is_lost_between_threads_and_the_flush() {
    let callers = [principal("ada", None), principal("eve", None), principal("bob", None)];

    let (_, totals) = crowd(&callers, 5000);

    assert_eq!((totals.requests, totals.output), (THREADS * 5000, THREADS * 5000 * 6));
}

#[test]
fn a_crowd_spends_a_budget_to_its_end_and_not_beyond() {
    let ada = principal("ada", Some(budget(Amount::Tokens(20_000), Period::Day)));

    let (meter, totals) = crowd(std::slice::from_ref(&ada), 5000);

    let settled = totals.requests - totals.refused;
    assert_eq!((settled, totals.refused), (2000, THREADS), "each thread is refused once");
    let budget = meter.admit(&ada).expect("admitted").and_then(|rates| rates.budget).expect("a budget").1;
    assert_eq!((budget.remaining, budget.window), (0, Duration::from_secs(86_400)));
}
