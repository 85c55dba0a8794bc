use std::{io, time::Duration};

use breezeway_core::{
    AccessGrant, Credential, Grantee, Grants, GroupId, Permission, Role, StoreError, UnixTime, UserId,
};
use futures_util::future;
use proptest::prelude::*;

use super::*;
use crate::{
    ChunkStore, CollectionChange, CollectionQuery, FileCommit, MemberQuery, MemoryBlobs, MemoryLibrary,
    NewChunk, NewCollection,
};

struct Desk {
    library: Library,
    store: MemoryLibrary,
    blobs: MemoryBlobs,
}

impl Desk {
    fn new() -> Self {
        let (store, blobs) = (MemoryLibrary::default(), MemoryBlobs::default());
        let config = LibraryConfig { max_upload_bytes: 1000, allowed_extensions: vec!["txt".to_owned()] };
        let clock = Clock::fixed(UnixTime::from_seconds(100));
        let library = Library::new(config, Arc::new(store.clone()), Arc::new(blobs.clone()), clock);
        Self { library, store, blobs }
    }

    async fn upload(&self, principal: &Principal, text: &str) -> File {
        self.library.add_file(principal, upload("a.txt"), bytes(&[text])).await.unwrap()
    }

    async fn collect(&self, principal: &Principal, grants: &[(&Principal, Permission)]) -> CollectionId {
        let grants = grants.iter().map(|(to, permission)| AccessGrant {
            grantee: Grantee::User(to.user.clone()),
            permission: *permission,
        });
        let new =
            NewCollection { name: "notes".to_owned(), description: String::new(), grants: grants.collect() };
        self.library.create_collection(principal, new).await.unwrap().id
    }

    async fn add(&self, principal: &Principal, collection: &CollectionId, file: &File) {
        let files = std::slice::from_ref(&file.id);
        self.library.add_to_collection(principal, collection, files).await.unwrap();
    }

    /// Finish the processing of the oldest pending file with `text`.
    async fn process(&self, text: &str) {
        let now = UnixTime::from_seconds(200);
        let claim = self.store.claim_pending(now, Duration::from_secs(9)).await.unwrap().unwrap();
        let commit = FileCommit {
            file: claim.file.id,
            attempt: claim.attempt,
            text_hash: hash(text).to_string(),
            document: Document { text: text.to_owned(), ..Document::default() },
            chunks: Vec::<NewChunk>::new(),
            vectors: None,
        };
        assert!(self.store.commit_file(commit, now).await.unwrap());
    }
}

fn principal(name: &str) -> Principal {
    Principal {
        user: name.parse().unwrap(),
        role: if name == "root" { Role::Admin } else { Role::User },
        name: name.into(),
        email: format!("{name}@example.org").into(),
        groups: Arc::default(),
        credential: Credential::Local,
        rules: None,
    }
}

fn upload(name: &str) -> Upload {
    Upload {
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
        process: true,
        metadata: Map::new(),
        into: None,
    }
}

fn bytes(pieces: &[&str]) -> BlobStream {
    let pieces: Vec<Result<Bytes>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes()))).collect();
    Box::pin(stream::iter(pieces))
}

fn hash(text: &str) -> BlobHash {
    use sha2::{Digest, Sha256};
    BlobHash(Sha256::digest(text.as_bytes()).into())
}

#[tokio::test]
async fn an_upload_is_kept_under_a_plain_name_and_wakes_the_worker() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    let arrivals = desk.library.bells().arrivals;
    let sent = Upload { media_type: "text/plain\r\nx: y".to_owned(), ..upload("../../etc/pass\0wd.txt") };

    let file = desk.library.add_file(&ada, sent, bytes(&["", "two ", "pieces"])).await.unwrap();

    assert_eq!((file.name.as_str(), file.media_type.as_str()), ("passwd.txt", "application/octet-stream"));
    assert_eq!((&file.owner, &file.state), (&ada.user, &FileState::Pending));
    assert_eq!((file.size_bytes, file.blob), (10, hash("two pieces")));
    assert!(future::poll_immediate(arrivals.notified()).await.is_some());
    let (same, content) = desk.library.content(&ada, &file.id, 4).await.unwrap();
    assert_eq!(same, file);
    let content: Vec<_> = content.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(content.concat(), b"pieces");
}

