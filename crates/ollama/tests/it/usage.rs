//! What passes is counted, however it ends.

use breezeway_testkit::{Reply, ScriptedUpstream};
use breezeway_usage::{Day, GroupBy, Meter, ReportQuery, Totals};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{connection, gateway::Gateway};

/// How a streamed call goes.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// To its end, where the upstream says that it wrote so many tokens.
    Ends(u64),
    /// The upstream refuses.
    Refused,
    /// The upstream closes after so many pieces.
    Broken(usize),
    /// The client leaves after so many pieces.
    Left(usize),
}

const PROMPT: u64 = 26;

/// Eight bytes of text, which are two tokens by estimate.
fn piece() -> Value {
    json!({"model": "m:1b", "message": {"role": "assistant", "content": "12345678"}, "done": false})
}

fn reply(course: Course) -> Reply {
    match course {
        Course::Ends(output) => {
            let last = json!({"model": "m:1b", "message": {"role": "assistant", "content": ""}, "done": true,
                "prompt_eval_count": PROMPT, "eval_count": output});
            Reply::ndjson([piece(), piece(), last])
        }
        Course::Refused => Reply::json(500, &json!({"error": "out of memory"})),
        Course::Broken(after) => Reply::ndjson(vec![piece(); after]).cut_after(after),
        Course::Left(after) => Reply::ndjson(vec![piece(); after]).then_stall(),
    }
}

/// What must be in the ledger; the question `four` is one token by estimate.
fn expected(course: Course) -> Totals {
    let guessed = |pieces: usize| Totals {
        requests: 1,
        estimated: 1,
        input: 1,
        output: 2 * pieces as u64,
        ..Totals::default()
    };
    match course {
        Course::Ends(output) => Totals { requests: 1, input: PROMPT, output, ..Totals::default() },
        Course::Refused => Totals { requests: 1, failed: 1, ..Totals::default() },
        Course::Broken(after) => Totals { failed: 1, ..guessed(after) },
        Course::Left(after) => Totals { aborted: 1, ..guessed(after) },
    }
}

fn counts(totals: &Totals) -> [u64; 6] {
    [totals.requests, totals.estimated, totals.failed, totals.aborted, totals.input, totals.output]
}

async fn go(gateway: &Gateway, upstream: &ScriptedUpstream, course: Course) {
    upstream.queue("/api/chat", reply(course));
    let question = json!({"model": "m:1b", "messages": [{"role": "user", "content": "four"}]});
    let mut answer = gateway.admin().stream("/api/chat", &question).await;
    let wanted = if let Course::Left(after) = course { after } else { usize::MAX };
    for _ in 0..wanted {
        match answer.piece().await {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break,
        }
    }
}

/// The totals, once so many calls are settled: a client that has left does not see that happen.
async fn settled(meter: &Meter, calls: u64) -> Totals {
    let query = ReportQuery {
        since: Day::default(),
        until: Day::from_number(100_000),
        account: None,
        group_by: GroupBy::default(),
        limit: 1,
    };
    loop {
        let rows = meter.report(&query).await.expect("the ledger can be read");
        let totals = rows.first().map(|row| row.totals).unwrap_or_default();
        if totals.requests >= calls {
            return totals;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

fn course() -> impl Strategy<Value = Course> {
    prop_oneof![
        (0..500_u64).prop_map(Course::Ends),
        Just(Course::Refused),
        (1..4_usize).prop_map(Course::Broken),
        (1..4_usize).prop_map(Course::Left),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_settled_is_what_the_upstream_says_or_an_estimate_of_what_passed(
        calls in proptest::collection::vec(course(), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let used = runtime.block_on(async {
            let upstream = ScriptedUpstream::with_models(["m:1b"]).await;
            let gateway = Gateway::start(vec![connection(&upstream, 0)], &[]).await;
            for (done, &course) in calls.iter().enumerate() {
                go(&gateway, &upstream, course).await;
                settled(&gateway.meter, done as u64 + 1).await;
            }
            settled(&gateway.meter, calls.len() as u64).await
        });

        let mut sum = [0; 6];
        for call in calls {
            let call = counts(&expected(call));
            sum = std::array::from_fn(|column| sum[column] + call[column]);
        }
        prop_assert_eq!(counts(&used), sum);
    }
}
