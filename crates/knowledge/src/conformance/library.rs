use breezeway_core::{AccessGrant, CollectionId, FileId, Grantee, Grants, Permission, StoreError};
use serde_json::json;

use super::{at, blob, insert, new_file, user};
use crate::{
    Collection, CollectionChange, CollectionQuery, FileOrder, FileQuery, FileState, LibraryStore,
    MemberQuery, NewCollection, NewFile, Slice, StoredBlob,
};

/// Check stores made by `fresh` against the contract of [`LibraryStore`].
///
/// # Panics
/// With the sentence that does not hold.
pub async fn library_store<S: LibraryStore>(fresh: impl AsyncFn() -> S) {
    a_file_reads_back_as_inserted(&fresh().await).await;
    files_are_listed_in_order_and_in_slices(&fresh().await).await;
    files_are_filtered_by_owner_and_name(&fresh().await).await;
    files_are_filtered_by_the_collections_that_hold_them(&fresh().await).await;
    a_file_can_be_renamed_and_requeued(&fresh().await).await;
    a_file_can_get_other_bytes(&fresh().await).await;
    a_file_on_its_way_can_be_cancelled(&fresh().await).await;
    files_on_their_way_to_a_text_are_told_apart(&fresh().await).await;
    deleting_answers_the_blobs_nobody_has_any_more(&fresh().await).await;
    a_collection_reads_back_as_changed(&fresh().await).await;
    collections_are_listed_with_their_number_of_files(&fresh().await).await;
    a_collection_under_a_given_id_is_made_once(&fresh().await).await;
    membership_is_all_or_nothing(&fresh().await).await;
    members_are_listed_and_leave(&fresh().await).await;
    a_deleted_file_leaves_its_collections(&fresh().await).await;
    a_deleted_collection_leaves_its_files(&fresh().await).await;
    nothing_is_inserted_for_or_granted_to_who_has_departed(&fresh().await).await;
    what_is_handed_over_belongs_to_the_heir(&fresh().await).await;
}

async fn collect<S: LibraryStore>(store: &S, name: &str, seconds: i64) -> Collection {
    let new = NewCollection {
        name: name.to_owned(),
        description: format!("All about {name}"),
        grants: Grants::new([AccessGrant::PUBLIC_READ]),
    };
    store.insert_collection(&user("ada"), new, at(seconds)).await.expect("a collection is made")
}

fn unknown_file() -> FileId {
    "no-such-file".parse().expect("free text is an id")
}

fn unknown_collection() -> CollectionId {
    "no-such-collection".parse().expect("free text is an id")
}

async fn a_file_reads_back_as_inserted<S: LibraryStore>(store: &S) {
    let new = new_file("größe 日本.txt", 1);
    let stored = store.insert_file(new.clone(), None, at(5)).await.expect("a file is inserted");

    assert_eq!(stored.id, new.id, "a file keeps the id it was given");
    assert_eq!((&stored.name, &stored.metadata), (&new.name, &new.metadata), "name and metadata are kept");
    assert_eq!((stored.blob, stored.size_bytes), (blob(1), 11), "the blob is kept");
    assert_eq!((stored.created_at, stored.updated_at), (at(5), at(5)), "a new file has one time");
    assert_eq!((&stored.state, &stored.text_hash), (&FileState::Pending, &None), "a new file has no text");
    let read = store.file(&new.id).await.expect("a file is read");
    assert_eq!(read.as_ref(), Some(&stored), "what a call has written the next call reads");
    assert_eq!(store.document(&new.id).await.expect("read"), None, "an unprocessed file has no document");
    assert_eq!(store.file(&unknown_file()).await.expect("read"), None, "an unknown file is `None`");
    assert!(store.blob_in_use(&blob(1)).await.expect("asked"), "a file's blob is in use");
    assert!(!store.blob_in_use(&blob(2)).await.expect("asked"), "another blob is not in use");

    let other = insert(store, "other.txt", 2, 6).await;
    let asked = [other.id.clone(), unknown_file(), new.id.clone()];
    let found = store.files_by_id(&asked).await.expect("files are read");
    assert_eq!(found, [other, stored], "files come in the order asked for, without unknown ones");

    let kept = crate::NewFile { state: FileState::Stored, ..new_file("kept.bin", 3) };
    let kept = store.insert_file(kept, None, at(7)).await.expect("a file is inserted");
    assert_eq!(kept.state, FileState::Stored, "a file may be kept unprocessed");
}