#[tokio::test]
async fn a_refused_upload_leaves_nothing_behind() {
    let (desk, ada, eve) = (Desk::new(), principal("ada"), principal("eve"));
    let eves = desk.collect(&eve, &[(&ada, Permission::Read)]).await;
    let broken = stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(Error::Upload(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
    ]);

    let refused = [
        desk.library.add_file(&ada, upload("a.txt"), bytes(&["", ""])).await,
        desk.library.add_file(&ada, upload("a.txt"), bytes(&["x".repeat(1001).as_str()])).await,
        desk.library.add_file(&ada, upload("a.exe"), bytes(&["x"])).await,
        desk.library.add_file(&ada, upload("a.txt"), Box::pin(broken)).await,
        desk.library.add_file(&ada, Upload { into: Some(eves), ..upload("a.txt") }, bytes(&["x"])).await,
    ];

    let refused = refused.map(Result::unwrap_err);
    assert!(matches!(refused[0], Error::EmptyUpload));
    assert!(matches!(refused[1], Error::TooLarge { limit_bytes: 1000 }));
    assert!(matches!(&refused[2], Error::ExtensionNotAllowed(extension) if extension == "exe"));
    assert!(matches!(refused[3], Error::Upload(_)));
    assert!(matches!(refused[4], Error::CollectionForbidden(_)));
    assert_eq!(desk.blobs.list().await.unwrap(), []);
    assert_eq!(desk.library.files(&ada, FileQuery::default()).await.unwrap().total, 0);
}

#[tokio::test]
async fn a_file_that_is_only_kept_may_have_any_extension() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    let kept = Upload { process: false, ..upload("a.exe") };

    let file = desk.library.add_file(&ada, kept, bytes(&["MZ"])).await.unwrap();

    assert_eq!(file.state, FileState::Stored);
    assert!(future::poll_immediate(desk.library.bells().arrivals.notified()).await.is_none());
    let refused = desk.library.reprocess(&ada, &file.id).await;
    assert!(matches!(refused, Err(Error::ExtensionNotAllowed(_))));
}

#[tokio::test]
async fn a_row_that_fails_takes_its_bytes_along_unless_another_file_has_them() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    desk.upload(&ada, "shared").await;
    desk.store.refuse_files(true);

    let own = desk.library.add_file(&ada, upload("a.txt"), bytes(&["own"])).await;
    let shared = desk.library.add_file(&ada, upload("a.txt"), bytes(&["shared"])).await;

    assert!(matches!(own, Err(Error::Store(StoreError::Failed { .. }))));
    assert!(shared.is_err());
    assert_eq!(desk.blobs.list().await.unwrap(), [hash("shared")]);
}

