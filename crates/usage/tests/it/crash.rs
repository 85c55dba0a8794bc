//! A process that dies at any moment has not spent more than the store knows, and not much less.

use std::{sync::atomic::Ordering, time::Duration};

use breezeway_core::{Amount, Clock, Period, Principal};
use breezeway_usage::{Day, LedgerStore, Meter, Outcome, Refusal, Reservation, Tokens};
use proptest::prelude::*;

use crate::support::{Ledger, TODAY, block_on, budget, call, config, on, open, pass, principal, reserve};

const LIMIT: u64 = 60_000;

#[derive(Clone, Debug)]
enum Step {
    Reserve {
        input: u64,
        max_output: Option<u64>,
    },
    Produce(u8, usize),
    /// Which call, how much of what it holds in percent, and how much on top of all that.
    Settle(u8, u64, u64),
    Abort(u8),
    Pass(u64),
    Fail(u32),
    NextDay,
    Crash,
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2000_u64, prop::option::of(0..3000_u64))
            .prop_map(|(input, max_output)| Step::Reserve { input, max_output }),
        4 => (any::<u8>(), 0..8000_usize).prop_map(|(which, bytes)| Step::Produce(which, bytes)),
        6 => (any::<u8>(), prop_oneof![Just(100), 0..100_u64], 0..400_u64).prop_map(|(w, share, extra)| Step::Settle(w, share, extra)),
        1 => any::<u8>().prop_map(Step::Abort),
        3 => (0..15_000_u64).prop_map(Step::Pass),
        1 => (1..4_u32).prop_map(Step::Fail),
        1 => Just(Step::NextDay),
        2 => Just(Step::Crash),
        1 => Just(Step::Stop),
    ]
}

struct Open {
    reservation: Reservation,
    day: i32,
    /// The least it holds, in tokens.
    held: u64,
}

struct World {
    ledger: Ledger,
    clock: Clock,
    day: i32,
    ada: Principal,
    meter: Meter,
    open: Vec<Open>,
    /// What calls of today really used, in all processes.
    real: u64,
    /// The most that spent, held and waiting came to since the last write that succeeded.
    peak: u64,
    /// By how much settled calls exceeded what they held since then.
    overshoot: u64,
}

impl World {
    async fn new(amount: Amount) -> Self {
        let (ledger, clock) = (Ledger::default(), Clock::fixed(on(0, 0)));
        let meter = open(&ledger, &clock).await;
        let ada = principal("ada", Some(budget(amount, Period::Day)));
        Self { ledger, clock, day: 0, ada, meter, open: Vec::new(), real: 0, peak: 0, overshoot: 0 }
    }

    /// What the meter counts as spent or held.
    fn used(&self) -> u64 {
        let rates = self.meter.admit(&self.ada).expect("admitted").expect("limits");
        LIMIT - rates.budget.expect("a budget").1.remaining
    }

    fn take(&mut self, which: u8) -> Option<Open> {
        let count = self.open.len();
        (count > 0).then(|| self.open.swap_remove(usize::from(which) % count))
    }

    async fn take_step(&mut self, step: Step) {
        match step {
            Step::Reserve { input, max_output } => self.reserve(input, max_output).await,
            Step::Produce(which, bytes) => {
                let count = self.open.len().max(1);
                let Some(open) = self.open.get_mut(usize::from(which) % count) else { return };
                // What goes beyond the reservation between two writes is bounded like every excess.
                let room = open.held + config().overshoot_tokens - self.overshoot;
                let bytes = bytes.min(room.saturating_sub(open.reservation.estimate().total()) as usize * 4);
                open.reservation.produced_bytes(bytes);
                let total = open.reservation.estimate().total();
                self.overshoot += total.saturating_sub(open.held);
                open.held = open.held.max(total);
            }
            Step::Settle(which, share, extra) => {
                let Some(open) = self.take(which) else { return };
                let extra = extra.min(config().overshoot_tokens - self.overshoot);
                let used = if share == 100 { open.held + extra } else { open.held * share / 100 };
                self.overshoot += used.saturating_sub(open.held);
                self.settle(open, used);
            }
            Step::Abort(which) => {
                let Some(open) = self.take(which) else { return };
                if open.day == self.day {
                    self.real += open.reservation.estimate().total();
                }
            }
            Step::Pass(ms) => {
                let works = self.ledger.failures.load(Ordering::Relaxed) == 0;
                pass(&self.meter, Duration::from_millis(ms)).await;
                if works && ms > 1000 {
                    self.overshoot = 0;
                }
            }
            Step::Fail(times) => self.ledger.failures.store(times, Ordering::Relaxed),
            Step::NextDay => {
                self.day += 1;
                self.clock.set(on(self.day, 0));
                (self.real, self.peak, self.overshoot) = (0, 0, 0);
            }
            Step::Crash => self.crash().await,
            Step::Stop => {
                while let Some(open) = self.take(0) {
                    self.settle(open, 0);
                }
                self.ledger.failures.store(0, Ordering::Relaxed);
                self.meter.flush().await.expect("flushed");
                assert_eq!(self.recorded().await, self.used(), "everything is given back");
                self.crash().await;
            }
        }
    }