async fn files_are_listed_in_order_and_in_slices<S: LibraryStore>(store: &S) {
    for (number, name) in (1..).zip(["c.txt", "a.txt", "d.txt", "b.txt", "B.txt"]) {
        // The last two share a time, so that only the tie-break orders them.
        insert(store, name, number, i64::from(number.min(4))).await;
    }
    let first = &store.files(&FileQuery::default()).await.expect("listed").items[4];
    store.rename_file(&first.id, "z.txt", at(90)).await.expect("renamed");

    let all = |order| FileQuery { order, ..FileQuery::default() };
    for order in [
        FileOrder::NewestFirst,
        FileOrder::OldestFirst,
        FileOrder::LatestChangeFirst,
        FileOrder::EarliestChangeFirst,
        FileOrder::Name,
        FileOrder::NameDescending,
    ] {
        let whole = store.files(&all(order)).await.expect("listed");
        assert_eq!((whole.items.len(), whole.total), (5, 5), "a list tells its length");
        let sorted = whole.items.is_sorted_by(|left, right| match order {
            FileOrder::NewestFirst => (right.created_at, &left.id) <= (left.created_at, &right.id),
            FileOrder::OldestFirst => (left.created_at, &left.id) <= (right.created_at, &right.id),
            FileOrder::LatestChangeFirst => (right.updated_at, &left.id) <= (left.updated_at, &right.id),
            FileOrder::EarliestChangeFirst => (left.updated_at, &left.id) <= (right.updated_at, &right.id),
            FileOrder::Name => (&left.name, &left.id) <= (&right.name, &right.id),
            FileOrder::NameDescending => (&right.name, &left.id) <= (&left.name, &right.id),
        });
        assert!(sorted, "files are listed {order:?}, ties by id");
        let mut pieces = Vec::new();
        for offset in [0, 2, 4, 6] {
            let slice = Slice { offset, limit: 2 };
            let part = store.files(&FileQuery { slice, ..all(order) }).await.expect("listed");
            assert_eq!(part.total, 5, "a slice tells the length of the whole list");
            pieces.extend(part.items);
        }
        assert_eq!(pieces, whole.items, "slices neither repeat nor skip entries");
    }
    let everything = Slice { offset: 0, limit: u64::MAX };
    let whole = store.files(&FileQuery { slice: everything, ..FileQuery::default() }).await.expect("listed");
    assert_eq!(whole.items.len(), 5, "any limit is understood");
}

async fn files_are_filtered_by_owner_and_name<S: LibraryStore>(store: &S) {
    let tram = insert(store, "Night Tram.TXT", 1, 1).await;
    insert(store, "100%_sure.md", 2, 2).await;
    insert(store, "[draft].md", 3, 3).await;
    let eves = crate::NewFile { owner: user("eve"), ..new_file("tram.txt", 4) };
    store.insert_file(eves, None, at(4)).await.expect("a file is inserted");
    let names = async |owner: Option<&str>, glob: Option<&str>| {
        let query = FileQuery {
            owner: owner.map(user),
            name_glob: glob.map(str::to_owned),
            order: FileOrder::OldestFirst,
            ..FileQuery::default()
        };
        let page = store.files(&query).await.expect("listed");
        assert_eq!(page.total, page.items.len() as u64, "the length is that of the filtered list");
        page.items.into_iter().map(|file| file.name).collect::<Vec<_>>()
    };

    assert_eq!(names(Some("eve"), None).await, ["tram.txt"], "files of one owner");
    assert_eq!(names(Some("ada"), Some("*tram*")).await, [tram.name.as_str()], "a glob, in any case");
    assert_eq!(names(None, Some("*.t?t")).await, ["Night Tram.TXT", "tram.txt"], "`?` is one sign");
    assert_eq!(names(None, Some("tram")).await, Vec::<String>::new(), "a glob is for the whole name");
    assert_eq!(names(None, Some("100%*")).await, ["100%_sure.md"], "`%` is no wildcard");
    assert_eq!(names(None, Some("____*.md")).await, Vec::<String>::new(), "`_` is no wildcard");
    assert_eq!(names(None, Some("[draft]*")).await, ["[draft].md"], "brackets are brackets");
    assert_eq!(names(None, Some("*'; --")).await, Vec::<String>::new(), "quotes are text");
}

