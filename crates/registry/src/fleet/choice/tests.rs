use proptest::prelude::*;

use super::*;
use crate::fleet::{dice::Dice, moment::Moment};

fn view(id: u64) -> View {
    View {
        id,
        group: 0,
        weight: 1.0,
        load: 0,
        has_room: true,
        seconds: None,
        readiness: Readiness::Ready,
        is_alive: true,
        warmth: Warmth::Untold,
        tried: 0,
    }
}

fn fleet(size: u64, change: impl Fn(u64, &mut View)) -> Vec<View> {
    let changed = |id| {
        let mut view = view(id);
        change(id, &mut view);
        view
    };
    (0..size).map(changed).collect()
}

/// How often each is chosen in a thousand requests.
fn shares(views: &[View], wish: impl Fn(u64) -> Wish) -> Vec<usize> {
    let dice = Dice::new(Some(1));
    let mut shares = vec![0; views.len()];
    for request in 0..1000 {
        shares[choose(views, wish(request), &mut || dice.roll()).expect("one can be asked")] += 1;
    }
    shares
}

fn about(share: usize, expected: usize) -> bool {
    share.abs_diff(expected) < 60
}

fn no_wish(_: u64) -> Wish {
    Wish::default()
}

fn conversation(request: u64) -> Wish {
    Wish { conversation: Some(mixed(request)), model: 0 }
}

#[test]
fn equals_share_the_work_by_weight() {
    let views = fleet(2, |id, view| view.weight = [3.0, 1.0][id as usize]);

    for wish in [no_wish, conversation] {
        let shares = shares(&views, wish);

        assert!(about(shares[0], 750), "{shares:?}");
    }
}

#[test]
fn the_faster_of_two_is_taken() {
    let views = fleet(3, |id, view| view.seconds = Some([0.1, 0.5, 0.9][id as usize]));

    let shares = shares(&views, no_wish);

    assert!(shares[0] > 600 && shares[2] == 0, "{shares:?}");
}

#[test]
fn one_with_much_to_do_is_left_alone() {
    let views = fleet(2, |id, view| (view.seconds, view.load) = (Some(0.1), [9, 0][id as usize]));

    assert_eq!(shares(&views, no_wish), [0, 1000]);
}

#[test]
fn a_lower_priority_waits_for_all_of_the_higher_to_be_out() {
    let mut views = fleet(3, |id, view| view.group = id.min(1));
    assert_eq!(shares(&views, no_wish)[0], 1000);

    views[0].readiness = Readiness::Not(Moment(9));
    let shares = shares(&views, no_wish);

    assert!(shares[0] == 0 && about(shares[1], 500), "{shares:?}");
}

#[test]
fn full_and_silent_connections_come_last() {
    let full = fleet(2, |id, view| (view.has_room, view.group) = (id == 1, id));
    let silent = fleet(2, |id, view| (view.is_alive, view.group) = (id == 1, id));

    for views in [full, silent] {
        assert_eq!(shares(&views, conversation), [0, 1000]);
        assert_eq!(foremost(&views), Some(1));
    }
}

#[test]
fn a_loaded_model_is_preferred_until_its_place_is_busy() {
    let mut views = fleet(2, |id, view| view.warmth = if id == 1 { Warmth::Warm } else { Warmth::Cold });
    views[1].load = FEW - 1;
    assert_eq!(shares(&views, conversation), [0, 1000]);

    views[1].load = FEW * 3;

    assert!(shares(&views, conversation)[0] > 900);
}

#[test]
fn a_model_that_is_loaded_nowhere_is_loaded_once() {
    let views = fleet(4, |_, view| view.warmth = Warmth::Cold);

    let shares = shares(&views, |request| Wish { conversation: Some(request), model: 77 });

    assert_eq!(shares.iter().filter(|&&share| share > 0).count(), 1, "{shares:?}");
}

#[test]
fn a_conversation_stays_and_moves_only_from_what_is_gone() {
    let views = fleet(4, |_, _| {});
    let mut gone = views.clone();
    gone[2].readiness = Readiness::Not(Moment(9));
    let home = |views: &[View], request| choose(views, conversation(request), &mut || unreachable!());

    for request in 0..200 {
        let (before, after) = (home(&views, request), home(&gone, request));

        assert!(before == after || before == Some(2), "{request}");
        assert_eq!(home(&views, request), before);
    }
}

