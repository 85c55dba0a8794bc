use super::*;
use crate::UpstreamError;

fn gone() -> UpstreamError {
    UpstreamError::Unreachable("it is switched off".into())
}

#[tokio::test]
async fn a_failing_upstream_keeps_its_models_unless_told_otherwise() {
    let (good, bad) = (ScriptedUpstream::serving(["good"]), ScriptedUpstream::serving(["bad"]));
    let bench = bench(&[(openai(0), &good), (openai(1), &bad)], &[], |_| {}).await;
    let registry = &bench.registry;
    registry.refresh(false).await;

    bad.fail_catalog(gone());
    let failures = registry.refresh(false).await;
    let kept = listed(registry, &admin());
    bad.fail_catalog(gone());
    registry.refresh(true).await;
    let forgotten = listed(registry, &admin());
    registry.refresh(false).await;

    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].0.index, 1);
    assert_eq!(kept, ["good", "bad"]);
    assert_eq!(forgotten, ["good"]);
    assert_eq!(listed(registry, &admin()), ["good", "bad"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_upstream_holds_nobody_up_and_times_out() {
    let (good, silent) = (ScriptedUpstream::serving(["good"]), ScriptedUpstream::serving(["silent"]));
    let bench = bench(&[(openai(0), &good), (ollama(0), &silent)], &[], |_| {}).await;
    silent.hang_catalog();
    let refresh = bench.registry.refresh(false);
    tokio::pin!(refresh);

    let early = tokio::time::timeout(Duration::from_secs(1), refresh.as_mut()).await;
    let meanwhile = listed(&bench.registry, &admin());
    let was_warm = bench.registry.is_warm();
    let failures = refresh.await;

    assert!(early.is_err());
    assert_eq!(meanwhile, ["good"]);
    assert!(!was_warm && bench.registry.is_warm());
    assert!(matches!(failures[..], [(_, UpstreamError::TimedOut(_))]));
    assert_eq!(silent.open_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_during_a_round_share_the_next_one() {
    let upstream = ScriptedUpstream::serving(["old"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    upstream.hang_catalog();
    let registry = &bench.registry;

    // The first hangs until its time is over; the others come in the meantime.
    let (first, second, third, ()) =
        tokio::join!(registry.refresh(false), registry.refresh(false), registry.refresh(false), async {
            upstream.serve(["new"]);
        });

    assert_eq!((first.len(), second.len(), third.len()), (1, 0, 0));
    assert_eq!(upstream.catalog_calls(), 2);
    assert_eq!(listed(registry, &admin()), ["new"]);
}

#[tokio::test]
async fn a_refresh_whose_caller_left_does_not_block_the_next() {
    let upstream = ScriptedUpstream::serving(["a"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    upstream.hang_catalog();

    let left = tokio::time::timeout(Duration::from_millis(1), bench.registry.refresh(false)).await;
    let open = upstream.open_calls();
    bench.registry.refresh(false).await;

    assert!(left.is_err());
    assert_eq!(open, 0);
    assert_eq!(listed(&bench.registry, &admin()), ["a"]);
}

/// Runs the background refresh for `time`.
async fn run_for(registry: &Registry, time: Duration) {
    let ran = tokio::time::timeout(time, registry.run()).await;
    assert!(ran.is_err(), "it runs for ever");
}

#[tokio::test(start_paused = true)]
async fn the_background_asks_at_once_and_then_regularly() {
    let upstream = ScriptedUpstream::serving(["a"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;

    run_for(&bench.registry, Duration::from_millis(4500)).await;

    assert_eq!(upstream.catalog_calls(), 5);
    assert_eq!(listed(&bench.registry, &admin()), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_upstream_is_asked_less_often_and_comes_back() {
    let upstream = ScriptedUpstream::serving(["a"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    for _ in 0..5 {
        upstream.fail_catalog(gone());
    }

    // After 0, 1, 3, 7 and 15 seconds it fails, after 31 it answers.
    run_for(&bench.registry, Duration::from_secs(30)).await;
    let while_failing = (upstream.catalog_calls(), listed(&bench.registry, &admin()));
    run_for(&bench.registry, Duration::from_millis(2500)).await;

    assert_eq!(while_failing, (5, Vec::new()));
    assert_eq!(listed(&bench.registry, &admin()), ["a"]);
    assert_eq!(upstream.catalog_calls(), 7);
}

#[tokio::test(start_paused = true)]
async fn refreshing_never_is_possible() {
    let upstream = ScriptedUpstream::serving(["a"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |config| config.refresh_every = Duration::MAX).await;

    run_for(&bench.registry, Duration::from_secs(3600)).await;

    assert_eq!(upstream.catalog_calls(), 1);
}

#[tokio::test]
async fn the_first_healthy_offer_is_used() {
    let (first, second) = (ScriptedUpstream::serving(["same"]), ScriptedUpstream::serving(["same"]));
    let bench = bench(&[(openai(0), &first), (openai(1), &second)], &[], |_| {}).await;
    let registry = &bench.registry;
    let chosen = || registry.resolve(&admin(), "same").unwrap().connection.index;
    registry.refresh(false).await;
    let both_healthy = chosen();
    first.fail_catalog(gone());
    registry.refresh(false).await;
    let first_failed = chosen();
    first.fail_catalog(gone());
    second.fail_catalog(gone());
    registry.refresh(false).await;

    assert_eq!((both_healthy, first_failed, chosen()), (0, 1, 0));
}

#[tokio::test]
async fn a_listed_connection_is_not_asked_and_an_allow_list_filters() {
    let (cloud, local) = (
        ScriptedUpstream::serving(["unlisted"]),
        ScriptedUpstream::serving(["llama:latest", "qwen:1b", "qwen:latest"]),
    );
    let by_hand = Connection { model_ids: vec!["gpt".into(), "o".into()], ..openai(0) };
    let allowed = Connection { model_ids: vec!["llama".into(), "qwen:1b".into()], ..ollama(0) };
    let bench = bench(&[(by_hand, &cloud), (allowed, &local)], &[], |_| {}).await;

    let before = listed(&bench.registry, &admin());
    bench.registry.refresh(true).await;

    assert_eq!(before, ["gpt", "o"]);
    assert_eq!(cloud.catalog_calls(), 0);
    assert_eq!(listed(&bench.registry, &admin()), ["gpt", "o", "llama:latest", "qwen:1b"]);
}

#[tokio::test(start_paused = true)]
async fn replacing_connections_keeps_what_has_not_changed() {
    let (kept, gone, new) = (
        ScriptedUpstream::serving(["kept"]),
        ScriptedUpstream::serving(["gone"]),
        ScriptedUpstream::serving(["new"]),
    );
    let off = Connection { enabled: false, ..ollama(0) };
    let bench = bench(&[(openai(0), &kept), (openai(1), &gone), (off.clone(), &new)], &[], |_| {}).await;
    let registry = &bench.registry;
    registry.refresh(false).await;
    let connects_before = bench.connects.load(Ordering::SeqCst);

    registry.set_connections(vec![openai(0), ollama(0)]).unwrap();
    let at_once = listed(registry, &admin());
    run_for(registry, Duration::from_millis(10)).await;

    assert_eq!(connects_before, 2, "a disabled connection is not connected");
    assert_eq!(bench.connects.load(Ordering::SeqCst), 3);
    assert_eq!(at_once, ["kept"]);
    assert_eq!(listed(registry, &admin()), ["kept", "new"]);
    assert_eq!(kept.catalog_calls(), 1, "its list is still fresh");
    assert!(registry.upstream(ConnectionKind::Ollama, 0).is_some());
    assert!(registry.upstream(ConnectionKind::OpenAi, 1).is_none());
    assert_eq!(registry.connections(ConnectionKind::Ollama).len(), 1);
}

#[tokio::test]
async fn a_connection_that_cannot_be_used_changes_nothing() {
    let upstream = ScriptedUpstream::serving(["a"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    bench.registry.refresh(false).await;

    let refused = bench.registry.set_connections(vec![openai(7)]);

    assert!(matches!(refused, Err(Error::BadConnection { .. })));
    assert_eq!(listed(&bench.registry, &admin()), ["a"]);
}
