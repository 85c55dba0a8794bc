//! Two connections with one model, of which the first fails in every way: who gets which answer, and
//! what is left behind.

use std::{net::TcpListener, sync::Arc, time::Duration};

use breezeway_core::{Clock, Credential, Principal, Role};
use breezeway_registry::{
    ChatReply, Connection, ConnectionKind, Errand, FleetConfig, MemoryModels, Registry, RegistryConfig,
    Routing, UpstreamError,
};
use breezeway_testkit::{Fault, Peer, Reply, ScriptedUpstream, Then, chat_completion};
use breezeway_upstream::{HttpClient, OpenAiUpstream};
use breezeway_wire::ChatRequest;
use futures_util::{StreamExt, future::join_all};
use serde_json::json;

const CHAT: &str = "/v1/chat/completions";

/// How a call ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Answered,
    Unreachable,
    Broken,
    TimedOut,
    Malformed,
    Status(u16),
    Other,
}

/// When something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    /// Nothing can have been worked on.
    Always,
    /// Only where the connection says `retry_broken`.
    IfWanted,
}

fn end_of(error: &UpstreamError) -> End {
    match error {
        UpstreamError::Unreachable(_) => End::Unreachable,
        UpstreamError::Broken(_) => End::Broken,
        UpstreamError::TimedOut(_) => End::TimedOut,
        UpstreamError::Malformed(_) => End::Malformed,
        UpstreamError::Answered { status, .. } => End::Status(*status),
        _ => End::Other,
    }
}

fn connection(index: usize, url: String, retry_broken: bool) -> Connection {
    let short = Some(Duration::from_millis(150));
    Connection {
        model_ids: vec!["m".into()],
        timeout: short.filter(|_| index == 0),
        idle_timeout: short.filter(|_| index == 0),
        routing: Routing {
            priority: u32::try_from(index).unwrap(),
            retry_broken,
            first_byte_timeout: short.filter(|_| index == 0),
            ..Routing::default()
        },
        ..Connection::new(ConnectionKind::OpenAi, index, url)
    }
}

async fn registry(connections: Vec<Connection>) -> Registry {
    let config = RegistryConfig {
        refresh_every: Duration::from_secs(30),
        catalog_timeout: Duration::from_secs(5),
        open_to_all: true,
        order: Vec::new(),
        aliases: Vec::new(),
        fleet: FleetConfig { seed: Some(1), ..FleetConfig::default() },
    };
    let client = HttpClient::default();
    let connector = Arc::new(move |connection: &Connection| {
        Ok(Arc::new(OpenAiUpstream::new(connection, client.clone())?) as Arc<_>)
    });
    let store = Arc::new(MemoryModels::default());
    Registry::open(config, connections, store, connector, Clock::system()).await.expect("it opens")
}

fn ada() -> Principal {
    Principal {
        user: "ada".parse().unwrap(),
        role: Role::Admin,
        name: "Ada".into(),
        email: "ada@example.org".into(),
        groups: Arc::new([]),
        credential: Credential::Local,
        rules: None,
    }
}

/// Ask, read to the end, and tell how it ended and who served it.
async fn ask(registry: &Registry, stream: bool) -> (End, usize) {
    let route = registry.resolve(&ada(), "m").expect("the model is known");
    let messages = json!([{"role": "user", "content": "hi"}]);
    let question = json!({"model": "m", "messages": messages, "stream": stream});
    let errand = Errand::default();
    let end = match route.upstream.chat_for(&errand, ChatRequest::try_from(question).unwrap()).await {
        Err(error) => end_of(&error),
        Ok(ChatReply::Whole(_)) => End::Answered,
        Ok(ChatReply::Stream(frames)) => {
            let frames: Vec<_> = frames.collect().await;
            frames.iter().find_map(|frame| frame.as_ref().err().map(end_of)).unwrap_or(End::Answered)
        }
    };
    (end, errand.served().expect("somebody was asked").connection.index)
}

fn assert_nothing_is_left(registry: &Registry) {
    for status in registry.status() {
        assert_eq!(status.load, 0, "{}", status.connection.label());
    }
}

/// Ask a failing connection alone, and with another one behind it.
async fn check_at(url: &str, stream: bool, end: End, repeats: Repeats) {
    let good = ScriptedUpstream::start().await;
    for wanted in [false, true] {
        let failing = connection(0, url.to_owned(), wanted);
        let alone = registry(vec![failing.clone()]).await;
        let pair = registry(vec![failing, connection(1, good.openai_url(), wanted)]).await;

        let by_itself = ask(&alone, stream).await;
        let with_another = ask(&pair, stream).await;

        assert_eq!(by_itself, (end, 0), "alone, streamed: {stream}");
        let expected = match repeats == Repeats::Always || wanted {
            true => (End::Answered, 1),
            false => (end, 0),
        };
        assert_eq!(with_another, expected, "streamed: {stream}, `retry_broken`: {wanted}");
        assert_nothing_is_left(&alone);
        assert_nothing_is_left(&pair);
    }
}

async fn check(says: &str, then: Then, end: End, repeats: Repeats) {
    for stream in [false, true] {
        check_one(says, then, stream, end, repeats).await;
    }
}

async fn check_one(says: &str, then: Then, stream: bool, end: End, repeats: Repeats) {
    let mut peer = Peer::start(Fault { says: says.into(), then }).await;

    check_at(&peer.url(), stream, end, repeats).await;

    peer.is_left().await;
}