#[test]
fn a_conversation_leaves_a_busy_or_slow_home() {
    let request = (0..).find(|&request| choose_of_two(&fleet(2, |_, _| {}), request) == 0).unwrap();
    let busy = fleet(2, |id, view| view.load = if id == 0 { 9 } else { 0 });
    let slow = fleet(2, |id, view| view.seconds = Some(if id == 0 { 5.0 } else { 1.0 }));

    assert_eq!(choose_of_two(&busy, request), 1);
    assert_eq!(choose_of_two(&slow, request), 1);
}

fn choose_of_two(views: &[View], request: u64) -> usize {
    choose(views, conversation(request), &mut || 0).unwrap()
}

#[test]
fn if_all_are_out_the_first_to_come_back_is_asked_once() {
    let mut views = fleet(3, |id, view| view.readiness = Readiness::Not(Moment([5, 3, 4][id as usize])));
    let dice = Dice::new(Some(1));
    let first = choose(&views, Wish::default(), &mut || dice.roll());

    views[1].tried = 1;

    assert_eq!(first, Some(1));
    assert_eq!(choose(&views, Wish::default(), &mut || dice.roll()), None);
}

#[test]
fn nobody_is_asked_twice_before_all_were_asked_once() {
    let views = fleet(3, |id, view| view.tried = u32::from(id != 2));

    assert_eq!(shares(&views, conversation), [0, 0, 1000]);
}

fn views() -> impl Strategy<Value = Vec<View>> {
    let readiness = prop_oneof![
        4 => Just(Readiness::Ready),
        1 => Just(Readiness::OnTrial),
        1 => (1_u64..9).prop_map(|until| Readiness::Not(Moment(until))),
    ];
    let warmth = prop_oneof![Just(Warmth::Untold), Just(Warmth::Cold), Just(Warmth::Warm)];
    let one = (
        (0_u64..3, 1_u32..9, 0_usize..40, any::<bool>()),
        (prop::option::of(0.0_f64..9.0), readiness, any::<bool>(), warmth, 0_u32..2),
    );
    let made =
        one.prop_map(|((group, weight, load, has_room), (seconds, readiness, is_alive, warmth, tried))| {
            View {
                group,
                weight: f64::from(weight),
                load,
                has_room,
                seconds,
                readiness,
                is_alive,
                warmth,
                tried,
                ..view(0)
            }
        });
    prop::collection::vec(made, 1..8).prop_map(|mut views| {
        (0..).zip(&mut views).for_each(|(id, view)| view.id = id);
        views
    })
}

proptest! {
    #[test]
    fn the_chosen_one_could_not_be_beaten(
        views in views(),
        conversation in prop::option::of(any::<u64>()),
        seed in any::<u64>(),
    ) {
        let dice = Dice::new(Some(seed));
        let ready = |view: &View| !matches!(view.readiness, Readiness::Not(_));

        let chosen = choose(&views, Wish { conversation, model: 3 }, &mut || dice.roll());

        let Some(chosen) = chosen else {
            prop_assert!(!views.iter().any(ready) && views.iter().any(|view| view.tried > 0));
            return Ok(());
        };
        let chosen = &views[chosen];
        if !views.iter().any(ready) {
            return Ok(());
        }
        prop_assert!(ready(chosen));
        let rank = |view: &View| (view.tried, !view.has_room, !view.is_alive, view.group);
        let better = views.iter().find(|view| ready(view) && rank(view) < rank(chosen));
        prop_assert!(better.is_none(), "{better:?} is better than {chosen:?}");
    }

    /// However keys fall, no offer takes much more than its share while others have less.
    #[test]
    fn the_load_of_conversations_is_bounded(keys in prop::collection::vec(any::<u64>(), 1..300), size in 2_u64..6) {
        let mut views = fleet(size, |_, _| {});
        for key in &keys {
            let wish = Wish { conversation: Some(key % 3), model: 0 };
            let chosen = choose(&views, wish, &mut || 0).unwrap();
            views[chosen].load += 1;
        }
        let share = keys.len() as f64 / size as f64;
        let most = views.iter().map(|view| view.load).max().unwrap();
        prop_assert!(most <= FEW.max((ABOVE_SHARE * share).ceil() as usize + 1), "{most} of {}", keys.len());
    }
}
