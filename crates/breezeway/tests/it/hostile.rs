//! Bodies that make no sense: refused in words, never a fault of ours.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::{
    harness::{Answer, TestServer, Upstreams},
    sweeps::{Row, Things, rows},
};

/// Any JSON value, of any kind and a little depth.
fn anything() -> impl Strategy<Value = Value> {
    let odd_text = prop_oneof![
        "\\PC{0,12}",
        Just("\0\r\n\u{202e}../..".to_owned()),
        Just("x".repeat(2000)),
        Just(String::new()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        odd_text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|map| Value::from(Map::from_iter(map))),
        ]
    })
}

/// What is done to a body that would succeed.
#[derive(Clone, Debug)]
enum Change {
    /// Something else is sent.
    Whole(Value),
    /// A field has another value, or a new one is there.
    Field(usize, Value),
    /// A field is missing.
    Without(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => anything().prop_map(Change::Whole),
        4 => (any::<usize>(), anything()).prop_map(|(place, value)| Change::Field(place, value)),
        1 => any::<usize>().prop_map(Change::Without),
    ]
}

fn changed(body: &str, change: &Change) -> Value {
    let mut body: Value = serde_json::from_str(body).unwrap_or_else(|_| json!({}));
    match (change, &mut body) {
        (Change::Field(place, value), Value::Object(fields)) if !fields.is_empty() => {
            let name = fields.keys().nth(place % fields.len()).cloned().unwrap();
            fields.insert(name, value.clone());
        }
        (Change::Without(place), Value::Object(fields)) if !fields.is_empty() => {
            let name = fields.keys().nth(place % fields.len()).cloned().unwrap();
            fields.shift_remove(&name);
        }
        (Change::Whole(value) | Change::Field(_, value), body) => *body = value.clone(),
        (Change::Without(_), body) => *body = Value::Null,
    }
    body
}

/// Ask, and put connections back that a body may have taken away.
async fn ask(server: &TestServer, upstreams: &Upstreams, row: &Row, things: &Things, body: &Value) -> Answer {
    let path = things.fill(&format!("{}{}", row.path, row.query));
    let answer = server.admin().post(&path, body.clone()).await;
    if row.path.ends_with("config/update") {
        let openai =
            json!({"OPENAI_API_BASE_URLS": [upstreams.openai.openai_url()], "OPENAI_API_KEYS": [""]});
        let ollama = json!({"OLLAMA_BASE_URLS": [upstreams.ollama.url()]});
        server.admin().post("/openai/config/update", openai).await;
        server.admin().post("/ollama/config/update", ollama).await;
        server.breezeway.registry().refresh(false).await;
    }
    answer
}

/// What is wrong with an answer to a body that makes no sense.
fn fault(row: &Row, answer: &Answer) -> Option<String> {
    // Whether an address works is the question there, and that it does not is said with a 500.
    let is_verdict = row.path.ends_with("/verify") && answer.text().contains("Server Connection Error");
    if answer.status >= 500 && !is_verdict {
        return Some("a fault of ours".to_owned());
    }
    let says_why = || answer.is_json() && !answer.json()["detail"].is_null();
    (answer.status >= 400 && !says_why()).then(|| "a refusal without a detail".to_owned())
}

#[test]
fn no_body_is_a_fault_of_ours_and_every_refusal_says_why() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let rows: Vec<Row> = rows().into_iter().filter(|row| row.method == "POST" && !row.uploads()).collect();
    let (server, upstreams, things) = runtime.block_on(async {
        let (mut server, upstreams) = TestServer::with_upstreams().await;
        server.run();
        server.sign_up("ada").await;
        let mut things = Vec::new();
        for row in &rows {
            things.push(Things::make(&server, &upstreams, row).await);
        }
        (server, upstreams, things)
    });
    // Without files for failures: a body that fails once belongs into a test of its own.
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };

    let outcome = TestRunner::new(config).run(&(0..rows.len(), change()), |(place, change)| {
        let (row, things) = (&rows[place], &things[place]);
        let body = changed(&things.fill(&row.json()), &change);
        let answer = runtime.block_on(ask(&server, &upstreams, row, things, &body));
        let fault = fault(row, &answer);
        prop_assert!(fault.is_none(), "{fault:?} at {} for {body}: {}", row.path, answer.summary());
        Ok(())
    });

    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    drop(server);
    runtime.shutdown_background();
}
