use breezeway_core::{CollectionId, Grants};
use serde_json::{Map, Value, json};

use super::{at, insert, user};
use crate::{Batch, LibraryStore, NewCollection};

/// Check stores made by `fresh` against the contract of [`crate::AttributeStore`].
///
/// # Panics
/// With the sentence that does not hold.
pub async fn attribute_store<S: LibraryStore>(fresh: impl AsyncFn() -> S) {
    attributes_belong_to_a_place(&fresh().await).await;
    metadata_and_meta_are_replaced(&fresh().await).await;
    batches_go_with_their_collection(&fresh().await).await;
}

async fn collect<S: LibraryStore>(store: &S) -> CollectionId {
    let new = NewCollection { name: "trams".into(), description: String::new(), grants: Grants::default() };
    store.insert_collection(&user("ada"), new, at(1)).await.expect("a collection is made").id
}

fn said(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

async fn attributes_belong_to_a_place<S: LibraryStore>(store: &S) {
    let (collection, other) = (collect(store).await, collect(store).await);
    let file = insert(store, "a.txt", 1, 1).await.id;
    let first = store.put_attributes(&collection, &file, said(json!({"year": 1}))).await;
    assert!(!first.expect("asked"), "`false` if it is not in it");

    for holder in [&collection, &other] {
        store.add_members(holder, std::slice::from_ref(&file), at(2)).await.expect("a member is added");
    }
    for year in [2, 3] {
        let put = store.put_attributes(&collection, &file, said(json!({"year": year, "tags": ["a"]}))).await;
        assert!(put.expect("written"), "a member takes attributes");
    }

    let found = store.attributes(&collection).await.expect("read");
    assert_eq!(found.len(), 1, "about one file something is said");
    assert_eq!(found[&file], said(json!({"year": 3, "tags": ["a"]})), "instead of what was said before");
    assert!(store.attributes(&other).await.expect("read").is_empty(), "attributes belong to one place");

    store.remove_members(&collection, std::slice::from_ref(&file), at(3)).await.expect("it leaves");
    store.add_members(&collection, std::slice::from_ref(&file), at(4)).await.expect("it comes back");
    assert!(store.attributes(&collection).await.expect("read").is_empty(), "they go when the file leaves");

    store.put_attributes(&collection, &file, said(json!({"year": 4}))).await.expect("written");
    store.delete_files(std::slice::from_ref(&file)).await.expect("deleted");
    assert!(store.attributes(&collection).await.expect("read").is_empty(), "they go with the file");
}

async fn metadata_and_meta_are_replaced<S: LibraryStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await.id;
    let changed = store.put_metadata(&file, said(json!({"tags": ["x"]})), at(5)).await.expect("written");
    let changed = changed.expect("the file is there");
    assert_eq!(changed.metadata, said(json!({"tags": ["x"]})), "all of the metadata is replaced");
    assert_eq!(changed.updated_at, at(5), "the file has changed");
    assert_eq!(store.file(&file).await.expect("read"), Some(changed), "it reads back");
    let unknown = "no-such-file".parse().expect("free text is an id");
    assert_eq!(
        store.put_metadata(&unknown, Map::new(), at(5)).await.expect("asked"),
        None,
        "unknown: `None`"
    );

    let id = collect(store).await;
    let before = store.collection(&id).await.expect("read").expect("it is there");
    let after = store.put_meta(&id, json!({"a": {"b": 1}})).await.expect("written").expect("it is there");
    assert_eq!(after.meta, Some(json!({"a": {"b": 1}})), "`meta` is replaced");
    assert_eq!(after.updated_at, before.updated_at, "its `updated_at` stays");
    assert_eq!(store.collection(&id).await.expect("read"), Some(after), "it reads back");
    let unknown = "no-such-collection".parse().expect("free text is an id");
    assert_eq!(store.put_meta(&unknown, json!({})).await.expect("asked"), None, "unknown: `None`");
}

async fn batches_go_with_their_collection<S: LibraryStore>(store: &S) {
    let (collection, other) = (collect(store).await, collect(store).await);
    let files = vec![insert(store, "a.txt", 1, 1).await.id, insert(store, "b.txt", 2, 1).await.id];
    let batch = Batch { id: "batch-1".into(), collection: collection.clone(), created_at: at(7), files };

    assert!(store.insert_batch(batch.clone()).await.expect("written"), "a batch is kept");

    let read = store.batch(&collection, "batch-1").await.expect("read");
    assert_eq!(read.as_ref(), Some(&batch), "it reads back");
    assert_eq!(store.batch(&other, "batch-1").await.expect("read"), None, "it is of one collection");
    store.delete_collection(&collection).await.expect("deleted");
    assert_eq!(store.batch(&collection, "batch-1").await.expect("read"), None, "it goes with its collection");
    let late = store.insert_batch(Batch { id: "batch-2".into(), ..batch }).await.expect("asked");
    assert!(!late, "`false` if its collection does not exist");
}
