//! The contract of the audit log's store, sentence by sentence.

use breezeway_core::{UnixTime, UserId};
use serde_json::json;

use crate::{Action, Actor, AuditCursor, AuditEntry, AuditEvent, AuditQuery, AuditStore, Target};

/// Check everything that [`AuditStore`] promises.
///
/// # Panics
/// If a promise is not kept.
pub async fn audit_store<S: AuditStore>(fresh: impl AsyncFn() -> S) {
    an_event_reads_back_as_appended(&fresh().await).await;
    entries_run_in_both_directions(&fresh().await).await;
    every_part_of_a_query_counts(&fresh().await).await;
    old_entries_are_forgotten_and_the_latest_is_not(&fresh().await).await;
}

fn event(seconds: i64, action: Action, actor: &str, target: &str) -> AuditEvent {
    let id: UserId = actor.parse().expect("an id");
    AuditEvent {
        at: UnixTime::from_seconds(seconds),
        action,
        actor: Some(Actor { id, email: format!("{actor}@example.org") }),
        target: Some(Target::new("account", target)),
        address: Some([192, 0, 2, 7].into()),
        request_id: Some("r-1".into()),
        detail: json!({"role": {"from": "user", "to": "admin"}}).as_object().expect("an object").clone(),
    }
}

async fn list<S: AuditStore>(store: &S, query: AuditQuery) -> Vec<AuditEntry> {
    store.entries(&query).await.expect("readable")
}

async fn an_event_reads_back_as_appended<S: AuditStore>(store: &S) {
    let full = event(1, Action::RoleChanged, "ada", "zoë's \u{1F30A}");
    let bare = AuditEvent {
        actor: None,
        target: None,
        address: Some("2001:db8::1".parse().expect("an address")),
        request_id: None,
        detail: serde_json::Map::new(),
        ..event(2, Action::SignInFailed, "x", "x")
    };
    let nowhere = AuditEvent { address: None, ..bare.clone() };

    store.append(&[]).await.expect("nothing to write is no error");
    store.append(&[full.clone(), bare.clone()]).await.expect("written");
    store.append(std::slice::from_ref(&nowhere)).await.expect("written");

    let found =
        list(store, AuditQuery { from: AuditCursor::After(0), limit: 9, ..AuditQuery::default() }).await;
    let events: Vec<_> = found.iter().map(|entry| entry.event.clone()).collect();
    assert_eq!(events, [full, bare, nowhere]);
    assert!(found.windows(2).all(|pair| pair[0].id < pair[1].id), "numbers rise");
}

async fn entries_run_in_both_directions<S: AuditStore>(store: &S) {
    let events: Vec<_> = (0..5).map(|seconds| event(seconds, Action::SignIn, "ada", "ada")).collect();
    store.append(&events).await.expect("written");
    let all = AuditQuery { limit: 10, ..AuditQuery::default() };
    let latest = list(store, all.clone()).await;
    let mut earliest = latest.clone();
    earliest.reverse();

    let after = |id| AuditQuery { from: AuditCursor::After(id), limit: 2, ..AuditQuery::default() };
    let before = |id| AuditQuery { from: AuditCursor::Before(Some(id)), limit: 2, ..AuditQuery::default() };

    assert_eq!(latest.len(), 5);
    assert_eq!(latest[0].event.at, UnixTime::from_seconds(4), "the latest is first");
    assert_eq!(list(store, before(latest[1].id)).await, latest[2..4]);
    assert_eq!(list(store, after(0)).await, earliest[..2]);
    assert_eq!(list(store, after(earliest[3].id)).await, earliest[4..]);
    assert_eq!(list(store, after(u64::MAX)).await, [], "any number is understood");
    assert_eq!(list(store, AuditQuery { limit: u64::MAX, ..all.clone() }).await, latest);
    assert_eq!(list(store, AuditQuery { limit: 0, ..all }).await, []);
}

async fn old_entries_are_forgotten_and_the_latest_is_not<S: AuditStore>(store: &S) {
    let at = UnixTime::from_seconds;
    let events: Vec<_> = (0..6).map(|seconds| event(seconds, Action::SignIn, "ada", "ada")).collect();
    store.append(&events).await.expect("written");
    let all = AuditQuery { from: AuditCursor::After(0), limit: 10, ..AuditQuery::default() };
    let before = list(store, all.clone()).await;

    assert_eq!(store.forget(at(0), 10).await.expect("asked"), 0);
    assert_eq!(store.forget(at(4), 3).await.expect("forgotten"), 3);
    assert_eq!(list(store, all.clone()).await, before[3..]);
    assert_eq!(store.forget(at(4), 3).await.expect("forgotten"), 1);
    assert_eq!(store.forget(at(100), 10).await.expect("forgotten"), 1);
    assert_eq!(list(store, all.clone()).await, before[5..], "the latest stays");

    store.append(&events[..1]).await.expect("written");
    let after = list(store, all).await;
    assert!(after[1].id > before[5].id, "no number is given twice");
}

async fn every_part_of_a_query_counts<S: AuditStore>(store: &S) {
    let events = [
        event(10, Action::SignIn, "ada", "ada"),
        event(20, Action::SignIn, "bob", "bob"),
        event(20, Action::RoleChanged, "ada", "bob"),
        event(30, Action::KeyCreated, "ada", "key"),
        AuditEvent { actor: None, target: None, ..event(40, Action::SignInFailed, "x", "x") },
    ];
    store.append(&events).await.expect("written");
    let times = async |change: fn(&mut AuditQuery)| {
        let mut query = AuditQuery { from: AuditCursor::After(0), limit: 10, ..AuditQuery::default() };
        change(&mut query);
        let found = list(store, query).await;
        found.into_iter().map(|entry| (entry.event.at.seconds(), entry.event.action)).collect::<Vec<_>>()
    };

    let later = times(|query| query.since = Some(UnixTime::from_seconds(30))).await;
    assert_eq!(later, [(30, Action::KeyCreated), (40, Action::SignInFailed)]);
    let earlier = times(|query| query.until = Some(UnixTime::from_seconds(20))).await;
    assert_eq!(earlier, [(10, Action::SignIn)]);
    let of_ada = times(|query| query.actor = "ada".parse().ok()).await;
    assert_eq!(of_ada, [(10, Action::SignIn), (20, Action::RoleChanged), (30, Action::KeyCreated)]);
    let sign_ins = times(|query| query.action = Some(Action::SignIn)).await;
    assert_eq!(sign_ins, [(10, Action::SignIn), (20, Action::SignIn)]);
    let of_bob = times(|query| query.target = Some("bob".into())).await;
    assert_eq!(of_bob, [(20, Action::SignIn), (20, Action::RoleChanged)]);
    let together = times(|query| {
        query.since = Some(UnixTime::from_seconds(15));
        query.actor = "ada".parse().ok();
        query.target = Some("bob".into());
    })
    .await;
    assert_eq!(together, [(20, Action::RoleChanged)]);
}
