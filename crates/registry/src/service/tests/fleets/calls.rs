//! Calls that are made elsewhere than over the port.

use super::*;
use crate::Attempt;

/// A call that fails at the first connection.
async fn second_only(attempt: Attempt) -> Result<usize, UpstreamError> {
    match attempt.connection.index {
        0 => Err(gone()),
        index => Ok(index),
    }
}

#[tokio::test]
async fn a_call_goes_on_to_the_next_connection_and_holds_its_place() {
    let (bench, ..) = pair(|_| {}).await;
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    let errand = Errand::default();

    let (index, lease) = route.fleet.call(&errand, second_only).await.unwrap();

    assert_eq!((index, lease.connection().index, lease.upstream_model(), errand.attempts()), (1, 1, "m", 2));
    assert_eq!(loads(&bench), [0, 1]);
    drop(lease);
    assert_eq!(loads(&bench), [0, 0]);
}

#[tokio::test]
async fn calls_that_fail_open_the_breaker() {
    let (bench, ..) = pair(|_| {}).await;
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    for _ in 0..5 {
        drop(route.fleet.call(&Errand::default(), second_only).await.unwrap());
    }

    let errand = Errand::default();
    drop(route.fleet.call(&errand, second_only).await.unwrap());

    assert_eq!(errand.attempts(), 1);
}

#[tokio::test]
async fn a_call_that_may_have_been_worked_on_is_not_repeated() {
    let (bench, ..) = pair(|_| {}).await;
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    let errand = Errand::default();

    let failed = route.fleet.call(&errand, |_| async { Err::<(), _>(broken()) }).await;

    assert!(matches!(failed, Err(UpstreamError::Broken(_))));
    assert_eq!((errand.attempts(), loads(&bench)), (1, vec![0, 0]));
}

#[tokio::test]
async fn an_answer_is_held_back_only_where_a_broken_one_would_be_repeated() {
    for eager in [false, true] {
        let (bench, ..) = pair(|routing| (routing.retry_broken, routing.attempts) = (eager, Some(2))).await;
        let route = bench.registry.resolve(&admin(), "m").unwrap();
        let mut held_back = Vec::new();

        let errand = Errand::default();
        let failed = route.fleet.call(&errand, |attempt| {
            held_back.push(attempt.holds_back);
            async { Err::<(), _>(gone()) }
        });
        drop(failed.await);

        assert_eq!(held_back, [eager, false]);
    }
}

#[tokio::test]
async fn a_part_of_a_fleet_asks_its_connection_alone() {
    let (bench, ..) = pair(|_| {}).await;
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    let stranger = Arc::new(openai(7));

    let only = route.fleet.only(&bench.registry.connections(ConnectionKind::OpenAi)[1]).unwrap();
    let (index, _) = only.call(&Errand::default(), second_only).await.unwrap();

    assert_eq!(index, 1);
    assert!(!only.has_choice() && route.fleet.only(&stranger).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_trial_whose_client_left_before_it_had_a_place_is_made_by_the_next() {
    let full = |routing: &mut Routing| (routing.max_in_flight, routing.max_queue) = (Some(1), Some(4));
    let (bench, first, second) = pair(full).await;
    for _ in 0..5 {
        first.fail_chat(gone());
        ask(&bench, &Errand::default(), false).await.unwrap();
    }
    let route = bench.registry.resolve(&admin(), "m").unwrap();
    let only = route.fleet.only(&route.connection).unwrap();
    first.reply_frames_then_hang(Vec::new());
    let held = only.chat(question("hi", true)).await.unwrap();
    second.reply_frames_then_hang(Vec::new());
    let other = ask(&bench, &Errand::default(), true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;

    let errand = Errand::default();
    let mut waiting = Box::pin(ask(&bench, &errand, false));
    assert!(is_pending(&mut waiting).await);
    drop(waiting);
    drop((held, other));
    ask(&bench, &errand, false).await.unwrap();

    assert_eq!(errand.served().unwrap().connection.index, 0);
}