#[tokio::test]
async fn bytes_go_with_the_last_file_that_has_them() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    let (first, second) = (desk.upload(&ada, "same").await, desk.upload(&ada, "same").await);

    desk.library.delete_file(&ada, &first.id).await.unwrap();
    assert_eq!(desk.blobs.list().await.unwrap(), [hash("same")]);
    desk.library.delete_file(&ada, &second.id).await.unwrap();

    assert_eq!(desk.blobs.list().await.unwrap(), []);
    let again = desk.library.delete_file(&ada, &second.id).await;
    assert!(matches!(again, Err(Error::NoSuchFile(id)) if id == second.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the race needs tasks on both threads")]
async fn an_upload_never_loses_its_bytes_to_a_deletion_of_equal_ones() {
    let desk = Arc::new(Desk::new());
    let workers = ["ada", "eve", "joe", "kim"].map(|name| {
        let desk = desk.clone();
        tokio::spawn(async move {
            let user = principal(name);
            for _ in 0..150 {
                let file = desk.upload(&user, "the same bytes").await;
                tokio::task::yield_now().await;
                let (_, content) = desk.library.content(&user, &file.id, 0).await.unwrap();
                assert!(content.is_some(), "the bytes are there as long as the file is");
                desk.library.delete_file(&user, &file.id).await.unwrap();
            }
        })
    });

    for worker in workers {
        worker.await.unwrap();
    }

    assert_eq!(desk.blobs.list().await.unwrap(), [], "and no longer");
}

#[tokio::test]
async fn a_transfer_that_stalls_holds_up_no_deletion() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    let file = desk.upload(&ada, "short").await;
    let stalled = stream::iter([Ok(Bytes::from_static(b"long"))]).chain(stream::pending());
    let mut transfer = Box::pin(desk.library.add_file(&ada, upload("b.txt"), Box::pin(stalled)));
    assert!(future::poll_immediate(&mut transfer).await.is_none());

    desk.library.delete_file(&ada, &file.id).await.unwrap();

    assert_eq!(desk.blobs.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_sweep_deletes_what_no_file_refers_to() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    desk.upload(&ada, "kept").await;
    desk.blobs.put(bytes(&["left by a crash"]), 100).await.unwrap();

    assert_eq!(desk.library.sweep().await.unwrap(), 1);

    assert_eq!(desk.blobs.list().await.unwrap(), [hash("kept")]);
}

#[tokio::test]
async fn replaced_text_is_processed_and_the_old_bytes_go() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    let file = desk.upload(&ada, "old").await;
    desk.process("old").await;

    let blank = desk.library.replace_text(&ada, &file.id, " \n").await;
    let file = desk.library.replace_text(&ada, &file.id, "new").await.unwrap();

    assert!(matches!(blank, Err(Error::EmptyUpload)));
    assert_eq!((file.state, file.blob), (FileState::Pending, hash("new")));
    assert_eq!(desk.blobs.list().await.unwrap(), [hash("new")]);
    let document = desk.library.document(&ada, &file.id).await.unwrap();
    assert_eq!(document.map(|document| document.text), Some("old".to_owned()), "until the worker is done");
}

#[tokio::test]
async fn a_stranger_sees_no_trace_of_a_file() {
    let (desk, ada, eve) = (Desk::new(), principal("ada"), principal("eve"));
    let file = desk.upload(&ada, "secret").await;
    let (library, id) = (&desk.library, &file.id);

    let refused = [
        library.file(&eve, id).await.err(),
        library.document(&eve, id).await.err(),
        library.content(&eve, id, 0).await.err(),
        library.rename_file(&eve, id, "x").await.err(),
        library.replace_text(&eve, id, "x").await.err(),
        library.reprocess(&eve, id).await.err(),
        library.delete_file(&eve, id).await.err(),
    ];

    assert!(refused.iter().all(|error| matches!(error, Some(Error::NoSuchFile(_)))), "{refused:?}");
    assert_eq!(library.files(&eve, FileQuery::default()).await.unwrap().total, 0);
    let of_ada = FileQuery { owner: Some(ada.user.clone()), ..FileQuery::default() };
    assert_eq!(library.files(&eve, of_ada).await.unwrap().total, 0, "nor by asking for the owner");
    assert_eq!(library.searchable(&eve, &Wanted::File(id.clone())).await.unwrap(), []);
    assert_eq!(library.file(&ada, id).await.unwrap(), file);
    assert!(matches!(library.delete_all_files(&eve).await, Err(Error::AdminsOnly)));
}

#[tokio::test]
async fn an_admin_may_do_everything_with_everyones_files() {
    let (desk, ada, root) = (Desk::new(), principal("ada"), principal("root"));
    let file = desk.upload(&ada, "text").await;
    let collection = desk.collect(&ada, &[]).await;

    desk.add(&root, &collection, &file).await;
    let renamed = desk.library.rename_file(&root, &file.id, "b/new.txt").await.unwrap();

    assert_eq!(renamed.name, "new.txt");
    assert_eq!(desk.library.files(&root, FileQuery::default()).await.unwrap().total, 1);
    desk.library.delete_all_files(&root).await.unwrap();
    assert_eq!(desk.library.files(&ada, FileQuery::default()).await.unwrap().total, 0);
    assert_eq!(desk.blobs.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_shared_collection_is_read_by_readers_and_changed_by_writers() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    let (reader, writer) = (principal("reader"), principal("writer"));
    let (library, file) = (&desk.library, desk.upload(&ada, "text").await);
    let shared = [(&reader, Permission::Read), (&writer, Permission::Write)];
    let collection = desk.collect(&ada, &shared).await;
    desk.add(&ada, &collection, &file).await;
    let readers = desk.upload(&reader, "mine").await;
    let mine = std::slice::from_ref(&readers.id);

    let refused = [
        library.add_to_collection(&reader, &collection, mine).await.err(),
        library.update_collection(&reader, &collection, CollectionChange::default()).await.err(),
        library.remove_from_collection(&reader, &collection, &file.id).await.err(),
        library.reset_collection(&reader, &collection).await.err(),
        library.delete_collection(&reader, &collection).await.err(),
    ];
    assert!(refused.iter().all(|error| matches!(error, Some(Error::CollectionForbidden(_)))), "{refused:?}");
    assert!(matches!(library.delete_file(&reader, &file.id).await, Err(Error::FileForbidden(_))));
    assert_eq!(library.file(&reader, &file.id).await.unwrap(), file);
    let found = library.searchable(&reader, &Wanted::Collection(collection.clone())).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&file.id));
    let members = library.members(&reader, &collection, MemberQuery::default()).await.unwrap();
    assert_eq!(members.total, 1);
    let seen = library.collection(&reader, &collection).await.unwrap();
    assert!(!library.may_write(&reader, &seen) && library.may_write(&writer, &seen));

    library.rename_file(&writer, &file.id, "renamed.txt").await.unwrap();
    library.remove_from_collection(&writer, &collection, &file.id).await.unwrap();
    assert!(matches!(library.file(&reader, &file.id).await, Err(Error::NoSuchFile(_))), "no longer shared");
    let again = library.remove_from_collection(&writer, &collection, &file.id).await;
    assert!(matches!(again, Err(Error::NotAMember { .. })));
    library.delete_collection(&writer, &collection).await.unwrap();
    assert!(matches!(library.collection(&ada, &collection).await, Err(Error::NoSuchCollection(_))));
}

