use proptest::prelude::*;

use super::*;

fn at(milliseconds: u64) -> Moment {
    Moment(1).plus(Duration::from_millis(milliseconds))
}

fn config() -> BreakerConfig {
    BreakerConfig::default()
}

fn fail(breaker: &Breaker, milliseconds: u64) -> Option<Duration> {
    breaker.failed(Pass::Plain, at(milliseconds), &config(), 0.0)
}

fn opened() -> Breaker {
    let breaker = Breaker::default();
    for _ in 0..5 {
        fail(&breaker, 0);
    }
    breaker
}

#[test]
fn failures_in_a_row_open_it() {
    let breaker = Breaker::default();

    let opened: Vec<_> = (0..5).map(|_| fail(&breaker, 0)).collect();

    assert_eq!(opened[..4], [None; 4]);
    assert_eq!(opened[4], Some(Duration::from_secs(1)));
    assert_eq!(breaker.readiness(at(999)), Readiness::Not(at(1000)));
    assert_eq!(breaker.readiness(at(1000)), Readiness::OnTrial);
}

#[test]
fn half_of_the_last_calls_failing_opens_it() {
    let breaker = Breaker::default();

    let opened: Vec<_> = (0..20)
        .map(|call| match call % 2 {
            0 => fail(&breaker, call).is_some(),
            _ => {
                breaker.succeeded(at(call), &config());
                false
            }
        })
        .collect();

    assert_eq!(opened.iter().position(|&opened| opened), Some(10));
}

#[test]
fn old_failures_are_forgotten() {
    let breaker = Breaker::default();

    for call in 0..20 {
        assert_eq!(fail(&breaker, call * 61_000), None, "{call}");
    }
}

#[test]
fn one_call_is_let_through_to_see_and_closes_it() {
    let breaker = opened();

    let (probe, other) = (breaker.enter(at(1000)), breaker.enter(at(1000)));
    let meanwhile = breaker.readiness(at(1000));
    breaker.succeeded(at(1001), &config());

    assert_eq!((probe, other), (Some(Pass::Probe), None));
    assert!(matches!(meanwhile, Readiness::Not(_)));
    assert_eq!(breaker.readiness(at(1001)), Readiness::Ready);
    assert_eq!(fail(&breaker, 1002), None, "it starts anew");
}

#[test]
fn each_probe_that_fails_doubles_the_time() {
    let breaker = opened();
    let mut now = 1000;
    let mut times = Vec::new();

    for _ in 0..8 {
        let probe = breaker.enter(at(now)).unwrap();
        let time = breaker.failed(probe, at(now), &config(), 0.0).unwrap();
        now += u64::try_from(time.as_millis()).unwrap();
        times.push(time.as_secs());
    }

    assert_eq!(times, [2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn a_probe_whose_client_left_leaves_the_trial_to_the_next() {
    let breaker = opened();
    let probe = breaker.enter(at(1000)).unwrap();

    breaker.abandoned(probe);

    assert_eq!(breaker.enter(at(1000)), Some(Pass::Probe));
}

#[test]
fn an_upstream_that_asks_for_a_pause_gets_it() {
    let breaker = Breaker::default();

    breaker.cool(at(5000));
    breaker.cool(at(3000));

    assert_eq!(breaker.readiness(at(4999)), Readiness::Not(at(5000)));
    assert_eq!(breaker.readiness(at(5000)), Readiness::Ready);
}

proptest! {
    /// Whatever happens, it is not open for longer than agreed, and at most one probe is under way.
    #[test]
    fn it_never_stays_shut(events in prop::collection::vec((0_u8..4, 0_u64..3000), 1..200)) {
        let breaker = Breaker::default();
        let (mut now, mut probing) = (0, false);
        for (event, wait) in events {
            now += wait;
            let Some(pass) = breaker.enter(at(now)) else {
                prop_assert!(probing);
                continue;
            };
            if pass == Pass::Probe {
                prop_assert!(!probing);
            }
            match event {
                0 => breaker.succeeded(at(now), &config()),
                1 => breaker.abandoned(pass),
                2 => drop(breaker.failed(pass, at(now), &config(), 1.0)),
                _ => {
                    probing |= pass == Pass::Probe;
                    continue;
                }
            }
            if event == 0 {
                probing = false;
            }
            if let Readiness::Not(until) = breaker.readiness(at(now)) {
                prop_assert!(until <= at(now + 75_000));
            }
        }
    }
}
