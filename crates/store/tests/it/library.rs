use breezeway_core::{AccessGrant, Grantee, Grants, GroupId, Permission, StoreError};
use breezeway_knowledge::{
    BlobHash, CollectionQuery, FileQuery, FileState, LibraryStore, MemberQuery, NewCollection, NewFile, Slice,
};
use breezeway_store::Store;

use crate::support::{TempStore, at, insert, new_file};

async fn names(store: &Store, glob: &str) -> Vec<String> {
    let query = FileQuery { name_glob: Some(glob.to_owned()), ..FileQuery::default() };
    let page = store.files(&query).await.expect("listed");
    assert_eq!(page.total, page.items.len() as u64);
    let mut names: Vec<_> = page.items.into_iter().map(|file| file.name).collect();
    names.sort();
    names
}

fn collection(name: &str, grants: Grants) -> NewCollection {
    NewCollection { name: name.to_owned(), description: String::new(), grants }
}

#[tokio::test]
async fn names_are_found_in_any_case_of_any_script() {
    let temp = TempStore::new().await;
    for name in ["ÄPFEL.txt", "Σοφός λόγος.md", "日本.txt"] {
        insert(&temp.store, name, 1).await;
    }

    assert_eq!(names(&temp.store, "äp*").await, ["ÄPFEL.txt"]);
    assert_eq!(names(&temp.store, "*ΣΟΦΌΣ*").await, ["Σοφός λόγος.md"]);
    assert_eq!(names(&temp.store, "??.TXT").await, ["日本.txt"], "a sign is a character and not a byte");
}

#[tokio::test]
async fn a_renamed_file_is_found_by_its_new_name_only() {
    let temp = TempStore::new().await;
    let file = insert(&temp.store, "old.txt", 1).await;

    temp.store.rename_file(&file.id, "NEW.txt", at(2)).await.expect("renamed");

    assert_eq!(names(&temp.store, "old*").await, [""; 0]);
    assert_eq!(names(&temp.store, "new*").await, ["NEW.txt"]);
}

#[tokio::test]
async fn a_hostile_pattern_is_answered_quickly_and_quietly() {
    let temp = TempStore::new().await;
    insert(&temp.store, &"a".repeat(255), 1).await;

    assert_eq!(names(&temp.store, &("*a".repeat(20_000) + "b")).await, [""; 0]);
    assert_eq!(names(&temp.store, &"*".repeat(1_000_000)).await.len(), 1, "many stars are one");
    assert_eq!(names(&temp.store, &"?".repeat(1_000_000)).await, [""; 0]);
    assert_eq!(names(&temp.store, "a*\0").await, [""; 0]);
}

