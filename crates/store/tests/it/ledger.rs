//! What usage costs to read, and a server that is killed while it spends a budget.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use breezeway_core::{
    Amount, ApiKeyId, Budget, Clock, Credential, KeyRules, Limits, Period, Principal, Role, UserId,
};
use breezeway_usage::{Call, Meter, Operation, Outcome, PriceTable, Tokens, UsageConfig};

use crate::support::{TempStore, at, open, raw};

/// Tells the copy of this test program where to spend, and that it is the one to be killed.
const PATH: &str = "BREEZEWAY_STORE_SPENDER_PATH";

const LIMIT: u64 = 1 << 40;

fn config() -> UsageConfig {
    UsageConfig { lease_tokens: 2000, overshoot_tokens: 500, ..UsageConfig::default() }
}

async fn meter(path: &Path) -> Meter {
    let store = Arc::new(open(path).await);
    Meter::open(config(), store, PriceTable::empty(), Clock::fixed(at(0))).await.expect("the meter opens")
}

fn spender() -> Principal {
    let budget = Some(Budget { amount: Amount::Tokens(LIMIT), period: Period::Month });
    let limits = Limits { budget, ..Limits::default() };
    Principal {
        user: "ada".parse::<UserId>().expect("an id"),
        role: Role::User,
        name: "Ada".into(),
        email: "ada@example.org".into(),
        groups: [].into(),
        credential: Credential::ApiKey("key".parse::<ApiKeyId>().expect("an id")),
        rules: Some(Arc::new(KeyRules { limits, ..KeyRules::default() })),
    }
}

fn left(meter: &Meter) -> u64 {
    let rates = meter.admit(&spender()).expect("admitted").expect("limits");
    rates.budget.expect("a budget").1.remaining
}

/// Not a test of its own: the program that [`a_killed_server_has_spent_no_more_than_it_knows`] starts
/// and kills. Without the variable there is nothing to do.
#[tokio::test]
async fn the_spender_that_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "a test program that starts itself is told so this way")]
    let Ok(path) = std::env::var(PATH) else { return };
    let meter = meter(Path::new(&path)).await;
    let spend = async {
        // More rounds than any test waits for, but an end in case its parent is gone.
        for _ in 0..1_000_000_u32 {
            let call = Call {
                operation: Operation::Chat,
                model: "llama".into(),
                upstream: None,
                estimated_input: 100,
                max_output: Some(400),
            };
            let reservation = meter.reserve(&spender(), call).await.expect("there is plenty");
            reservation.settle(Tokens { input: 150, output: 350, cached: 0 }, Outcome::Completed);
            println!("spent 500 of them");
        }
    };
    tokio::select! { () = spend => {}, never = meter.run() => match never {} }
}

#[tokio::test]
async fn a_killed_server_has_spent_no_more_than_it_knows() {
    let temp = TempStore::new().await;
    let path = temp.path();
    let _folder = temp.close();
    let program = std::env::current_exe().expect("a test knows its program");
    let mut before = LIMIT;

    for round in 1..=5 {
        let mut child = Command::new(&program)
            .args(["--exact", "ledger::the_spender_that_is_killed", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut spent = 0;
        while spent < round * 1700 {
            let line = lines.next().expect("it goes on until it is killed").expect("text");
            spent += if line.contains("spent 500") { 500 } else { 0 };
        }
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let rest = lines.map_while(Result::ok).filter(|line| line.contains("spent 500 of them")).count();
        spent += rest as u64 * 500;

        let after = left(&meter(&path).await);
        let known = before - after;
        // One call may have been under way, and one more may wait for the lease.
        let slice = config().lease_tokens * 3 / 2 + config().overshoot_tokens + 2 * 500;
        assert!(known >= spent, "round {round}: {known} are known, {spent} are spent");
        assert!(known <= spent + slice, "round {round}: {known} are known, {spent} are spent");
        before = after;
    }
}

#[tokio::test]
async fn reports_read_only_the_days_they_are_about() {
    let temp = TempStore::new().await;
    let connection = raw(&temp.path());
    let plan = |sql: &str| -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepared");
        let mut rows = statement.raw_query();
        let row = rows.next().expect("read").expect("a step");
        row.get("detail").expect("text")
    };

    let all = plan("SELECT sum(input) FROM usage WHERE ?8 IS NULL AND day BETWEEN ?1 AND ?2");
    let own = plan("SELECT sum(input) FROM usage WHERE account = ?8 AND day BETWEEN ?1 AND ?2");

    assert!(all.contains("PRIMARY KEY (day>? AND day<?)"), "{all}");
    assert!(own.contains("usage_by_account (account=? AND day>? AND day<?)"), "{own}");
}
