//! The adapter and the passthrough against scripted peers, over real sockets.

mod disconnect;
mod fleets;
mod gateway;
mod lists;
mod models;
mod passthrough;
mod upstream;
mod usage;

use std::{collections::BTreeMap, future::Future, time::Duration};

use breezeway_registry::{Connection, ConnectionKind};
use breezeway_testkit::{Outcome, Received, ScriptedUpstream};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};

/// A connection to a scripted upstream.
fn connection(upstream: &ScriptedUpstream, index: usize) -> Connection {
    Connection {
        kind: ConnectionKind::Ollama,
        index,
        url: upstream.url(),
        key: Some("sk-upstream".into()),
        enabled: true,
        prefix: None,
        model_ids: Vec::new(),
        tags: Vec::new(),
        connection_type: None,
        provider: String::new(),
        headers: BTreeMap::new(),
        other: Map::new(),
        timeout: None,
        idle_timeout: None,
        routing: Default::default(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("the test writes an object").clone()
}

/// How long the upstream needs to notice that the client left, which it must.
async fn time_to_notice(received: &Received) -> Duration {
    let left = Instant::now();
    let outcome = timeout(Duration::from_secs(5), received.outcome()).await;
    assert_eq!(outcome, Ok(Outcome::ClientLeft), "the upstream notices that its client left");
    left.elapsed()
}

/// Checks the promise of a tenth of a second on the quickest of some tries: the machine that runs
/// the tests may be busy with something else during any one of them.
async fn promptly<F: Future<Output = Duration>>(attempt: impl Fn() -> F) {
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        quickest = quickest.min(attempt().await);
    }
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}
