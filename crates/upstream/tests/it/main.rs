//! The adapters against scripted peers, over real sockets.

mod anthropic;
mod azure;
mod chat;
mod client;
mod embedder;
mod faults;

use std::{collections::BTreeMap, future::Future, time::Duration};

use breezeway_registry::{Connection, ConnectionKind};
use breezeway_testkit::{Outcome, Received, ScriptedUpstream};
use breezeway_upstream::{HttpClient, OpenAiUpstream};
use serde_json::Map;
use tokio::time::{Instant, timeout};

/// A connection to a scripted upstream's OpenAI routes.
fn connection(upstream: &ScriptedUpstream) -> Connection {
    Connection {
        kind: ConnectionKind::OpenAi,
        index: 0,
        url: upstream.openai_url(),
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

fn openai(connection: &Connection) -> OpenAiUpstream {
    OpenAiUpstream::new(connection, HttpClient::default()).expect("the connection can be used")
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
