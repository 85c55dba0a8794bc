//! The contract of the responses' store, sentence by sentence.

use breezeway_core::{ResponseId, StoreError, UnixTime, UserId};
use serde_json::json;

use super::{Keep, ResponseStore, StoredResponse};

/// Check everything that [`ResponseStore`] promises.
///
/// # Panics
/// If a promise is not kept.
pub async fn response_store<S: ResponseStore>(fresh: impl AsyncFn() -> S) {
    a_response_reads_back_as_kept(&fresh().await).await;
    what_is_foreign_does_not_exist(&fresh().await).await;
    the_oldest_give_way(&fresh().await).await;
    what_is_too_old_goes(&fresh().await).await;
    who_departs_leaves_nothing(&fresh().await).await;
}

const ALL: Keep = Keep { most: 100, since: UnixTime::from_seconds(0) };

fn owner(name: &str) -> UserId {
    name.parse().expect("an id")
}

fn id(text: &str) -> ResponseId {
    text.parse().expect("an id")
}

fn response(name: &str, whose: &str, seconds: i64) -> StoredResponse {
    let body = json!({"id": name, "z": 1.50, "a": [null, "\u{1F30A}"]});
    StoredResponse {
        id: id(name),
        owner: owner(whose),
        created_at: UnixTime::from_seconds(seconds),
        response: body.as_object().expect("an object").clone(),
        items: vec![json!({"role": "user", "content": "hi"}), body],
    }
}

async fn a_response_reads_back_as_kept<S: ResponseStore>(store: &S) {
    let kept = response("r", "ada", 7);

    store.keep_response(&kept, ALL).await.expect("kept");

    let read = store.response(&owner("ada"), &id("r")).await.expect("read").expect("there");
    assert_eq!(read, kept, "it reads back");
    let fields = |response: &StoredResponse| response.response.keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&read), fields(&kept), "in its order");
    let again = store.keep_response(&response("r", "eve", 8), ALL).await;
    assert!(matches!(again, Err(StoreError::Taken("response"))), "an id is taken once: {again:?}");
}

async fn what_is_foreign_does_not_exist<S: ResponseStore>(store: &S) {
    store.keep_response(&response("r", "ada", 7), ALL).await.expect("kept");
    let eve = owner("eve");

    assert_eq!(store.response(&eve, &id("r")).await.expect("read"), None);
    assert!(!store.delete_response(&eve, &id("r")).await.expect("deleted"));
    assert!(store.delete_response(&owner("ada"), &id("r")).await.expect("deleted"), "its owner may");
    assert!(!store.delete_response(&owner("ada"), &id("r")).await.expect("deleted"), "it is gone");
}

async fn the_oldest_give_way<S: ResponseStore>(store: &S) {
    let keep = Keep { most: 2, ..ALL };
    store.keep_response(&response("other", "eve", 1), keep).await.expect("kept");
    for name in ["a", "b", "c"] {
        // All in one second: the order is that of keeping.
        store.keep_response(&response(name, "ada", 7), keep).await.expect("kept");
    }

    for (name, whose, stays) in
        [("a", "ada", false), ("b", "ada", true), ("c", "ada", true), ("other", "eve", true)]
    {
        let found = store.response(&owner(whose), &id(name)).await.expect("read");
        assert_eq!(found.is_some(), stays, "`{name}`");
    }
}

async fn what_is_too_old_goes<S: ResponseStore>(store: &S) {
    store.keep_response(&response("old", "eve", 6), ALL).await.expect("kept");
    store.keep_response(&response("young", "eve", 7), ALL).await.expect("kept");

    let since = UnixTime::from_seconds(7);
    store.keep_response(&response("new", "ada", 9), Keep { since, ..ALL }).await.expect("kept");

    assert_eq!(store.response(&owner("eve"), &id("old")).await.expect("read"), None);
    assert!(store.response(&owner("eve"), &id("young")).await.expect("read").is_some());
}

async fn who_departs_leaves_nothing<S: ResponseStore>(store: &S) {
    store.keep_response(&response("r", "ada", 7), ALL).await.expect("kept");

    for _ in 0..2 {
        store.depart_from_responses(&owner("ada")).await.expect("departed");
    }

    assert_eq!(store.response(&owner("ada"), &id("r")).await.expect("read"), None);
    let late = store.keep_response(&response("s", "ada", 8), ALL).await;
    assert!(matches!(late, Err(StoreError::Departed(_))), "nothing comes after: {late:?}");
}
