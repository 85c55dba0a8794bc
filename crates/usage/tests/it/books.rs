//! Settled usage equals what was produced, whatever goes wrong in between.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use breezeway_core::{ApiKeyId, Clock, Credential, UserId};
use breezeway_usage::{
    Call, Day, GroupBy, Meter, Operation, Outcome, ReportRow, Reservation, Tokens, Totals, estimate_tokens,
};
use proptest::prelude::*;
use tokio::time::advance;

use crate::support::{Ledger, TODAY, block_on, everything, on, open, pass, principal};

#[derive(Clone, Debug)]
enum Step {
    Reserve { account: u8, keyed: bool, model: u8, input: u64 },
    FirstToken(u8),
    Produce(u8, String),
    Wait(u16),
    Settle(u8, u16, u16, u16, u8),
    SettleEstimated(u8, u8),
    Abort(u8),
    NextDay,
    Pass(u16),
    Fail(u8),
    Flush,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, any::<bool>(), 0..3_u8, 0..500_u64)
            .prop_map(|(account, keyed, model, input)| Step::Reserve { account, keyed, model, input }),
        2 => any::<u8>().prop_map(Step::FirstToken),
        4 => (any::<u8>(), "[a-zж電]{0,40}").prop_map(|(which, text)| Step::Produce(which, text)),
        2 => any::<u16>().prop_map(Step::Wait),
        4 => any::<(u8, u16, u16, u16, u8)>().prop_map(|(w, i, o, c, e)| Step::Settle(w, i, o, c, e)),
        2 => any::<(u8, u8)>().prop_map(|(which, end)| Step::SettleEstimated(which, end)),
        2 => any::<u8>().prop_map(Step::Abort),
        1 => Just(Step::NextDay),
        2 => (0..3000_u16).prop_map(Step::Pass),
        1 => (1..4_u8).prop_map(Step::Fail),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ]
}

type Row = (Day, UserId, Option<ApiKeyId>, String);

/// A call as somebody would note it down who watches.
struct Watched {
    reservation: Reservation,
    row: Row,
    input: u64,
    text: String,
    waited_ms: u64,
    first_token_ms: Option<u64>,
}

struct World {
    ledger: Ledger,
    clock: Clock,
    day: i32,
    meter: Meter,
    calls: Vec<Watched>,
    books: BTreeMap<Row, Totals>,
}

impl World {
    fn take(&mut self, which: u8) -> Option<Watched> {
        let count = self.calls.len();
        (count > 0).then(|| self.calls.swap_remove(usize::from(which) % count))
    }

    fn call(&mut self, which: u8) -> Option<&mut Watched> {
        let count = self.calls.len().max(1);
        self.calls.get_mut(usize::from(which) % count)
    }

    /// What the reservation says of itself goes nowhere near this.
    fn note(&mut self, call: &Watched, tokens: Tokens, estimated: bool, outcome: Outcome) {
        let totals = self.books.entry(call.row.clone()).or_default();
        totals.requests += 1;
        totals.estimated += u64::from(estimated);
        totals.failed += u64::from(outcome == Outcome::Failed);
        totals.aborted += u64::from(outcome == Outcome::Aborted);
        totals.refused += u64::from(outcome == Outcome::Refused);
        totals.input += tokens.input;
        totals.output += tokens.output;
        totals.cached += tokens.cached;
        // The prices are the same for all tokens: a millionth each.
        totals.cost += tokens.input + tokens.output;
        totals.duration_ms += call.waited_ms;
        totals.first_token_ms += call.first_token_ms.unwrap_or_default();
        totals.first_tokens += u64::from(call.first_token_ms.is_some());
    }

