use std::collections::HashSet;

use super::*;

/// A megabyte, for an hour.
fn cache() -> (Cache, Clock) {
    let clock = Clock::fixed(UnixTime::from_seconds(1000));
    let config = CacheConfig { max_bytes: 1 << 20, time_to_live: Duration::from_secs(3600) };
    (Cache::new(config, clock.clone()).unwrap(), clock)
}

fn key(number: u8) -> Key {
    Key::of("ada", [number; 32])
}

fn whole(bytes: usize) -> Kept {
    Kept::Whole(vec![b'x'; bytes].into())
}

fn known(cache: &Cache) -> HashSet<u8> {
    (0..=u8::MAX).filter(|number| cache.get(&key(*number)).is_some()).collect()
}

#[test]
fn what_was_asked_longest_ago_makes_room() {
    let (cache, _) = cache();
    for number in 0..10 {
        cache.put(key(number), whole(100_000));
    }

    assert!(cache.get(&key(0)).is_some());
    cache.put(key(10), whole(100_000));

    // Eleven do not fit into a megabyte, and the first was asked for again.
    assert_eq!(known(&cache), HashSet::from_iter([0, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    let entries = cache.entries();
    assert!(entries.bytes <= 1 << 20, "{}", entries.bytes);
}

#[test]
fn what_is_too_old_or_too_large_is_not_answered() {
    let (cache, clock) = cache();

    cache.put(key(1), whole(10));
    cache.put(key(2), whole((1 << 20) / 8));
    assert_eq!(known(&cache), HashSet::from_iter([1]));
    clock.set(UnixTime::from_seconds(1000 + 3600));

    assert_eq!(known(&cache), HashSet::new());
    assert_eq!(cache.entries().bytes, 0);
}

#[test]
fn the_same_question_is_kept_once() {
    let (cache, _) = cache();

    for _ in 0..100 {
        cache.put(key(1), whole(100));
    }

    assert_eq!(cache.entries().bytes, 100 + ENTRY_BYTES);
    assert_eq!(cache.entries().known.len(), 1);
}

#[test]
fn a_cache_of_nothing_is_none() {
    let clock = Clock::system();
    let config = |max_bytes, seconds| CacheConfig { max_bytes, time_to_live: Duration::from_secs(seconds) };

    assert!(Cache::new(config(0, 60), clock.clone()).is_none());
    assert!(Cache::new(config(1, 0), clock).is_none());
}