    async fn reserve(&mut self, input: u64, max_output: Option<u64>) {
        // Waiting for a write counts, and may count twice if another write comes first.
        let attempted = input + max_output.unwrap_or(config().assumed_output);
        self.peak = self.peak.max(self.used() + 2 * attempted);
        match reserve(&self.meter, &self.ada, call(input, max_output)).await {
            Ok(reservation) => {
                let held = input + max_output.unwrap_or(0);
                self.open.push(Open { reservation, day: self.day, held });
            }
            Err(Refusal::Exceeded(exceeded)) => assert!(exceeded.requested > exceeded.remaining),
            Err(Refusal::LedgerBehind { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, open: Open, used: u64) {
        open.reservation.settle(Tokens { input: used, output: 0, cached: 0 }, Outcome::Completed);
        if open.day == self.day {
            self.real += used;
        }
    }

    /// The process is gone: nothing of it is written any more, and calls that were open are cut off.
    async fn crash(&mut self) {
        let recorded = self.recorded().await;
        self.open.clear();
        self.meter = open(&self.ledger, &self.clock).await;
        assert_eq!(self.used(), recorded.min(LIMIT));
        (self.peak, self.overshoot) = (recorded, 0);
    }

    async fn recorded(&self) -> u64 {
        let today = Day::from_number(TODAY + self.day);
        let found = self.ledger.recover(today).await.expect("read");
        found.budgets.first().map_or(0, |record| record.used)
    }

    async fn check(&mut self) {
        let recorded = self.recorded().await;
        assert!(recorded >= self.real, "{recorded} are known, {} are spent", self.real);
        let config = config();
        self.peak = self.peak.max(self.used());
        let slice = config.overshoot_tokens + config.lease_tokens * 3 / 2;
        // What a call has produced beyond its reservation is held in steps.
        let most = self.peak + slice + 256;
        assert!(recorded <= most, "{recorded} are known, {} were used, held or asked for", self.peak);
    }
}

fn run(amount: Amount, steps: Vec<Step>) {
    block_on(async {
        let mut world = World::new(amount).await;
        for step in steps {
            world.take_step(step).await;
            world.check().await;
        }
        world.crash().await;
        world.check().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_crash_forgets_no_tokens_and_makes_up_few(steps in prop::collection::vec(step(), 1..60)) {
        run(Amount::Tokens(LIMIT), steps);
    }

    #[test]
    fn a_crash_forgets_no_money_and_makes_up_little(steps in prop::collection::vec(step(), 1..60)) {
        run(Amount::MicroUnits(LIMIT), steps);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_takes_a_part_of_a_small_budget_and_not_all_of_it() {
    let (ledger, clock) = (Ledger::default(), Clock::fixed(on(0, 0)));
    let ada = principal("ada", Some(budget(Amount::Tokens(2000), Period::Day)));
    let defaults = || breezeway_usage::UsageConfig::default();
    let opened = async || {
        let store = std::sync::Arc::new(ledger.clone());
        Meter::open(defaults(), store, crate::support::prices(), clock.clone()).await.expect("it opens")
    };
    let meter = opened().await;
    let reservation = reserve(&meter, &ada, call(10, Some(90))).await.expect("reserved");
    reservation.settle(Tokens { input: 10, output: 90, cached: 0 }, Outcome::Completed);
    pass(&meter, Duration::from_secs(2)).await;

    let meter = opened().await;

    let left = meter.admit(&ada).expect("admitted").and_then(|rates| rates.budget).expect("a budget").1;
    // What was used, a quarter, and a slice of a sixteenth.
    assert!((2000 - 100 - 500 - 2 * 125..1900).contains(&left.remaining), "{}", left.remaining);
}
