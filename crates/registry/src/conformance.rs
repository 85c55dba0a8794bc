//! The contracts of the ports, sentence by sentence.
//!
//! An implementation runs a suite from a test of its own and hands in a function that makes an empty
//! store.

use breezeway_core::{
    AccessGrant, Grantee, Grants, GroupId, ModelId, Permission, StoreError, UnixTime, UserId,
};
use serde_json::{Map, Value, json};

use crate::{ModelStore, Overlay};

/// Everything [`ModelStore`] promises.
///
/// # Panics
/// When a promise is broken; the message names it.
pub async fn model_store<S: ModelStore>(fresh: impl AsyncFn() -> S) {
    an_empty_store_has_no_overlays(&fresh().await).await;
    an_overlay_reads_back_as_inserted(&fresh().await).await;
    overlays_come_in_the_order_they_were_made(&fresh().await).await;
    a_known_id_is_not_inserted_again(&fresh().await).await;
    saving_inserts_and_replaces(&fresh().await).await;
    deleting_answers_whether_there_was_one(&fresh().await).await;
    replacing_leaves_exactly_the_given_ones(&fresh().await).await;
    replacing_by_nothing_leaves_nothing(&fresh().await).await;
    nothing_is_saved_for_or_granted_to_who_has_departed(&fresh().await).await;
}

/// A plain overlay for a suite: `id` on top of `base`, made at `made_at`.
pub fn overlay(id: &str, base: Option<&str>, made_at: i64) -> Overlay {
    Overlay {
        id: model_id(id),
        owner: "owner".parse().expect("the text is short"),
        base: base.map(model_id),
        name: format!("The {id}"),
        params: Map::new(),
        meta: Map::new(),
        grants: Grants::default(),
        active: true,
        created_at: UnixTime::from_seconds(made_at),
        updated_at: UnixTime::from_seconds(made_at),
    }
}

fn model_id(text: &str) -> ModelId {
    text.parse().expect("ids in suites are short and not empty")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => unreachable!("`{other}` is no object"),
    }
}

async fn stored<S: ModelStore>(store: &S) -> Vec<Overlay> {
    store.overlays().await.expect("overlays can be read")
}

async fn an_empty_store_has_no_overlays<S: ModelStore>(store: &S) {
    assert_eq!(stored(store).await, []);
}

async fn an_overlay_reads_back_as_inserted<S: ModelStore>(store: &S) {
    let rich = Overlay {
        owner: UserId::mint(),
        name: "Zoë's „model“ 🐝".to_owned(),
        params: object(json!({"temperature": 0.25, "system": "Line one\nline two", "stop": ["a", null]})),
        meta: object(json!({
            "z": 1, "a": {"knowledge": [{"type": "collection", "id": "k"}]}, "m": [], "big": 9007199254740993_u64,
        })),
        grants: Grants::new([
            AccessGrant::PUBLIC_READ,
            AccessGrant { grantee: Grantee::Group(GroupId::mint()), permission: Permission::Write },
            AccessGrant { grantee: Grantee::User(UserId::mint()), permission: Permission::Read },
        ]),
        active: false,
        updated_at: UnixTime::from_seconds(1_800_000_001),
        ..overlay("org/rich.model:latest", Some("llama3.2:latest"), 1_800_000_000)
    };
    let plain = overlay("plain", None, 1_800_000_005);

    store.insert_overlay(&rich).await.expect("a new id can be inserted");
    store.insert_overlay(&plain).await.expect("a new id can be inserted");

    let read = stored(store).await;
    assert_eq!(read, [rich.clone(), plain]);
    let keys = |overlay: &Overlay| overlay.meta.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&read[0]), keys(&rich), "the order of keys is kept");
}

async fn overlays_come_in_the_order_they_were_made<S: ModelStore>(store: &S) {
    for (id, made_at) in [("z", 10), ("a", 20), ("m", 30)] {
        store.insert_overlay(&overlay(id, None, made_at)).await.expect("a new id can be inserted");
    }
    let renamed = Overlay { name: "renamed".to_owned(), ..overlay("z", None, 10) };
    store.save_overlays(&[renamed]).await.expect("a known id can be saved");

    let ids: Vec<_> = stored(store).await.into_iter().map(|overlay| overlay.id.to_string()).collect();
    assert_eq!(ids, ["z", "a", "m"], "a change moves none");
}

async fn a_known_id_is_not_inserted_again<S: ModelStore>(store: &S) {
    let first = overlay("taken", None, 1);
    store.insert_overlay(&first).await.expect("a new id can be inserted");

    let again = store.insert_overlay(&overlay("taken", Some("other"), 2)).await;

    assert!(matches!(again, Err(StoreError::Taken("model id"))), "got {again:?}");
    assert_eq!(stored(store).await, [first], "a refused insert changes nothing");
}