#[tokio::test]
async fn taking_a_shared_file_into_an_own_collection_gives_no_right_to_change_it() {
    let (desk, ada, eve) = (Desk::new(), principal("ada"), principal("eve"));
    let file = desk.upload(&ada, "text").await;
    let shared = desk.collect(&ada, &[(&eve, Permission::Read)]).await;
    desk.add(&ada, &shared, &file).await;
    let eves = desk.collect(&eve, &[(&ada, Permission::Write)]).await;

    desk.add(&eve, &eves, &file).await;

    assert!(matches!(desk.library.delete_file(&eve, &file.id).await, Err(Error::FileForbidden(_))));
    desk.library.reset_collection(&eve, &eves).await.unwrap();
    assert_eq!(
        desk.library.file(&ada, &file.id).await.unwrap(),
        file,
        "emptying it does not delete it either"
    );
}

#[tokio::test]
async fn a_file_without_text_is_refused_and_one_on_its_way_is_welcome() {
    let (desk, ada) = (Desk::new(), principal("ada"));
    let (library, collection) = (&desk.library, desk.collect(&ada, &[]).await);
    let kept = Upload { process: false, ..upload("kept.txt") };
    let kept = library.add_file(&ada, kept, bytes(&["kept"])).await.unwrap();
    let empty = desk.upload(&ada, " ").await;
    desk.process("").await;
    let failed = desk.upload(&ada, "%PDF").await;
    let claim =
        desk.store.claim_pending(UnixTime::from_seconds(300), Duration::from_secs(9)).await.unwrap().unwrap();
    let now = UnixTime::from_seconds(301);
    assert!(desk.store.fail_file(&failed.id, claim.attempt, "broken", None, now).await.unwrap());
    let pending = desk.upload(&ada, "on its way").await;
    let add = async |ids: &[&FileId]| {
        let ids: Vec<FileId> = ids.iter().map(|&id| id.clone()).collect();
        library.add_to_collection(&ada, &collection, &ids).await
    };

    assert!(matches!(add(&[&pending.id, &kept.id]).await, Err(Error::NotProcessed(_))));
    assert!(matches!(add(&[&empty.id]).await, Err(Error::NoText(_))));
    assert!(matches!(add(&[&failed.id]).await, Err(Error::NoText(_))));
    let unknown = "no-such-file".parse().unwrap();
    assert!(matches!(add(&[&unknown]).await, Err(Error::NoSuchFile(_))));
    assert_eq!(desk.store.member_ids(&collection).await.unwrap(), [], "a refused call adds nothing");

    add(&[&pending.id]).await.unwrap();
    add(&[&pending.id]).await.expect("the same file is accepted again");
    assert_eq!(desk.store.member_ids(&collection).await.unwrap(), [pending.id]);
}

