use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use breezeway_core::{
    Amount, ApiKeyId, Budget, Clock, Credential, KeyRules, Limits, Period, Principal, Role, StoreError,
    UnixTime, UserId,
};
use breezeway_usage::{
    Batch, Call, Day, GroupBy, LedgerStore, MemoryLedger, Meter, Operation, Price, PriceTable, Recovered,
    Refusal, Report, ReportQuery, Reservation, UsageConfig,
};
use tokio::{task::yield_now, time::sleep};

/// A store that takes its time, and fails when it is told to.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) memory: MemoryLedger,
    /// So many writes to come fail; every second one of them only after it was written.
    pub(crate) failures: Arc<AtomicU32>,
    pub(crate) writes: Arc<AtomicU32>,
}

#[async_trait]
impl LedgerStore for Ledger {
    async fn recover(&self, since: Day) -> Result<Recovered, StoreError> {
        self.memory.recover(since).await
    }

    async fn write(&self, batch: Arc<Batch>) -> Result<(), StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        yield_now().await;
        let fails = self.failures.load(Ordering::Relaxed);
        if fails.is_multiple_of(2) {
            self.memory.write(batch).await?;
        }
        yield_now().await;
        if fails > 0 {
            self.failures.store(fails - 1, Ordering::Relaxed);
            return Err(StoreError::Overloaded);
        }
        Ok(())
    }

    async fn report(&self, query: &ReportQuery) -> Result<Report, StoreError> {
        self.memory.report(query).await
    }

    async fn forget(&self, before: Day, most: u64) -> Result<u64, StoreError> {
        self.memory.forget(before, most).await
    }
}

/// A day in the middle of a month.
pub(crate) const TODAY: i32 = 20_780;

/// A second of a day so many days later.
pub(crate) fn on(day: i32, second: i64) -> UnixTime {
    Day::from_number(TODAY + day).start().plus(Duration::from_secs(second.unsigned_abs()))
}

pub(crate) fn config() -> UsageConfig {
    UsageConfig { overshoot_tokens: 500, lease_tokens: 2000, assumed_output: 100, ..UsageConfig::default() }
}

/// Prices by which a token costs one millionth, and ten where it is dear.
pub(crate) fn prices() -> PriceTable {
    let million = 1_000_000;
    let flat = |price| Price { input: price, cached_input: price, output: price };
    PriceTable::new([("*".to_owned(), flat(million)), ("dear".to_owned(), flat(10 * million))])
}

pub(crate) async fn open(ledger: &Ledger, clock: &Clock) -> Meter {
    Meter::open(config(), Arc::new(ledger.clone()), prices(), clock.clone()).await.expect("it opens")
}

/// A program with a key of `name`'s.
pub(crate) fn principal(name: &str, limits: Option<Limits>) -> Principal {
    Principal {
        user: name.parse::<UserId>().expect("an id"),
        role: Role::User,
        name: name.into(),
        email: "x@example.org".into(),
        groups: [].into(),
        credential: Credential::ApiKey(format!("key of {name}").parse::<ApiKeyId>().expect("an id")),
        rules: limits.map(|limits| Arc::new(KeyRules { limits, ..KeyRules::default() })),
    }
}

pub(crate) fn budget(amount: Amount, period: Period) -> Limits {
    Limits { budget: Some(Budget { amount, period }), ..Limits::default() }
}

pub(crate) fn call(input: u64, max_output: Option<u64>) -> Call {
    Call {
        operation: Operation::Chat,
        model: "llama".into(),
        upstream: Some("here".into()),
        estimated_input: input,
        max_output,
    }
}

/// Reserve while the background work goes on.
pub(crate) async fn reserve(
    meter: &Meter,
    principal: &Principal,
    call: Call,
) -> Result<Reservation, Refusal> {
    tokio::select! {
        biased;
        answer = meter.reserve(principal, call) => answer,
        never = meter.run() => match never {},
    }
}

/// Let the background work go on for a while.
pub(crate) async fn pass(meter: &Meter, time: Duration) {
    tokio::select! {
        biased;
        never = meter.run() => match never {},
        () = sleep(time) => {}
    }
}

pub(crate) fn everything(group_by: GroupBy) -> ReportQuery {
    ReportQuery {
        since: Day::from_number(i32::MIN),
        until: Day::from_number(i32::MAX),
        account: None,
        group_by,
        limit: u32::MAX,
    }
}

/// Run a future of a property to its end, on a clock that waits for nobody.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(future)
}