async fn saving_inserts_and_replaces<S: ModelStore>(store: &S) {
    let grants = Grants::new([AccessGrant::PUBLIC_READ]);
    store
        .insert_overlay(&Overlay { grants, ..overlay("old", None, 1) })
        .await
        .expect("a new id can be inserted");
    let changed = Overlay {
        base: Some(model_id("other")),
        active: false,
        updated_at: UnixTime::from_seconds(9),
        ..overlay("old", None, 1)
    };
    let new = overlay("new", None, 2);

    store.save_overlays(&[changed.clone(), new.clone()]).await.expect("overlays can be saved");
    store.save_overlays(&[]).await.expect("nothing can be saved");

    assert_eq!(stored(store).await, [changed, new], "grants are replaced too");
}

async fn deleting_answers_whether_there_was_one<S: ModelStore>(store: &S) {
    let kept = overlay("kept", None, 1);
    store.insert_overlay(&kept).await.expect("a new id can be inserted");
    store.insert_overlay(&overlay("gone", None, 2)).await.expect("a new id can be inserted");

    assert!(store.delete_overlay(&model_id("gone")).await.expect("it can be deleted"));
    assert!(!store.delete_overlay(&model_id("gone")).await.expect("asking again is no error"));
    assert_eq!(stored(store).await, [kept]);
}

async fn replacing_leaves_exactly_the_given_ones<S: ModelStore>(store: &S) {
    for (id, made_at) in [("dropped", 1), ("kept", 2), ("changed", 3)] {
        store.insert_overlay(&overlay(id, None, made_at)).await.expect("a new id can be inserted");
    }
    let kept = overlay("kept", None, 2);
    let changed = Overlay { name: "changed".to_owned(), ..overlay("changed", None, 3) };
    let new = overlay("new", Some("kept"), 4);

    store
        .replace_overlays(&[new.clone(), changed.clone(), kept.clone()])
        .await
        .expect("overlays can be replaced");

    assert_eq!(stored(store).await, [kept, changed, new], "in the order they were made, whatever was given");
}

async fn replacing_by_nothing_leaves_nothing<S: ModelStore>(store: &S) {
    store.insert_overlay(&overlay("a", None, 1)).await.expect("a new id can be inserted");

    store.replace_overlays(&[]).await.expect("overlays can be replaced");

    assert_eq!(stored(store).await, []);
}

async fn nothing_is_saved_for_or_granted_to_who_has_departed<S: ModelStore>(store: &S) {
    let (eve, staff) = (UserId::mint(), GroupId::mint());
    let line = |grantee: Grantee| AccessGrant { grantee, permission: Permission::Read };
    let grants = Grants::new([
        AccessGrant::PUBLIC_READ,
        line(Grantee::User(eve.clone())),
        line(Grantee::Group(staff.clone())),
    ]);
    let only_public = Grants::new([AccessGrant::PUBLIC_READ]);
    let shared = Overlay { grants: grants.clone(), ..overlay("shared", None, 1) };
    let own = Overlay { owner: eve.clone(), ..overlay("own", None, 2) };
    store.insert_overlay(&shared).await.expect("a new id can be inserted");
    store.insert_overlay(&own).await.expect("a new id can be inserted");

    store.depart(&Grantee::User(eve.clone())).await.expect("an account departs");
    store.depart(&Grantee::Group(staff)).await.expect("a group departs");
    store.depart(&Grantee::User(eve.clone())).await.expect("departing again is no error");

    let public = Overlay { grants: only_public, ..shared.clone() };
    assert_eq!(stored(store).await, [public.clone(), own.clone()], "grants go, overlays stay");
    store.save_overlays(std::slice::from_ref(&shared)).await.expect("it can be saved");
    assert_eq!(stored(store).await[0], public, "an old list grants them nothing");
    let new = Overlay { owner: eve.clone(), ..overlay("new", None, 3) };
    let refused = [
        store.insert_overlay(&new).await,
        store.save_overlays(std::slice::from_ref(&own)).await,
        store.replace_overlays(&[new]).await,
    ];
    for answer in refused {
        assert!(matches!(answer, Err(StoreError::Departed(id)) if id == eve), "they get nothing new");
    }
    assert_eq!(stored(store).await, [public.clone(), own.clone()], "a refused change changes nothing");
    let inherited = Overlay { owner: public.owner.clone(), ..own };
    store.save_overlays(std::slice::from_ref(&inherited)).await.expect("somebody else's can be saved");
    assert_eq!(stored(store).await, [public, inherited]);
}