#[tokio::test]
async fn emptying_a_collection_deletes_the_files_that_are_the_callers_to_delete() {
    let (desk, ada, eve) = (Desk::new(), principal("ada"), principal("eve"));
    let collection = desk.collect(&ada, &[(&eve, Permission::Write)]).await;
    let adas = desk.upload(&ada, "of ada").await;
    desk.add(&ada, &collection, &adas).await;
    let into = Upload { into: Some(collection.clone()), ..upload("e.txt") };
    let eves = desk.library.add_file(&eve, into, bytes(&["of eve"])).await.unwrap();
    assert_eq!(desk.store.member_ids(&collection).await.unwrap().len(), 2);

    desk.library.reset_collection(&ada, &collection).await.unwrap();

    assert_eq!(desk.store.member_ids(&collection).await.unwrap(), []);
    assert!(matches!(desk.library.file(&ada, &adas.id).await, Err(Error::NoSuchFile(_))));
    assert_eq!(desk.library.file(&eve, &eves.id).await.unwrap(), eves, "someone else's file only leaves");
}

#[tokio::test]
async fn a_name_means_something_else_to_each_account_and_is_in_no_list() {
    let (desk, ada, eve) = (Desk::new(), principal("ada"), principal("eve"));

    let adas = desk.library.collection_to_fill(&ada, "a hash", true).await.unwrap();
    let eves = desk.library.collection_to_fill(&eve, "a hash", true).await.unwrap();
    let again = desk.library.collection_to_fill(&ada, "a hash", true).await.unwrap();

    assert_eq!(adas.id, again.id);
    assert_ne!(adas.id, eves.id);
    let found = desk.library.find_collection(&eve, "a hash").await.unwrap();
    assert_eq!(found.map(|collection| collection.id), Some(eves.id));
    let by_id = desk.library.find_collection(&eve, adas.id.as_str()).await.unwrap();
    assert_eq!(by_id, None, "not by its id either");
    assert!(desk.library.collections(&ada, CollectionQuery::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_departed_account_leaves_nothing_or_an_heir() {
    for heir in [None, Some(principal("bob"))] {
        let (desk, ada, eve, root) = (Desk::new(), principal("ada"), principal("eve"), principal("root"));
        let library = &desk.library;
        let (hers, shared) = (desk.upload(&eve, "hers").await, desk.upload(&ada, "shared").await);
        let (eves, adas) =
            (desk.collect(&eve, &[]).await, desk.collect(&ada, &[(&eve, Permission::Write)]).await);
        desk.add(&eve, &adas, &hers).await;
        desk.add(&ada, &adas, &shared).await;
        let heirs = heir.as_ref().map(|heir| heir.user.clone());
        // An upload that ends when everything else of hers is gone.
        let (departing, account, to) = (library.clone(), eve.user.clone(), heirs.clone());
        let slow = stream::once(async { Ok(Bytes::from_static(b"late")) }).chain(stream::once(async move {
            departing.depart(&account, to.as_ref()).await.map(|()| Bytes::new())
        }));

        let refused = library.add_file(&eve, upload("late.txt"), Box::pin(slow)).await;
        assert!(matches!(refused, Err(Error::Store(StoreError::Departed(_)))), "nothing more becomes hers");
        library.depart(&eve.user, heirs.as_ref()).await.unwrap();

        let read = library.file(&root, &hers.id).await;
        let owned = library.collection(&root, &eves).await;
        match &heir {
            None => {
                assert!(matches!(read, Err(Error::NoSuchFile(_))));
                assert!(matches!(owned, Err(Error::NoSuchCollection(_))));
                assert_eq!(desk.blobs.list().await.unwrap(), [shared.blob], "her bytes are gone");
            }
            Some(heir) => {
                assert_eq!(read.unwrap().owner, heir.user);
                assert_eq!(owned.unwrap().owner, heir.user);
            }
        }
        assert!(library.collection(&eve, &adas).await.is_err(), "nothing is granted to her");
        assert!(library.collection(&root, &adas).await.unwrap().grants.is_empty());
        assert_eq!(library.all_members(&ada, &adas).await.unwrap().len(), 1 + usize::from(heir.is_some()));
    }
}

#[tokio::test]
async fn only_admins_think_of_names() {
    let (desk, root, ada) = (Desk::new(), principal("root"), principal("ada"));

    let made = desk.library.collection_to_fill(&root, "birds", false).await.unwrap();
    let refused = desk.library.collection_to_fill(&ada, "birds", false).await;
    let refused_too = desk.library.collection_to_fill(&ada, "bees", false).await;

    assert_eq!((made.id.as_str(), made.is_named()), ("birds", true));
    assert!(matches!(refused, Err(Error::CollectionForbidden(_))));
    assert!(matches!(refused_too, Err(Error::CollectionForbidden(_))));
    assert_eq!(desk.library.find_collection(&ada, "birds").await.unwrap(), None);
    for name in ["", "file-1", &"x".repeat(600)] {
        let refused = desk.library.collection_to_fill(&root, name, false).await;
        assert!(matches!(refused, Err(Error::BadName)), "`{name}`");
    }
}

#[tokio::test]
async fn a_reset_index_keeps_every_file_and_has_it_processed_again() {
    let (desk, root, ada) = (Desk::new(), principal("root"), principal("ada"));
    let file = desk.upload(&ada, "words").await;
    desk.process("words").await;
    let notes = desk.collect(&ada, &[]).await;
    desk.add(&ada, &notes, &file).await;

    assert!(matches!(desk.library.reset_index(&ada).await, Err(Error::AdminsOnly)));
    desk.library.reset_index(&root).await.unwrap();

    assert_eq!(desk.library.file(&ada, &file.id).await.unwrap().state, FileState::Pending);
    assert!(desk.library.document(&ada, &file.id).await.unwrap().is_some(), "its text stays meanwhile");
    assert!(matches!(desk.library.collection(&ada, &notes).await, Err(Error::NoSuchCollection(_))));
}

#[tokio::test]
async fn what_is_refused_can_be_changed_while_the_library_is_open() {
    let (desk, ada) = (Desk::new(), principal("ada"));

    desk.library.set_config(LibraryConfig { max_upload_bytes: 3, allowed_extensions: Vec::new() });
    let any = desk.library.add_file(&ada, upload("a.exe"), bytes(&["abc"])).await;
    let large = desk.library.add_file(&ada, upload("a.txt"), bytes(&["abcd"])).await;

    assert!(any.is_ok());
    assert!(matches!(large, Err(Error::TooLarge { limit_bytes: 3 })));
}

#[tokio::test]
async fn collections_are_listed_for_whoever_may_read_them() {
    let (desk, ada, eve) = (Desk::new(), principal("ada"), principal("eve"));
    let shared = desk.collect(&ada, &[(&eve, Permission::Write)]).await;
    desk.collect(&ada, &[]).await;

    let seen = desk.library.collections(&eve, CollectionQuery::default()).await.unwrap();

    assert_eq!(seen.into_iter().map(|(collection, _)| collection.id).collect::<Vec<_>>(), [shared]);
}

/// One collection of a random world: its owner, its grants, and which of the files it holds.
#[derive(Clone, Debug)]
struct Shelf {
    owner: usize,
    grants: Vec<(usize, bool)>,
    holds: Vec<bool>,
}

const USERS: [&str; 4] = ["ada", "eve", "joe", "root"];

fn shelf() -> impl Strategy<Value = Shelf> {
    let grants = prop::collection::vec((0_usize..6, any::<bool>()), 0..4);
    (0..USERS.len(), grants, prop::collection::vec(any::<bool>(), 3))
        .prop_map(|(owner, grants, holds)| Shelf { owner, grants, holds })
}

/// The grantees: four accounts, everyone, and a group that `joe` is in.
fn grantee(number: usize) -> Grantee {
    match number {
        4 => Grantee::Everyone,
        5 => Grantee::Group("tram drivers".parse::<GroupId>().unwrap()),
        user => Grantee::User(USERS[user].parse::<UserId>().unwrap()),
    }
}

fn expected(user: usize, owner: usize, shelf: &Shelf, write: bool) -> bool {
    user == 3
        || user == owner
        || shelf.grants.iter().any(|&(to, writes)| {
            (writes || !write) && (to == user || to == 4 || (to == 5 && USERS[user] == "joe"))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rights_equal_a_brute_force_filter(
        owners in prop::collection::vec(0..USERS.len(), 3),
        shelves in prop::collection::vec(shelf(), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new();
            let mut users = USERS.map(principal);
            users[2].groups = Arc::from(["tram drivers".parse::<GroupId>().unwrap()]);
            let mut files = Vec::new();
            for &owner in &owners {
                files.push(desk.upload(&users[owner], "text").await);
            }
            let mut ids = Vec::new();
            for shelf in &shelves {
                let grants = shelf.grants.iter().map(|&(to, writes)| AccessGrant {
                    grantee: grantee(to),
                    permission: if writes { Permission::Write } else { Permission::Read },
                });
                let new = NewCollection {
                    name: String::new(),
                    description: String::new(),
                    grants: Grants::new(grants),
                };
                let made = desk.library.create_collection(&users[shelf.owner], new).await.unwrap();
                let held = files.iter().zip(&shelf.holds).filter(|(_, holds)| **holds);
                let held: Vec<FileId> = held.map(|(file, _)| file.id.clone()).collect();
                // Past the library's own checks, so that foreign files are on shelves too.
                assert!(desk.store.add_members(&made.id, &held, UnixTime::from_seconds(1)).await.unwrap());
                ids.push(made.id);
            }

            for (number, user) in users.iter().enumerate() {
                for (place, file) in files.iter().enumerate() {
                    let held = || shelves.iter().filter(|shelf| shelf.holds[place]);
                    let own = number == 3 || number == owners[place];
                    let reads = own || held().any(|shelf| expected(number, shelf.owner, shelf, false));
                    let writes = own
                        || held().any(|shelf| {
                            shelf.owner == owners[place] && expected(number, shelf.owner, shelf, true)
                        });
                    assert_eq!(desk.library.file(user, &file.id).await.is_ok(), reads);
                    assert_eq!(desk.library.may_write_file(user, file).await.unwrap(), writes);
                    let found = desk.library.searchable(user, &Wanted::File(file.id.clone())).await.unwrap();
                    assert_eq!(found.len(), usize::from(reads));
                }
                for (shelf, id) in shelves.iter().zip(&ids) {
                    let reads = expected(number, shelf.owner, shelf, false);
                    let wanted = Wanted::Collection(id.clone());
                    let found = desk.library.searchable(user, &wanted).await.unwrap();
                    let holds = shelf.holds.iter().filter(|holds| **holds).count();
                    assert_eq!(found.len(), if reads { holds } else { 0 });
                    assert_eq!(desk.library.collection(user, id).await.is_ok(), reads);
                }
            }
        });
    }
}
