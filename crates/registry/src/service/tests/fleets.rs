mod calls;

use std::{future::poll_fn, pin::Pin, task::Poll};

use breezeway_wire::{ChatRequest, Frame};
use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};

use super::*;
use crate::{ChatReply, Errand, FrameStream, Routing, UpstreamError};

fn gone() -> UpstreamError {
    UpstreamError::Unreachable("nobody is there".into())
}

fn broken() -> UpstreamError {
    UpstreamError::Broken("it hung up".into())
}

fn answered(status: u16, retry_after: Option<&str>) -> UpstreamError {
    let retry_after = retry_after.map(str::to_owned);
    UpstreamError::Answered { status, content_type: None, body: "its own words".into(), retry_after }
}

fn question(text: &str, stream: bool) -> ChatRequest {
    let messages = json!([{"role": "user", "content": text}]);
    ChatRequest::try_from(json!({"model": "m", "messages": messages, "stream": stream})).unwrap()
}

/// The connection with another place in its fleets.
fn placed(connection: Connection, change: impl FnOnce(&mut Routing)) -> Connection {
    let mut routing = Routing::default();
    change(&mut routing);
    Connection { routing, ..connection }
}

/// Two connections with the same model, the first preferred.
async fn pair(change: impl Fn(&mut Routing)) -> (Bench, ScriptedUpstream, ScriptedUpstream) {
    let (first, second) = (ScriptedUpstream::serving(["m"]), ScriptedUpstream::serving(["m"]));
    let connections = [
        placed(openai(0), &change),
        placed(openai(1), |routing| {
            change(routing);
            routing.priority = 1;
        }),
    ];
    let [one, other] = connections;
    let bench = bench(&[(one, &first), (other, &second)], &[], |_| {}).await;
    bench.registry.refresh(false).await;
    (bench, first, second)
}

async fn ask(bench: &Bench, errand: &Errand, stream: bool) -> Result<ChatReply, UpstreamError> {
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    route.upstream.chat_for(errand, question("hi", stream)).await
}

/// Ask, and tell which connection answered, or failed last, and after how many attempts.
async fn served(bench: &Bench) -> (bool, usize, u32) {
    let errand = Errand::default();
    let went_well = ask(bench, &errand, false).await.is_ok();
    (went_well, errand.served().expect("somebody was asked").connection.index, errand.attempts())
}

/// Begin a call; says whether it waits for something.
async fn is_pending<F: Future>(call: &mut Pin<Box<F>>) -> bool {
    poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await
}

fn loads(bench: &Bench) -> Vec<usize> {
    bench.registry.status().iter().map(|status| status.load).collect()
}

#[tokio::test]
async fn what_was_never_worked_on_is_asked_of_the_next() {
    for error in [gone(), answered(429, None), answered(502, None), answered(503, None), answered(504, None)]
    {
        let (bench, first, _) = pair(|_| {}).await;
        first.fail_chat(error.clone());

        assert_eq!(served(&bench).await, (true, 1, 2), "{error:?}");
        assert_eq!(loads(&bench), [0, 0]);
    }
}

