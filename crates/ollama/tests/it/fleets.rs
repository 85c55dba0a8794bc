//! Several connections with one model, asked natively.

use breezeway_registry::{Alias, Connection};
use breezeway_testkit::{Outcome, Reply, ScriptedUpstream};
use serde_json::{Value, json};

use crate::{connection, gateway::Gateway};

const MODEL: &str = "llama3.2:latest";
const CHAT: &str = "/api/chat";

fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": true})
}

fn down() -> Reply {
    Reply::json(503, &json!({"error": "server busy"}))
}

/// The connection, asked after those of a lower number.
fn placed(upstream: &ScriptedUpstream, index: usize, change: impl FnOnce(&mut Connection)) -> Connection {
    let mut connection = connection(upstream, index);
    connection.routing.priority = u32::try_from(index).unwrap();
    change(&mut connection);
    connection
}

async fn two(change: impl Fn(&mut Connection)) -> (Gateway, [ScriptedUpstream; 2]) {
    let upstreams = [ScriptedUpstream::start().await, ScriptedUpstream::start().await];
    let connections = upstreams.iter().enumerate();
    let connections = connections.map(|(index, upstream)| placed(upstream, index, &change)).collect();
    let gateway = Gateway::start(connections, &[]).await;
    gateway.registry.refresh(false).await;
    (gateway, upstreams)
}

fn loads(gateway: &Gateway) -> Vec<usize> {
    gateway.registry.status().iter().map(|status| status.load).collect()
}

#[tokio::test]
async fn the_preferred_connection_is_asked_and_the_next_if_it_cannot() {
    let (gateway, [first, second]) = two(|_| {}).await;

    let usual = gateway.admin().post_json(CHAT, &question(MODEL)).await;
    first.always(CHAT, down());
    let other = gateway.admin().post_json(CHAT, &question(MODEL)).await;

    assert_eq!((usual.status, other.status), (200, 200), "{}", other.text());
    assert_eq!((first.received_at(CHAT).len(), second.received_at(CHAT).len()), (2, 1));
    // The same bytes went to both.
    assert_eq!(first.last_at(CHAT).body(), second.last_at(CHAT).body());
    assert_eq!(loads(&gateway), [0, 0]);
}

#[tokio::test]
async fn a_connection_that_refuses_is_left_alone_after_a_while() {
    let (gateway, [first, second]) = two(|_| {}).await;
    first.always("/api/embed", down());

    for _ in 0..8 {
        let answer = gateway.admin().post_json("/api/embed", &json!({"model": MODEL, "input": "x"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    assert_eq!(first.received_at("/api/embed").len(), 5);
    assert_eq!(second.received_at("/api/embed").len(), 8);
    assert_eq!(gateway.registry.status()[0].resting, [MODEL]);
}

#[tokio::test]
async fn nothing_is_repeated_once_a_byte_has_come() {
    let (gateway, [first, second]) = two(|connection| connection.routing.retry_broken = true).await;
    first.always(CHAT, Reply::ndjson([json!({"done": false})]).cut_after(1));

    let mut answer = gateway.admin().stream(CHAT, &question(MODEL)).await;

    assert_eq!(answer.line().await.as_deref(), Some(r#"{"done":false}"#));
    assert!(matches!(answer.piece().await, Some(Err(_))), "the end is missing");
    assert!(second.received_at(CHAT).is_empty());
    assert_eq!(loads(&gateway), [0, 0]);
}

#[tokio::test]
async fn an_answer_that_breaks_before_its_first_byte_is_asked_for_again_where_that_is_wanted() {
    for wanted in [false, true] {
        let (gateway, [first, second]) = two(|connection| connection.routing.retry_broken = wanted).await;
        first.always(CHAT, Reply::ndjson([]).first_after(std::time::Duration::from_millis(10)).cut_after(0));

        let mut answer = gateway.admin().stream(CHAT, &question(MODEL)).await;
        let begins_well = matches!(answer.piece().await, Some(Ok(_)));

        assert_eq!((begins_well, second.received_at(CHAT).len()), (wanted, usize::from(wanted)));
    }
}

#[tokio::test]
async fn an_index_means_that_connection_and_no_other() {
    let (gateway, [first, second]) = two(|_| {}).await;
    first.always(CHAT, down());

    let answer = gateway.admin().post_json("/api/chat/0", &question(MODEL)).await;

    assert_eq!((answer.status, answer.json()["error"].as_str()), (503, Some("server busy")));
    assert!(second.received_at(CHAT).is_empty());
}

#[tokio::test]
async fn more_than_a_connection_may_have_is_refused_with_a_time() {
    let full = |connection: &mut Connection| {
        (connection.routing.max_in_flight, connection.routing.max_queue) = (Some(1), Some(0));
    };
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::start(vec![placed(&upstream, 0, full)], &[]).await;
    upstream.always(CHAT, Reply::ndjson([json!({"done": false})]).then_stall());
    let mut held = gateway.admin().stream(CHAT, &question(MODEL)).await;
    held.line().await;

    let refused = gateway.admin().post_json(CHAT, &question(MODEL)).await;
    let received = upstream.last_at(CHAT);
    drop(held);

    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(received.outcome().await, Outcome::ClientLeft);
    assert_eq!(loads(&gateway), [0]);
}

#[tokio::test]
async fn an_alias_is_a_name_for_ollamas_models_too() {
    let (one, other) = (ScriptedUpstream::with_models(["a:1b"]).await, ScriptedUpstream::start().await);
    let targets = ["a:1b", MODEL].map(|id| id.parse().unwrap()).into();
    let fast = Alias { id: "fast".parse().unwrap(), targets };
    let connections = vec![connection(&one, 0), connection(&other, 1)];
    let gateway = Gateway::with_aliases(connections, &[], vec![fast]).await;
    gateway.registry.refresh(false).await;
    one.always(CHAT, down());
    let odd = "{ \"model\" : \"fast\", \"messages\":[],\"x\":1.0 }";

    let answer = gateway.admin().request(http::Method::POST, CHAT, None, odd).await;
    let shown = gateway.admin().post_json("/api/show", &json!({"model": "fast"})).await;

    assert_eq!((answer.status, shown.status), (200, 200), "{} {}", answer.text(), shown.text());
    assert_eq!(one.last_at(CHAT).body(), odd.replace("fast", "a:1b"));
    assert_eq!(other.last_at(CHAT).body(), odd.replace("fast", MODEL));
}