async fn files_are_filtered_by_the_collections_that_hold_them<S: LibraryStore>(store: &S) {
    let (trams, night) = (collect(store, "trams", 1).await, collect(store, "night", 1).await);
    let both = insert(store, "both.txt", 1, 1).await;
    let one = insert(store, "one.txt", 2, 2).await;
    insert(store, "loose.txt", 3, 3).await;
    store.add_members(&trams.id, &[both.id.clone(), one.id.clone()], at(4)).await.expect("added");
    store.add_members(&night.id, std::slice::from_ref(&both.id), at(4)).await.expect("added");
    let names = async |holders: &[&str]| {
        let held_by = Some(holders.iter().map(|id| id.parse().expect("an id")).collect());
        let query = FileQuery { held_by, order: FileOrder::OldestFirst, ..FileQuery::default() };
        let page = store.files(&query).await.expect("listed");
        assert_eq!(page.total, page.items.len() as u64, "the length is that of the filtered list");
        page.items.into_iter().map(|file| file.name).collect::<Vec<_>>()
    };

    let (trams, night) = (trams.id.as_str(), night.id.as_str());
    assert_eq!(names(&[trams]).await, ["both.txt", "one.txt"], "files of one collection");
    assert_eq!(names(&[trams, night]).await, ["both.txt", "one.txt"], "a file in two is listed once");
    assert_eq!(names(&[night, "unknown"]).await, ["both.txt"], "unknown collections hold nothing");
    assert_eq!(names(&[]).await, Vec::<String>::new(), "no collection holds anything");
}

async fn a_file_can_be_renamed_and_requeued<S: LibraryStore>(store: &S) {
    let file = insert(store, "old.txt", 1, 1).await;
    let kept = crate::NewFile { state: FileState::Stored, ..new_file("kept.txt", 2) };
    let kept = store.insert_file(kept, None, at(1)).await.expect("a file is inserted");

    let renamed = store.rename_file(&file.id, "new.txt", at(2)).await.expect("renamed").expect("it exists");
    let queued = store.requeue_file(&kept.id, at(3)).await.expect("requeued").expect("it exists");

    assert_eq!(
        (renamed.name.as_str(), renamed.updated_at),
        ("new.txt", at(2)),
        "a renamed file has its name"
    );
    assert_eq!(store.file(&file.id).await.expect("read"), Some(renamed), "the new name is kept");
    assert_eq!(
        (&queued.state, queued.updated_at),
        (&FileState::Pending, at(3)),
        "a requeued file is pending"
    );
    assert_eq!(queued.created_at, at(1), "the time of the upload does not change");
    let unknown = unknown_file();
    assert_eq!(store.rename_file(&unknown, "x", at(4)).await.expect("asked"), None, "unknown: `None`");
    assert_eq!(store.requeue_file(&unknown, at(4)).await.expect("asked"), None, "unknown: `None`");
}

async fn a_file_can_get_other_bytes<S: LibraryStore>(store: &S) {
    let (alone, shared) = (insert(store, "a.pdf", 1, 1).await, insert(store, "b.txt", 2, 1).await);
    insert(store, "c.txt", 2, 1).await;
    let bytes = StoredBlob { hash: blob(7), size_bytes: 70 };

    let (changed, former) = store
        .replace_blob(&alone.id, bytes, "text/markdown", at(2))
        .await
        .expect("replaced")
        .expect("it exists");
    let (_, kept) = store
        .replace_blob(&shared.id, bytes, "text/plain", at(2))
        .await
        .expect("replaced")
        .expect("it exists");
    let (_, same) = store
        .replace_blob(&alone.id, bytes, "text/plain", at(3))
        .await
        .expect("replaced")
        .expect("it exists");

    assert_eq!((changed.blob, changed.size_bytes), (blob(7), 70), "the file has the new bytes");
    assert_eq!(changed.media_type, "text/markdown", "the file has the new type");
    assert_eq!((changed.state, changed.updated_at), (FileState::Pending, at(2)), "it is processed again");
    assert_eq!(former, Some(blob(1)), "the former blob is answered if nobody has it any more");
    assert_eq!(kept, None, "a blob another file has is kept");
    assert_eq!(same, None, "equal bytes are still in use");
    let unknown = store.replace_blob(&unknown_file(), bytes, "text/plain", at(3)).await.expect("asked");
    assert_eq!(unknown, None, "unknown: `None`");
}