#[tokio::test]
async fn what_may_have_been_worked_on_is_not_repeated_unless_that_is_wanted() {
    for error in [broken(), UpstreamError::TimedOut(Duration::from_secs(1)), answered(500, None)] {
        let (careful, first, _) = pair(|_| {}).await;
        first.fail_chat(error.clone());
        let (eager, other_first, _) = pair(|routing| routing.retry_broken = true).await;
        other_first.fail_chat(error.clone());

        assert_eq!(served(&careful).await, (false, 0, 1), "{error:?}");
        assert_eq!(served(&eager).await, (true, 1, 2), "{error:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_wrong_is_nobody_elses_affair() {
    let (bench, first, second) = pair(|routing| routing.retry_broken = true).await;
    first.fail_chat(answered(400, None));

    let error = ask(&bench, &Errand::default(), false).await.err();

    assert!(matches!(error, Some(UpstreamError::Answered { status: 400, .. })));
    assert!(second.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_more_attempts_are_made_than_agreed() {
    let (bench, first, second) = pair(|_| {}).await;
    for _ in 0..9 {
        first.fail_chat(answered(503, None));
        second.fail_chat(gone());
    }

    let errand = Errand::default();
    let error = ask(&bench, &errand, false).await.err();

    assert_eq!(errand.attempts(), 3);
    assert_eq!(first.requests().len() + second.requests().len(), 3);
    assert!(matches!(error, Some(UpstreamError::Answered { status: 503, .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_asked_once_unless_it_says_otherwise() {
    let upstream = ScriptedUpstream::serving(["m"]);
    let plain = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    plain.registry.refresh(false).await;
    upstream.fail_chat(answered(503, Some("9")));
    assert_eq!(served(&plain).await, (false, 0, 1));
    assert_eq!(served(&plain).await, (true, 0, 1), "nobody else could be asked meanwhile");

    let upstream = ScriptedUpstream::serving(["m"]);
    let twice = placed(openai(0), |routing| routing.attempts = Some(2));
    let twice = bench(&[(twice, &upstream)], &[], |_| {}).await;
    twice.registry.refresh(false).await;
    upstream.fail_chat(answered(503, None));
    assert_eq!(served(&twice).await, (true, 0, 2));
}

#[tokio::test]
async fn each_connection_is_asked_for_the_model_by_its_own_name() {
    let (first, second) = (ScriptedUpstream::serving(["p.m"]), ScriptedUpstream::serving(["m"]));
    let prefixed =
        Connection { prefix: Some("p".into()), ..placed(openai(1), |routing| routing.priority = 1) };
    let bench = bench(&[(openai(0), &first), (prefixed, &second)], &[], |_| {}).await;
    bench.registry.refresh(false).await;
    first.fail_chat(gone());

    let route = bench.registry.resolve(&admin(), "p.m").unwrap();
    let errand = Errand::default();
    route.upstream.chat_for(&errand, question("hi", false)).await.unwrap();

    assert_eq!((route.connection.index, route.upstream_model.as_str()), (0, "p.m"));
    assert_eq!(first.requests()[0].model(), Some("p.m"));
    assert_eq!(second.requests()[0].model(), Some("m"));
    assert_eq!(&*errand.served().unwrap().upstream_model, "m");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_asks_for_a_pause_is_not_asked_until_then() {
    let (bench, first, _) = pair(|_| {}).await;
    first.fail_chat(answered(429, Some("30")));

    let (_, after_429, _) = served(&bench).await;
    tokio::time::advance(Duration::from_secs(29)).await;
    let resting = bench.registry.status()[0].resting.clone();
    let (_, shortly_before, attempts) = served(&bench).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let (_, afterwards, _) = served(&bench).await;

    assert_eq!((after_429, shortly_before, attempts, afterwards), (1, 1, 1, 0));
    assert_eq!(resting, ["m"]);
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_fails_is_left_alone_and_tried_again() {
    let (bench, first, _) = pair(|_| {}).await;
    for _ in 0..6 {
        first.fail_chat(gone());
    }

    let mut attempts = Vec::new();
    for _ in 0..7 {
        attempts.push(served(&bench).await.2);
    }
    let while_open = first.requests().len();
    tokio::time::advance(Duration::from_millis(1300)).await;
    let probed = (served(&bench).await, served(&bench).await.2);
    tokio::time::advance(Duration::from_millis(2600)).await;
    let closed = served(&bench).await;

    assert_eq!(attempts, [2, 2, 2, 2, 2, 1, 1], "five failures are enough");
    assert_eq!(while_open, 5);
    assert_eq!(probed, ((true, 1, 2), 1), "the probe failed, so it is left alone again");
    assert_eq!(closed, (true, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn one_call_alone_tries_an_offer_that_failed() {
    let (bench, first, _) = pair(|_| {}).await;
    for _ in 0..5 {
        first.fail_chat(gone());
        served(&bench).await;
    }
    tokio::time::advance(Duration::from_millis(1300)).await;
    first.hang_chat();

    let probe = Errand::default();
    let mut probing: Pin<Box<_>> = Box::pin(ask(&bench, &probe, false));
    assert!(is_pending(&mut probing).await);
    let meanwhile = served(&bench).await;
    drop(probing);
    let next = served(&bench).await;

    assert_eq!(meanwhile, (true, 1, 1));
    assert_eq!(next, (true, 0, 1), "the client of the probe left, so the next call is one");
    assert_eq!(loads(&bench), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn if_all_are_left_alone_one_is_asked_all_the_same() {
    let (bench, first, second) = pair(|_| {}).await;
    for _ in 0..9 {
        first.fail_chat(answered(503, Some("60")));
        second.fail_chat(answered(503, Some("50")));
    }
    served(&bench).await;

    let errand = Errand::default();
    let error = ask(&bench, &errand, false).await.err();

    assert!(matches!(error, Some(UpstreamError::Answered { status: 503, .. })), "its own words");
    assert_eq!((errand.attempts(), errand.served().unwrap().connection.index), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_connection_passes_requests_on_and_then_says_that_it_is_busy() {
    let (bench, first, second) = pair(|routing| {
        (routing.max_in_flight, routing.max_queue) = (Some(1), Some(1));
        routing.queue_wait = Some(Duration::from_secs(3));
    })
    .await;
    first.hang_chat();
    second.hang_chat();
    let errands: Vec<_> = (0..4).map(|_| Errand::default()).collect();
    let [one, two, three, four] = &errands[..] else { unreachable!() };
    let mut hanging = [Box::pin(ask(&bench, one, false)), Box::pin(ask(&bench, two, false))];
    for call in &mut hanging {
        assert!(is_pending(call).await);
    }
    assert_eq!(loads(&bench), [1, 1]);

    let mut waiting = Box::pin(ask(&bench, three, false));
    assert!(is_pending(&mut waiting).await);
    let refused = waiting.await.err();
    let mut waiting = Box::pin(ask(&bench, four, false));
    assert!(is_pending(&mut waiting).await);
    drop(hanging);
    let let_in = waiting.await;

    assert!(matches!(refused, Some(UpstreamError::Busy { .. })), "{refused:?}");
    assert_eq!(refused.map(|error| error.to_string()).as_deref(), Some("the upstream has too much to do"));
    assert_eq!(three.attempts(), 0, "it never reached an upstream");
    assert!(let_in.is_ok());
    assert_eq!(loads(&bench), [0, 0]);
}

async fn stream(bench: &Bench) -> FrameStream {
    match ask(bench, &Errand::default(), true).await {
        Ok(ChatReply::Stream(frames)) => frames,
        _ => panic!("it streams"),
    }
}

#[tokio::test]
async fn a_stream_keeps_its_place_until_it_ends_or_is_dropped() {
    let (bench, first, _) = pair(|_| {}).await;
    let mut ended = stream(&bench).await;
    first.reply_frames_then_hang(vec![Ok(Frame::done())]);
    let dropped = stream(&bench).await;
    let under_way = loads(&bench);

    while ended.next().await.is_some() {}
    let after_its_end = loads(&bench);
    drop(dropped);

    assert_eq!((under_way, after_its_end), (vec![2, 0], vec![1, 0]));
    assert_eq!(loads(&bench), [0, 0]);
    assert_eq!(first.open_calls(), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_before_it_begins_is_only_repeated_where_that_is_wanted() {
    for (wanted, expected) in [(false, 0), (true, 1)] {
        let (bench, first, second) = pair(|routing| routing.retry_broken = wanted).await;
        first.reply_frames(vec![Err(broken())]);

        let frames: Vec<_> = stream(&bench).await.collect().await;

        assert_eq!(second.requests().len(), expected);
        assert_eq!(frames[0].is_ok(), wanted, "{frames:?}");
        assert_eq!(loads(&bench), [0, 0]);
    }
}

#[tokio::test]
async fn a_stream_that_has_begun_is_never_repeated() {
    let (bench, first, second) = pair(|routing| routing.retry_broken = true).await;
    first.reply_frames(vec![Ok(Frame::json(&json!({"choices": []}))), Err(broken())]);

    let frames: Vec<_> = stream(&bench).await.collect().await;

    assert!(matches!(frames[..], [Ok(_), Err(UpstreamError::Broken(_))]), "{frames:?}");
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn streams_that_break_off_open_the_breaker_too() {
    let (bench, first, _) = pair(|_| {}).await;
    for _ in 0..10 {
        first.reply_frames(vec![Ok(Frame::json(&json!({}))), Err(broken())]);
        let _: Vec<_> = stream(&bench).await.collect().await;
    }

    assert_eq!(bench.registry.status()[0].resting, ["m"]);
}

/// Equal connections with one model.
async fn equals(count: usize, connection: impl Fn(usize) -> Connection) -> (Bench, Vec<ScriptedUpstream>) {
    let upstreams: Vec<_> = (0..count).map(|_| ScriptedUpstream::serving(["m"])).collect();
    let connections: Vec<_> =
        upstreams.iter().enumerate().map(|(index, upstream)| (connection(index), upstream)).collect();
    let bench = bench(&connections, &[], |_| {}).await;
    bench.registry.refresh(false).await;
    (bench, upstreams)
}

fn counts(upstreams: &[ScriptedUpstream]) -> Vec<usize> {
    upstreams.iter().map(|upstream| upstream.requests().len()).collect()
}

#[tokio::test]
async fn conversations_spread_and_each_stays_where_it_is() {
    let (bench, upstreams) = equals(3, openai).await;
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    let mut homes = Vec::new();

    for conversation in 0..30 {
        let mut asked = Vec::new();
        for turn in 0..4 {
            let errand = Errand::of("ada");
            let mut request = question(&format!("conversation {conversation}"), false).into_map();
            let messages = request.get_mut("messages").and_then(Value::as_array_mut).unwrap();
            messages.extend((0..turn).map(|turn| json!({"role": "assistant", "content": turn.to_string()})));
            route.upstream.chat_for(&errand, ChatRequest::new(request)).await.unwrap();
            asked.push(errand.served().unwrap().connection.index);
        }
        asked.dedup();
        homes.push(asked);
    }

    assert!(homes.iter().all(|home| home.len() == 1), "{homes:?}");
    assert!(counts(&upstreams).iter().all(|&count| count > 12), "{:?}", counts(&upstreams));
}

#[tokio::test]
async fn a_model_is_loaded_by_one_ollama_and_not_by_all() {
    let (bench, upstreams) = equals(3, ollama).await;
    let route = bench.registry.resolve(&admin(), "m").unwrap();

    for text in 0..20 {
        route.upstream.chat(question(&text.to_string(), false)).await.unwrap();
    }

    let mut counts = counts(&upstreams);
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 20]);
}

#[tokio::test]
async fn work_that_one_cannot_do_alone_is_shared() {
    let (bench, upstreams) = equals(2, openai).await;
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    for upstream in &upstreams {
        (0..40).for_each(|_| upstream.reply_frames_then_hang(Vec::new()));
    }

    let same = |_| route.upstream.chat(question("the same conversation", true));
    let streams = join_all((0..40).map(same)).await;

    assert!(counts(&upstreams).iter().all(|&count| (14..27).contains(&count)), "{:?}", counts(&upstreams));
    drop(streams);
    assert_eq!(loads(&bench), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn fifty_upstreams_of_which_ten_are_black_holes_hold_nobody_up() {
    let upstreams: Vec<_> =
        (0..50).map(|index| ScriptedUpstream::serving([format!("m-{index}").as_str()])).collect();
    let connections: Vec<_> =
        upstreams.iter().enumerate().map(|(index, upstream)| (openai(index), upstream)).collect();
    let bench = bench(&connections, &[], |_| {}).await;
    upstreams.iter().step_by(5).for_each(ScriptedUpstream::hang_catalog);
    let refresh = bench.registry.refresh(false);
    tokio::pin!(refresh);

    let early = tokio::time::timeout(Duration::from_millis(1), refresh.as_mut()).await;
    let meanwhile = listed(&bench.registry, &admin()).len();
    let asked_at_once = upstreams.iter().filter(|upstream| upstream.open_calls() > 0).count();
    let failures = refresh.await.len();

    assert!(early.is_err());
    assert_eq!((meanwhile, asked_at_once, failures), (40, 10, 10));
}