    async fn take_step(&mut self, step: Step) {
        match step {
            Step::Reserve { account, keyed, model, input } => {
                self.reserve(account, keyed, model, input).await
            }
            Step::FirstToken(which) => {
                if let Some(call) = self.call(which) {
                    call.reservation.first_token();
                    call.first_token_ms.get_or_insert(call.waited_ms);
                }
            }
            Step::Produce(which, text) => {
                if let Some(call) = self.call(which) {
                    call.reservation.produced(&text);
                    call.text.push_str(&text);
                }
            }
            Step::Wait(ms) => self.wait(ms).await,
            Step::Settle(which, input, output, cached, end) => {
                let Some(call) = self.take(which) else { return };
                let [input, output, cached] = [input, output, cached].map(u64::from);
                let tokens = Tokens { input, output, cached };
                self.note(&call, tokens, false, outcome(end));
                call.reservation.settle(tokens, outcome(end));
            }
            Step::SettleEstimated(which, end) => {
                let Some(call) = self.take(which) else { return };
                self.note(&call, estimate(&call), true, outcome(end));
                call.reservation.settle_estimated(outcome(end));
            }
            Step::Abort(which) => {
                let Some(call) = self.take(which) else { return };
                self.note(&call, estimate(&call), true, Outcome::Aborted);
            }
            Step::NextDay => {
                self.day += 1;
                self.clock.set(on(self.day, 0));
            }
            Step::Pass(ms) => {
                pass(&self.meter, Duration::from_millis(ms.into())).await;
                self.calls.iter_mut().for_each(|call| call.waited_ms += u64::from(ms));
            }
            Step::Fail(times) => self.ledger.failures.store(times.into(), Ordering::Relaxed),
            // It may fail; then everything is still there.
            Step::Flush => drop(self.meter.flush().await),
            Step::Restart => self.restart().await,
        }
    }

    async fn reserve(&mut self, account: u8, keyed: bool, model: u8, input: u64) {
        let mut caller = principal(&format!("account {account}"), None);
        if !keyed {
            caller.credential = Credential::Local;
        }
        let key = match &caller.credential {
            Credential::ApiKey(key) => Some(key.clone()),
            _ => None,
        };
        let model = format!("model {model}");
        let call = Call {
            operation: Operation::Chat,
            model: model.as_str().into(),
            upstream: None,
            estimated_input: input,
            max_output: None,
        };
        let reservation = self.meter.reserve(&caller, call).await.expect("nothing is limited");
        self.calls.push(Watched {
            reservation,
            row: (Day::from_number(TODAY + self.day), caller.user, key, model),
            input,
            text: String::new(),
            waited_ms: 0,
            first_token_ms: None,
        });
    }

    async fn wait(&mut self, ms: u16) {
        advance(Duration::from_millis(ms.into())).await;
        self.calls.iter_mut().for_each(|call| call.waited_ms += u64::from(ms));
    }

    /// Stop as a server does: calls end, then everything is written down.
    async fn restart(&mut self) {
        while let Some(call) = self.take(0) {
            self.note(&call, estimate(&call), true, Outcome::Aborted);
        }
        self.ledger.failures.store(0, Ordering::Relaxed);
        self.meter.flush().await.expect("the store works");
        self.meter = open(&self.ledger, &self.clock).await;
    }

    async fn check(&self) {
        let all = GroupBy { day: true, account: true, key: true, model: true };
        let mut found: Vec<_> = self.meter.report(&everything(all)).await.expect("reported");
        found.sort_by(|a, b| {
            (a.day, &a.account, &a.key, &a.model).cmp(&(b.day, &b.account, &b.key, &b.model))
        });
        let expected: Vec<_> = self.books.iter().map(|(row, totals)| report_row(row, *totals)).collect();
        assert_eq!(found, expected);
    }
}

fn report_row((day, account, key, model): &Row, totals: Totals) -> ReportRow {
    ReportRow {
        day: Some(*day),
        account: Some(account.clone()),
        key: key.clone(),
        model: Some(model.as_str().into()),
        totals,
    }
}

fn estimate(call: &Watched) -> Tokens {
    Tokens { input: call.input, output: estimate_tokens(&call.text), cached: 0 }
}

fn outcome(number: u8) -> Outcome {
    [Outcome::Completed, Outcome::Failed, Outcome::Aborted, Outcome::Refused][usize::from(number) % 4]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_books_say_what_was_produced(steps in prop::collection::vec(step(), 1..60)) {
        block_on(async {
            let (ledger, clock) = (Ledger::default(), Clock::fixed(on(0, 0)));
            let meter = open(&ledger, &clock).await;
            let (calls, books) = (Vec::new(), BTreeMap::new());
            let mut world = World { ledger, clock, day: 0, meter, calls, books };
            for step in steps {
                world.take_step(step).await;
                world.check().await;
            }
            world.restart().await;
            world.check().await;
        });
    }
}