async fn a_file_on_its_way_can_be_cancelled<S: LibraryStore>(store: &S) {
    let file = insert(store, "a.txt", 1, 1).await;

    let cancelled = store.cancel_file(&file.id, at(2)).await.expect("cancelled").expect("it was pending");

    assert_eq!((&cancelled.state, cancelled.updated_at), (&FileState::Cancelled, at(2)), "it is cancelled");
    assert_eq!(store.file(&file.id).await.expect("read"), Some(cancelled), "and stays so");
    assert_eq!(store.cancel_file(&file.id, at(3)).await.expect("asked"), None, "it is cancelled once");
    assert_eq!(store.cancel_file(&unknown_file(), at(3)).await.expect("asked"), None, "unknown: `None`");
    let again = store.requeue_file(&file.id, at(4)).await.expect("requeued").expect("it exists");
    assert_eq!(again.state, FileState::Pending, "it can be processed all the same");
}

async fn files_on_their_way_to_a_text_are_told_apart<S: LibraryStore>(store: &S) {
    let pending = insert(store, "a.txt", 1, 1).await;
    insert(store, "another.txt", 2, 1).await;
    let kept = crate::NewFile { state: FileState::Stored, ..new_file("kept.bin", 3) };
    let kept = store.insert_file(kept, None, at(1)).await.expect("a file is inserted");

    let asked = [pending.id.clone(), kept.id, unknown_file(), pending.id.clone()];
    let unread = store.unread_files(&asked).await.expect("asked");

    assert_eq!(unread.len(), 1, "each once, and only those that are to get a text");
    assert_eq!((&unread[0].id, unread[0].name.as_str()), (&pending.id, "a.txt"), "the one asked for");
    let due = unread[0].next_try.expect("a pending file has a time of its next try");
    assert!(due <= at(1), "a new file is taken at once");
}

async fn deleting_answers_the_blobs_nobody_has_any_more<S: LibraryStore>(store: &S) {
    let (first, second) = (insert(store, "a.txt", 1, 1).await, insert(store, "b.txt", 1, 1).await);
    let (third, fourth) = (insert(store, "c.txt", 2, 1).await, insert(store, "d.txt", 2, 1).await);

    let none = store.delete_files(&[first.id.clone(), unknown_file()]).await.expect("deleted");
    let mut both = store.delete_files(&[second.id, third.id, fourth.id]).await.expect("deleted");
    both.sort();

    assert_eq!(none, [], "a blob that another file has is not answered");
    assert_eq!(both, [blob(1), blob(2)], "blobs nobody has any more are answered once");
    assert_eq!(store.file(&first.id).await.expect("read"), None, "a deleted file is gone");
    assert!(!store.blob_in_use(&blob(1)).await.expect("asked"), "its blob is free");
    assert_eq!(store.delete_files(&[first.id]).await.expect("asked"), [], "deleting again does nothing");
}

async fn a_collection_reads_back_as_changed<S: LibraryStore>(store: &S) {
    let made = collect(store, "Trams", 1).await;
    let read = store.collection(&made.id).await.expect("read");
    assert_eq!(read.as_ref(), Some(&made), "what a call has written the next call reads");
    assert_eq!((&made.owner, made.grants.iter().count()), (&user("ada"), 1), "owner and grants are kept");
    assert_eq!((made.created_at, made.updated_at), (at(1), at(1)), "a new collection has one time");

    let rename = CollectionChange { name: Some("Boats".to_owned()), ..CollectionChange::default() };
    let renamed = store.update_collection(&made.id, rename, at(2)).await.expect("changed").expect("exists");
    assert_eq!((renamed.name.as_str(), renamed.updated_at), ("Boats", at(2)), "it has the new name");
    assert_eq!((&renamed.description, &renamed.grants), (&made.description, &made.grants), "the rest stays");

    let close = CollectionChange {
        description: Some(String::new()),
        grants: Some(Grants::default()),
        ..CollectionChange::default()
    };
    let closed = store.update_collection(&made.id, close, at(3)).await.expect("changed").expect("exists");
    assert!(closed.grants.is_empty() && closed.description.is_empty(), "fields may become empty");
    assert_eq!(store.collection(&made.id).await.expect("read"), Some(closed), "changes are kept");

    let unknown = unknown_collection();
    let change = CollectionChange::default();
    assert_eq!(store.collection(&unknown).await.expect("asked"), None, "unknown: `None`");
    assert_eq!(
        store.update_collection(&unknown, change, at(4)).await.expect("asked"),
        None,
        "unknown: `None`"
    );
}