fn answer(status: &str, content_type: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_refused_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);

    for stream in [false, true] {
        check_at(&url, stream, End::Unreachable, Repeats::Always).await;
    }
}

#[tokio::test]
async fn an_end_before_the_head() {
    check("", Then::Close, End::Broken, Repeats::IfWanted).await;
    check("", Then::Reset, End::Broken, Repeats::IfWanted).await;
}

#[tokio::test]
async fn an_end_inside_the_head() {
    check("HTTP/1.1 200 OK\r\ncontent-ty", Then::Close, End::Broken, Repeats::IfWanted).await;
    check("HTTP/1.1 200 OK\r\ncontent-ty", Then::Reset, End::Broken, Repeats::IfWanted).await;
}

#[tokio::test]
async fn a_head_that_is_none() {
    check("what?\r\n\r\n", Then::Close, End::Broken, Repeats::IfWanted).await;
}

#[tokio::test]
async fn a_head_that_does_not_come() {
    check("", Then::Stall, End::TimedOut, Repeats::IfWanted).await;
    check("HTTP/1.1 200 OK\r\ncontent-ty", Then::Stall, End::TimedOut, Repeats::IfWanted).await;
}

#[tokio::test]
async fn a_body_that_does_not_come() {
    let whole = answer("200 OK", "application/json", 100, "{\"choices\"");
    check_one(&whole, Then::Stall, false, End::TimedOut, Repeats::IfWanted).await;
    let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    check_one(events, Then::Stall, true, End::TimedOut, Repeats::IfWanted).await;
}

#[tokio::test]
async fn half_a_frame() {
    let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"choi";
    check_one(events, Then::Close, true, End::Broken, Repeats::IfWanted).await;
    check_one(events, Then::Reset, true, End::Broken, Repeats::IfWanted).await;
}

#[tokio::test]
async fn a_length_that_is_wrong() {
    check(&answer("200 OK", "application/json", 99, "{}"), Then::Close, End::Broken, Repeats::IfWanted).await;
    let cut = answer("200 OK", "application/json", 5, "{\"choices\": []}");
    check(&cut, Then::Close, End::Malformed, Repeats::IfWanted).await;
}

#[tokio::test]
async fn a_page_instead_of_an_answer() {
    let page = "<html>welcome</html>";
    check(&answer("200 OK", "text/html", page.len(), page), Then::Close, End::Malformed, Repeats::IfWanted)
        .await;
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n";
    let says = format!("{head}content-length: 2\r\n\r\n{{}}");
    check(&says, Then::Close, End::Malformed, Repeats::IfWanted).await;
}

#[tokio::test]
async fn a_redirect() {
    let says = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    check(says, Then::Close, End::Malformed, Repeats::IfWanted).await;
}

#[tokio::test]
async fn errors_of_all_kinds() {
    for (status, repeats) in [
        ("429 Too Many Requests", Repeats::Always),
        ("502 Bad Gateway", Repeats::Always),
        ("503 Service Unavailable", Repeats::Always),
        ("504 Gateway Timeout", Repeats::Always),
        ("500 Internal Server Error", Repeats::IfWanted),
    ] {
        let page = "<html>sorry</html>";
        let number = status[..3].parse().unwrap();
        check(&answer(status, "text/html", page.len(), page), Then::Close, End::Status(number), repeats)
            .await;
    }
}

#[tokio::test]
async fn the_first_failure_that_says_something_is_told_if_all_fail() {
    let (busy, page) = (ScriptedUpstream::start().await, "sorry");
    busy.always(CHAT, Reply::bytes(503, "text/plain", page));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let gone = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let registry = registry(vec![connection(0, busy.openai_url(), false), connection(1, gone, false)]).await;

    let (end, _) = ask(&registry, false).await;

    assert_eq!(end, End::Status(503));
    assert_nothing_is_left(&registry);
}

#[tokio::test]
async fn a_storm_of_429_reaches_no_client() {
    let (stormy, calm) = (ScriptedUpstream::start().await, ScriptedUpstream::start().await);
    let storm = Reply::bytes(429, "text/plain", "slow down").header("retry-after", "60");
    stormy.always(CHAT, storm);
    let registry =
        registry(vec![connection(0, stormy.openai_url(), false), connection(1, calm.openai_url(), false)])
            .await;

    let mut ends = join_all((0..50).map(|_| ask(&registry, false))).await;
    let in_the_storm = stormy.received().len();
    ends.extend(join_all((0..50).map(|_| ask(&registry, true))).await);

    assert!(ends.iter().all(|(end, served)| (*end, *served) == (End::Answered, 1)), "{ends:?}");
    assert_eq!(stormy.received().len(), in_the_storm, "its pause was kept");
    assert_nothing_is_left(&registry);
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place_and_says_nothing_about_the_upstream() {
    let upstream = ScriptedUpstream::start().await;
    upstream.always(CHAT, Reply::stall());
    let patient = Connection { timeout: None, ..connection(1, upstream.openai_url(), false) };
    let registry = registry(vec![patient]).await;

    for _ in 0..8 {
        let mut call = Box::pin(ask(&registry, false));
        upstream.reset();
        tokio::select! {
            _ = &mut call => panic!("nothing answers"),
            _ = upstream.wait_for(CHAT) => {}
        }
        assert_eq!(registry.status()[0].load, 1);
        drop(call);
    }

    assert_nothing_is_left(&registry);
    assert!(registry.status()[0].resting.is_empty());
    upstream.always(CHAT, Reply::json(200, &chat_completion("m", "hi")));
    assert_eq!(ask(&registry, false).await, (End::Answered, 1));
}