#[tokio::test]
async fn members_are_searched_as_plain_text() {
    let temp = TempStore::new().await;
    let trams = temp
        .store
        .insert_collection(&"ada".parse().expect("an id"), collection("trams", Grants::default()), at(1))
        .await
        .expect("made");
    let file = NewFile { id: "f".parse().expect("an id"), ..new_file(r"a\b_%ÄÖ.txt", 1) };
    temp.store.insert_file(file, Some(&trams.id), at(1)).await.expect("inserted");

    for (text, expected) in
        [(r"\b", 1), ("_%", 1), ("%_", 0), ("äö", 1), ("", 1), ("a\0", 0), (r"\", 1), ("*", 0)]
    {
        let query = MemberQuery { text: Some(text.to_owned()), ..MemberQuery::default() };
        let page = temp.store.members(&trams.id, &query).await.expect("listed");
        assert_eq!((page.items.len(), page.total), (expected, expected as u64), "`{text}`");
    }
}

#[tokio::test]
async fn any_slice_is_answered() {
    let temp = TempStore::new().await;
    insert(&temp.store, "a.txt", 1).await;

    for (offset, limit, expected) in [(0, 0, 0), (0, u64::MAX, 1), (u64::MAX, u64::MAX, 0), (1, 1, 0)] {
        let query = FileQuery { slice: Slice { offset, limit }, ..FileQuery::default() };
        let page = temp.store.files(&query).await.expect("listed");
        assert_eq!((page.items.len(), page.total), (expected, 1), "{offset} {limit}");
    }
}

#[tokio::test]
async fn an_id_is_given_to_one_file() {
    let temp = TempStore::new().await;
    let file = new_file("a.txt", 1);
    let stored = temp.store.insert_file(file.clone(), None, at(1)).await.expect("inserted");

    let again = temp.store.insert_file(NewFile { name: "b.txt".to_owned(), ..file }, None, at(2)).await;

    assert!(matches!(again, Err(StoreError::Taken("file"))), "{again:?}");
    assert_eq!(temp.store.file(&stored.id).await.expect("read"), Some(stored));
}

#[tokio::test]
async fn a_file_cannot_be_born_finished() {
    let temp = TempStore::new().await;
    let file = NewFile { state: FileState::Completed, ..new_file("a.txt", 1) };

    let refused = temp.store.insert_file(file, None, at(1)).await;

    assert!(matches!(refused, Err(StoreError::Failed { .. })));
}

#[tokio::test]
async fn every_kind_of_grant_reads_back() {
    let temp = TempStore::new().await;
    let (ada, group) = ("ada".parse().expect("an id"), GroupId::mint());
    let grants = Grants::new([
        AccessGrant::PUBLIC_READ,
        AccessGrant { grantee: Grantee::User("eve".parse().expect("an id")), permission: Permission::Write },
        AccessGrant { grantee: Grantee::Group(group.clone()), permission: Permission::Read },
        AccessGrant { grantee: Grantee::Group(group), permission: Permission::Write },
    ]);

    let made =
        temp.store.insert_collection(&ada, collection("trams", grants.clone()), at(1)).await.expect("made");
    temp.store.insert_collection(&ada, collection("boats", Grants::default()), at(2)).await.expect("made");

    assert_eq!(temp.store.collection(&made.id).await.expect("read").expect("it is there").grants, grants);
    let listed = temp.store.collections(&CollectionQuery::default()).await.expect("listed");
    assert_eq!(listed[1].0, made, "the list has the grants too");
    assert!(listed[0].0.grants.is_empty());
    temp.store.delete_collection(&made.id).await.expect("deleted");
    assert_eq!(temp.store.check().await.expect("checked"), [""; 0], "grants go with their thing");
}

#[tokio::test]
async fn a_call_that_changes_no_membership_leaves_the_collections_time() {
    let temp = TempStore::new().await;
    let file = insert(&temp.store, "a.txt", 1).await;
    let trams = temp
        .store
        .insert_collection(&"ada".parse().expect("an id"), collection("trams", Grants::default()), at(1))
        .await
        .expect("made");
    let files = [file.id];
    assert!(temp.store.add_members(&trams.id, &files, at(2)).await.expect("added"));

    assert!(temp.store.add_members(&trams.id, &files, at(3)).await.expect("added"));
    temp.store.remove_members(&trams.id, &["x".parse().expect("an id")], at(4)).await.expect("asked");

    let read = temp.store.collection(&trams.id).await.expect("read").expect("it is there");
    assert_eq!(read.updated_at, at(2));
}

#[tokio::test]
async fn many_files_are_deleted_in_one_call() {
    let temp = TempStore::new().await;
    let mut ids = Vec::new();
    for number in 0..100 {
        let file = new_file("a.txt", number % 10);
        ids.push(temp.store.insert_file(file, None, at(i64::from(number))).await.expect("inserted").id);
    }

    let some = temp.store.delete_files(&ids[..95]).await.expect("deleted");
    let rest = temp.store.delete_files(&ids).await.expect("deleted");

    let blobs = |numbers: std::ops::Range<u8>| numbers.map(|it| BlobHash([it; 32])).collect::<Vec<_>>();
    assert_eq!((some, rest), (blobs(0..5), blobs(5..10)));
    assert_eq!(temp.store.files(&FileQuery::default()).await.expect("listed").total, 0);
}