async fn collections_are_listed_with_their_number_of_files<S: LibraryStore>(store: &S) {
    let (trams, boats) = (collect(store, "Trams", 1).await, collect(store, "100% Boats", 2).await);
    let new = NewCollection {
        name: "tram notes".to_owned(),
        description: String::new(),
        grants: Grants::default(),
    };
    let eves = store.insert_collection(&user("eve"), new, at(3)).await.expect("a collection is made");
    let file = insert(store, "a.txt", 1, 1).await;
    assert!(store.add_members(&boats.id, std::slice::from_ref(&file.id), at(9)).await.expect("added"));
    let names = async |text: Option<&str>, owner: Option<&str>| {
        let query = CollectionQuery { text: text.map(str::to_owned), owner: owner.map(user) };
        let found = store.collections(&query).await.expect("listed");
        found.into_iter().map(|(collection, files)| (collection.id, files)).collect::<Vec<_>>()
    };

    let all = [(boats.id.clone(), 1), (eves.id.clone(), 0), (trams.id.clone(), 0)];
    assert_eq!(names(None, None).await, all, "collections come most recently changed first, with counts");
    assert_eq!(names(Some("TRAM"), Some("ada")).await, [(trams.id.clone(), 0)], "by text, in any case");
    assert_eq!(names(Some("about 100%"), None).await, [(boats.id, 1)], "by description; `%` is a sign");
    assert_eq!(names(Some("_rams"), None).await, [], "`_` is a sign");
    assert_eq!(names(None, Some("eve")).await, [(eves.id, 0)], "by owner");
}

async fn a_collection_under_a_given_id_is_made_once<S: LibraryStore>(store: &S) {
    let id: CollectionId = "a name, any at all".parse().expect("free text is an id");
    let new = |name: &str| NewCollection {
        name: name.to_owned(),
        description: String::new(),
        grants: Grants::default(),
    };
    let meta = json!({ "named": true, "more": [1] });

    let (ada, eve) = (user("ada"), user("eve"));
    let ensured = store.ensure_collection(&id, &ada, new("first"), meta.clone(), at(1));
    let made = ensured.await.expect("a collection is made");
    assert_eq!((&made.id, &made.owner, &made.meta), (&id, &ada, &Some(meta)), "it is as it was given");
    assert_eq!(store.collection(&id).await.expect("read").as_ref(), Some(&made), "and reads back");
    let ensured = store.ensure_collection(&id, &eve, new("second"), json!({}), at(2));
    assert_eq!(ensured.await.expect("asked"), made, "one that is there stays as it is");
}

async fn membership_is_all_or_nothing<S: LibraryStore>(store: &S) {
    let (file, other) = (insert(store, "a.txt", 1, 1).await, insert(store, "b.txt", 2, 1).await);
    let trams = collect(store, "Trams", 1).await;
    let members = async || {
        let mut ids = store.member_ids(&trams.id).await.expect("listed");
        ids.sort();
        ids
    };

    let with_unknown = [file.id.clone(), unknown_file()];
    assert!(
        !store.add_members(&trams.id, &with_unknown, at(2)).await.expect("asked"),
        "unknown file: `false`"
    );
    assert_eq!(members().await, [], "a refused call changes nothing");
    assert_eq!(store.collection(&trams.id).await.expect("read"), Some(trams.clone()), "not even the time");
    let file_alone = std::slice::from_ref(&file.id);
    let nowhere = store.add_members(&unknown_collection(), file_alone, at(2)).await.expect("asked");
    assert!(!nowhere, "unknown collection: `false`");

    assert!(store.add_members(&trams.id, file_alone, at(3)).await.expect("added"));
    let twice = [file.id.clone(), other.id.clone(), other.id.clone()];
    assert!(store.add_members(&trams.id, &twice, at(4)).await.expect("added"), "known files are taken again");
    let mut expected = [file.id.clone(), other.id.clone()];
    expected.sort();
    assert_eq!(members().await, expected, "a file is in a collection once");
    let changed = store.collection(&trams.id).await.expect("read").expect("it exists");
    assert_eq!(changed.updated_at, at(4), "a change of members sets the collection's time");
    let page = store.members(&trams.id, &MemberQuery::default()).await.expect("listed");
    let since = page.items.iter().find(|member| member.file.id == file.id).map(|member| member.added_at);
    assert_eq!(since, Some(at(3)), "files already in a collection stay as they are");

    let born = new_file("born.txt", 3);
    store.insert_file(born.clone(), Some(&trams.id), at(5)).await.expect("inserted");
    assert!(members().await.contains(&born.id), "a file may be inserted into a collection");
    let orphan = new_file("orphan.txt", 4);
    store.insert_file(orphan.clone(), Some(&unknown_collection()), at(5)).await.expect("inserted");
    assert!(
        store.file(&orphan.id).await.expect("read").is_some(),
        "a collection that does not exist is passed over"
    );
}

async fn members_are_listed_and_leave<S: LibraryStore>(store: &S) {
    let trams = collect(store, "Trams", 1).await;
    let mut ids = Vec::new();
    for (number, name) in (1..).zip(["c.txt", "A.md", "b%.txt"]) {
        ids.push(insert(store, name, number, i64::from(number)).await.id);
    }
    assert!(store.add_members(&trams.id, &ids, at(5)).await.expect("added"));
    let names = async |text: Option<&str>, order, slice| {
        let query = MemberQuery { text: text.map(str::to_owned), order, slice };
        let page = store.members(&trams.id, &query).await.expect("listed");
        (page.items.into_iter().map(|member| member.file.name).collect::<Vec<_>>(), page.total)
    };
    let whole = Slice::default();
    let listed =
        |names: &[&str], total| (names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), total);

    let newest = names(None, FileOrder::NewestFirst, whole).await;
    assert_eq!(newest, listed(&["b%.txt", "A.md", "c.txt"], 3), "by upload");
    let second = names(None, FileOrder::Name, Slice { offset: 1, limit: 1 }).await;
    assert_eq!(second, listed(&["b%.txt"], 3), "a slice by name");
    assert_eq!(
        names(Some("a.M"), FileOrder::Name, whole).await,
        listed(&["A.md"], 1),
        "by text, in any case"
    );
    assert_eq!(names(Some("%.t"), FileOrder::Name, whole).await, listed(&["b%.txt"], 1), "`%` is a sign");

    let gone = [ids[0].clone(), unknown_file()];
    store.remove_members(&trams.id, &gone, at(7)).await.expect("files not in it are passed over");
    assert_eq!(names(None, FileOrder::Name, whole).await.1, 2, "a removed file is out");
    let changed = store.collection(&trams.id).await.expect("read").expect("it exists");
    assert_eq!(changed.updated_at, at(7), "a change of members sets the collection's time");
    assert!(store.file(&ids[0]).await.expect("read").is_some(), "leaving a collection keeps the file");
    assert_eq!(
        store.member_ids(&unknown_collection()).await.expect("asked"),
        [],
        "nobody is in no collection"
    );
}

async fn a_deleted_file_leaves_its_collections<S: LibraryStore>(store: &S) {
    let (trams, boats) = (collect(store, "Trams", 1).await, collect(store, "Boats", 1).await);
    let file = insert(store, "a.txt", 1, 1).await;
    let alone = std::slice::from_ref(&file.id);
    for id in [&trams.id, &boats.id] {
        assert!(store.add_members(id, alone, at(2)).await.expect("added"));
    }
    let mut holders: Vec<_> =
        store.collections_of(&file.id).await.expect("asked").into_iter().map(|held| held.id).collect();
    holders.sort();
    let mut expected = [trams.id.clone(), boats.id];
    expected.sort();
    assert_eq!(holders, expected, "a file knows the collections that hold it");

    store.delete_files(alone).await.expect("deleted");

    assert_eq!(store.member_ids(&trams.id).await.expect("listed"), [], "a deleted file is in no collection");
    assert_eq!(store.collections_of(&file.id).await.expect("asked"), [], "no collection holds it");
    let counts = store.collections(&CollectionQuery::default()).await.expect("listed");
    assert!(counts.iter().all(|(_, files)| *files == 0), "it is no longer counted");
}

async fn a_deleted_collection_leaves_its_files<S: LibraryStore>(store: &S) {
    let trams = collect(store, "Trams", 1).await;
    let file = new_file("a.txt", 1);
    store.insert_file(file.clone(), Some(&trams.id), at(2)).await.expect("inserted");

    assert!(store.delete_collection(&trams.id).await.expect("deleted"), "it existed");

    assert!(!store.delete_collection(&trams.id).await.expect("asked"), "it existed once");
    assert_eq!(store.collection(&trams.id).await.expect("read"), None, "a deleted collection is gone");
    assert!(store.file(&file.id).await.expect("read").is_some(), "its files stay");
    assert_eq!(store.collections_of(&file.id).await.expect("asked"), [], "they are in no collection");
}

async fn nothing_is_inserted_for_or_granted_to_who_has_departed<S: LibraryStore>(store: &S) {
    let (eve, staff) = (Grantee::User(user("eve")), Grantee::Group("staff".parse().expect("an id")));
    let line = |grantee: &Grantee| AccessGrant { grantee: grantee.clone(), permission: Permission::Read };
    let grants = Grants::new([AccessGrant::PUBLIC_READ, line(&eve), line(&staff)]);
    let new = || NewCollection { grants: grants.clone(), name: "n".to_owned(), description: String::new() };
    let shared = store.insert_collection(&user("ada"), new(), at(1)).await.expect("made");
    let file = NewFile { owner: user("eve"), ..new_file("before.txt", 1) };
    let file = store.insert_file(file, None, at(1)).await.expect("a file is inserted");

    store.depart(&eve).await.expect("an account departs");
    store.depart(&staff).await.expect("a group departs");
    store.depart(&eve).await.expect("departing again is no error");

    let only_public = Grants::new([AccessGrant::PUBLIC_READ]);
    let read = store.collection(&shared.id).await.expect("read").expect("it is still there");
    assert_eq!(read.grants, only_public, "what was granted to them is not any more");
    let change = CollectionChange { grants: Some(grants.clone()), ..CollectionChange::default() };
    let changed = store.update_collection(&shared.id, change, at(2)).await.expect("changed");
    assert_eq!(changed.map(|it| it.grants), Some(only_public.clone()), "an old list grants them nothing");
    let made = store.insert_collection(&user("ada"), new(), at(2)).await.expect("made");
    assert_eq!(made.grants, only_public, "a new list grants them nothing");
    let refused = [
        store.insert_file(NewFile { owner: user("eve"), ..new_file("x", 2) }, None, at(2)).await.err(),
        store.insert_collection(&user("eve"), new(), at(2)).await.err(),
        store.ensure_collection(&unknown_collection(), &user("eve"), new(), json!({}), at(2)).await.err(),
        store.hand_over(&user("ada"), &user("eve")).await.err(),
    ];
    for answer in refused {
        assert!(
            matches!(answer, Some(StoreError::Departed(id)) if id == user("eve")),
            "they get nothing new"
        );
    }
    let read = store.file(&file.id).await.expect("read");
    assert_eq!(read, Some(file), "what they had stays");
}

async fn what_is_handed_over_belongs_to_the_heir<S: LibraryStore>(store: &S) {
    let collection = collect(store, "birds", 1).await;
    let file = insert(store, "robin.txt", 1, 1).await;
    let other = NewFile { owner: user("eve"), ..new_file("eves.txt", 2) };
    let other = store.insert_file(other, None, at(1)).await.expect("a file is inserted");
    let id = format!("{}:scratch", file.owner).parse().expect("an id");
    let new =
        NewCollection { name: "scratch".to_owned(), description: String::new(), grants: Grants::default() };
    let named = store.ensure_collection(&id, &file.owner, new, Collection::named_meta(), at(1)).await;
    store.add_members(&named.expect("made").id, std::slice::from_ref(&file.id), at(1)).await.expect("added");

    store.hand_over(&user("ada"), &user("bob")).await.expect("handed over");
    store.hand_over(&user("ada"), &user("bob")).await.expect("there may be nothing to hand over");

    let owner = async |id| store.file(id).await.expect("read").map(|file| file.owner);
    assert_eq!(owner(&file.id).await, Some(user("bob")), "files are the heir's");
    assert_eq!(owner(&other.id).await, Some(user("eve")), "those of others are not");
    let read = store.collection(&collection.id).await.expect("read").expect("it is still there");
    assert_eq!(
        (read.owner, read.grants),
        (user("bob"), collection.grants),
        "so are collections, as they are"
    );
    assert_eq!(store.collection(&id).await.expect("read"), None, "names of the first mean nothing any more");
}
