//! The contract of the chats' store, sentence by sentence.

use breezeway_core::{ChatId, FolderId, ShareId, StoreError, UnixTime, UserId};
use serde_json::{Map, Value, json};

use super::{
    Changed, Chat, ChatChange, ChatOrder, ChatQuery, ChatStore, Folder, FolderChange, InFolder, Reply, Said,
    Tag, Turn,
};

/// Check everything that [`ChatStore`] promises.
///
/// # Panics
/// If a promise is not kept.
pub async fn chat_store<S: ChatStore>(fresh: impl AsyncFn() -> S) {
    a_chat_reads_back_as_inserted(&fresh().await).await;
    several_are_inserted_or_none(&fresh().await).await;
    what_is_foreign_does_not_exist(&fresh().await).await;
    every_part_of_a_query_counts(&fresh().await).await;
    chats_are_found_by_the_words_they_have_now(&fresh().await).await;
    changes_do_what_they_say(&fresh().await).await;
    a_shared_chat_stays_as_it_was(&fresh().await).await;
    a_turn_is_recorded_once(&fresh().await).await;
    a_chat_grows_no_further_than_it_may(&fresh().await).await;
    folders_form_a_tree(&fresh().await).await;
    a_folder_goes_with_or_without_its_chats(&fresh().await).await;
    who_departs_leaves_nothing(&fresh().await).await;
    an_heir_gets_everything(&fresh().await).await;
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn owner(name: &str) -> UserId {
    name.parse().expect("an id")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn chat(id: &str, whose: &str, title: &str, text: &str, seconds: i64) -> Chat {
    Chat {
        id: id.parse().expect("an id"),
        owner: owner(whose),
        title: title.into(),
        body: object(json!({
            "title": title,
            "odd": [1.50, null, "\u{1F30A}"],
            "history": {"messages": {"m": {"id": "m", "role": "user", "content": text}}, "currentId": "m"},
        })),
        meta: object(json!({"from": "elsewhere"})),
        folder: None,
        share: None,
        archived: false,
        pinned: false,
        tags: Vec::new(),
        created_at: at(seconds),
        updated_at: at(seconds),
    }
}

fn tag(name: &str) -> Tag {
    Tag::named(name).expect("a tag")
}

fn folder(id: &str, whose: &str, parent: Option<&str>, seconds: i64) -> Folder {
    Folder {
        id: id.parse().expect("an id"),
        owner: owner(whose),
        parent: parent.map(|id| id.parse().expect("an id")),
        name: id.to_uppercase(),
        data: Some(object(json!({"system_prompt": "Be brief."}))),
        meta: None,
        expanded: true,
        created_at: at(seconds),
        updated_at: at(seconds),
    }
}

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("an id")
}

async fn insert<S: ChatStore>(store: &S, chats: &[Chat]) {
    store.insert_chats(chats).await.expect("inserted");
}

async fn change<S: ChatStore>(store: &S, chat: &str, change: ChatChange) -> Chat {
    match store.change_chat(&owner("ada"), &id(chat), change, at(99)).await.expect("changed") {
        Changed::Chat(chat) => *chat,
        other => panic!("{other:?}"),
    }
}

async fn ids<S: ChatStore>(store: &S, query: ChatQuery) -> Vec<String> {
    let found = store.chats(&query).await.expect("listed");
    found.into_iter().map(|chat| chat.id.to_string()).collect()
}

fn all(whose: &str) -> ChatQuery {
    ChatQuery { archived: None, ..ChatQuery::of(owner(whose), 0, 100) }
}

async fn a_chat_reads_back_as_inserted<S: ChatStore>(store: &S) {
    store.insert_folder(&folder("f", "ada", None, 1)).await.expect("inserted");
    let full = Chat {
        folder: Some(id("f")),
        archived: true,
        pinned: true,
        tags: vec![tag("Long Reads"), tag("zoë")],
        updated_at: at(7),
        ..chat("full", "ada", "zoë's \u{1F30A}", "text", 3)
    };
    let bare = Chat { body: Map::new(), meta: Map::new(), ..chat("bare", "ada", "", "", 1) };

    insert(store, &[full.clone(), bare.clone()]).await;

    assert_eq!(store.chat(&full.owner, &full.id).await.expect("read"), Some(full.clone()));
    assert_eq!(store.chat(&bare.owner, &bare.id).await.expect("read"), Some(bare));
    let listed = store.chats(&all("ada")).await.expect("listed");
    assert_eq!((listed[0].title.as_str(), listed[0].archived), (full.title.as_str(), true));
    assert_eq!((listed[0].created_at, listed[0].updated_at), (at(3), at(7)));
    assert_eq!(store.tags(&full.owner).await.expect("listed"), full.tags);
}

async fn several_are_inserted_or_none<S: ChatStore>(store: &S) {
    insert(store, &[chat("a", "ada", "", "", 1)]).await;

    let refused = store.insert_chats(&[chat("b", "ada", "", "", 2), chat("a", "eve", "", "", 2)]).await;

    assert!(matches!(refused, Err(StoreError::Taken("chat"))), "{refused:?}");
    assert_eq!(ids(store, all("ada")).await, ["a"]);
    insert(store, &[]).await;
}

async fn what_is_foreign_does_not_exist<S: ChatStore>(store: &S) {
    store.insert_folder(&folder("f", "ada", None, 1)).await.expect("inserted");
    insert(store, &[Chat { tags: vec![tag("x")], ..chat("a", "ada", "sky", "", 1) }]).await;
    let (eve, a): (_, ChatId) = (owner("eve"), id("a"));

    assert_eq!(store.chat(&eve, &a).await.expect("asked"), None);
    assert!(!store.has_chat(&eve, &a).await.expect("asked"));
    assert!(store.has_chat(&owner("ada"), &a).await.expect("asked"));
    assert_eq!(ids(store, ChatQuery { text: Some("sky".into()), ..all("eve") }).await, [""; 0]);
    assert_eq!(ids(store, ChatQuery { tag: Some("x".into()), ..all("eve") }).await, [""; 0]);
    assert_eq!(store.tags(&eve).await.expect("asked"), []);
    let changed = store.change_chat(&eve, &a, ChatChange::TogglePinned, at(2)).await.expect("asked");
    assert_eq!(changed, Changed::Gone);
    assert!(!store.delete_chat(&eve, &a).await.expect("asked"));
    store.delete_chats(&eve).await.expect("asked");
    store.archive_chats(&eve, true).await.expect("asked");
    assert_eq!(store.folders(&eve).await.expect("asked"), []);
    let f: FolderId = id("f");
    assert_eq!(store.change_folder(&eve, &f, FolderChange::default(), at(2)).await.expect("asked"), None);
    assert!(!store.delete_folder(&eve, &f, true).await.expect("asked"));
    assert!(!store.chat(&owner("ada"), &a).await.expect("read").expect("still there").archived);
}

async fn every_part_of_a_query_counts<S: ChatStore>(store: &S) {
    store.insert_folder(&folder("f", "ada", None, 1)).await.expect("inserted");
    insert(
        store,
        &[
            chat("a", "ada", "Cat", "", 1),
            Chat { archived: true, ..chat("b", "ada", "Ant", "", 2) },
            Chat { pinned: true, tags: vec![tag("T")], ..chat("c", "ada", "Bee", "", 3) },
            Chat { folder: Some(id("f")), created_at: at(0), ..chat("d", "ada", "Dog", "", 3) },
            chat("e", "eve", "Eel", "", 4),
        ],
    )
    .await;
    let ada = || all("ada");

    assert_eq!(ids(store, ada()).await, ["c", "d", "b", "a"]);
    assert_eq!(ids(store, ChatQuery { ascending: true, ..ada() }).await, ["a", "b", "c", "d"]);
    let by = |order| ChatQuery { order, ascending: true, ..all("ada") };
    assert_eq!(ids(store, by(ChatOrder::Creation)).await, ["d", "a", "b", "c"]);
    assert_eq!(ids(store, by(ChatOrder::Title)).await, ["b", "c", "a", "d"]);
    assert_eq!(ids(store, ChatQuery { archived: Some(true), ..ada() }).await, ["b"]);
    assert_eq!(ids(store, ChatQuery { archived: Some(false), ..ada() }).await, ["c", "d", "a"]);
    assert_eq!(ids(store, ChatQuery { pinned: Some(true), ..ada() }).await, ["c"]);
    assert_eq!(ids(store, ChatQuery { pinned: Some(false), ..ada() }).await, ["d", "b", "a"]);
    assert_eq!(ids(store, ChatQuery { tag: Some("t".into()), ..ada() }).await, ["c"]);
    assert_eq!(ids(store, ChatQuery { folder: InFolder::This(id("f")), ..ada() }).await, ["d"]);
    assert_eq!(ids(store, ChatQuery { folder: InFolder::None, ..ada() }).await, ["c", "b", "a"]);
    assert_eq!(ids(store, ChatQuery { offset: 1, limit: 2, ..ada() }).await, ["d", "b"]);
    assert_eq!(ids(store, ChatQuery { offset: u64::MAX, limit: u64::MAX, ..ada() }).await, [""; 0]);
}

async fn chats_are_found_by_the_words_they_have_now<S: ChatStore>(store: &S) {
    insert(
        store,
        &[chat("a", "ada", "Trams", "The sky is \"blue\".", 1), chat("b", "ada", "", "東京の電車", 2)],
    )
    .await;
    let found = async |text: &str| ids(store, ChatQuery { text: Some(text.into()), ..all("ada") }).await;

    assert_eq!(found("BLUE tram").await, ["a"]);
    assert_eq!(found("電車").await, ["b"]);
    assert_eq!(found("").await, ["b", "a"]);
    for nothing in ["lue", "blue sea", "\"", "*", "a OR b", "NEAR(", "'); --", "\0"] {
        assert_eq!(found(nothing).await, [""; 0], "{nothing}");
    }

    let body = object(json!({"title": "Buses", "history": {"messages": {"m": {"content": "green"}}}}));
    change(store, "a", ChatChange::Merge(body)).await;
    assert_eq!(found("blue").await, [""; 0]);
    assert_eq!(found("buses green").await, ["a"]);
    assert!(store.delete_chat(&owner("ada"), &id("a")).await.expect("deleted"));
    assert_eq!(found("green").await, [""; 0]);
    insert(store, &[chat("c", "ada", "", "red", 3)]).await;
    assert_eq!(found("green").await, [""; 0]);
    assert_eq!(found("red").await, ["c"]);
}

async fn changes_do_what_they_say<S: ChatStore>(store: &S) {
    store.insert_folder(&folder("f", "ada", None, 1)).await.expect("inserted");
    store.insert_folder(&folder("g", "eve", None, 1)).await.expect("inserted");
    insert(store, &[chat("a", "ada", "old", "", 1)]).await;

    let merged = change(store, "a", ChatChange::Merge(object(json!({"title": "new", "more": 1})))).await;
    assert_eq!((merged.title.as_str(), &merged.body["more"]), ("new", &json!(1)));
    assert!(merged.body.contains_key("history"), "what was not named stays");
    assert_eq!(merged.updated_at, at(99));

    assert!(change(store, "a", ChatChange::ToggleArchived).await.archived);
    assert!(!change(store, "a", ChatChange::ToggleArchived).await.archived);
    assert!(change(store, "a", ChatChange::TogglePinned).await.pinned);
    assert_eq!(change(store, "a", ChatChange::Move(Some(id("f")))).await.folder, Some(id("f")));
    assert_eq!(change(store, "a", ChatChange::Move(Some(id("g")))).await.folder, None, "not hers");
    assert_eq!(change(store, "a", ChatChange::Move(None)).await.folder, None);

    change(store, "a", ChatChange::Tag(tag("Zoo"))).await;
    change(store, "a", ChatChange::Tag(tag("ant"))).await;
    let tagged = change(store, "a", ChatChange::Tag(tag("ZOO"))).await;
    assert_eq!(tagged.tags, [tag("ant"), tag("ZOO")]);
    assert_eq!(change(store, "a", ChatChange::Untag("zoo".into())).await.tags, [tag("ant")]);
    assert_eq!(change(store, "a", ChatChange::UntagAll).await.tags, []);

    store.archive_chats(&owner("ada"), true).await.expect("archived");
    let chat = store.chat(&owner("ada"), &id("a")).await.expect("read").expect("there");
    assert!(chat.archived && chat.pinned);
    assert_eq!(chat.updated_at, at(99), "marks are no change of a chat");
}

async fn a_shared_chat_stays_as_it_was<S: ChatStore>(store: &S) {
    insert(store, &[Chat { pinned: true, tags: vec![tag("x")], ..chat("a", "ada", "first", "", 1) }]).await;
    let (share, other): (ShareId, ShareId) = (id("s"), id("t"));

    assert_eq!(change(store, "a", ChatChange::Share(share.clone())).await.share, Some(share.clone()));
    change(store, "a", ChatChange::Merge(object(json!({"title": "second"})))).await;
    let copy = store.shared_chat(&share).await.expect("read").expect("shared");
    assert_eq!((copy.title.as_str(), copy.body["title"].as_str()), ("first", Some("first")));
    assert_eq!((copy.share, copy.owner, copy.pinned), (Some(share.clone()), owner("ada"), false));
    assert_eq!((copy.tags, copy.meta), (Vec::new(), Map::new()));

    assert_eq!(change(store, "a", ChatChange::Share(other.clone())).await.share, Some(share.clone()));
    assert_eq!(store.shared_chat(&share).await.expect("read").expect("shared").title, "second");
    assert_eq!(store.shared_chat(&other).await.expect("read"), None);

    assert_eq!(change(store, "a", ChatChange::Unshare).await.share, None);
    assert_eq!(store.shared_chat(&share).await.expect("read"), None);
    change(store, "a", ChatChange::Share(other.clone())).await;
    assert!(store.delete_chat(&owner("ada"), &id("a")).await.expect("deleted"));
    assert_eq!(store.shared_chat(&other).await.expect("read"), None);
}

fn turn(chat: &str, answer: &str, text: &str) -> Turn {
    Turn {
        chat: id(chat),
        question: Some(object(json!({"content": "why?"}))),
        question_id: format!("question of {answer}"),
        is_named: false,
        parent: None,
        answer_id: answer.into(),
        model: "gpt".into(),
        at: at(50),
        reply: Reply::Said(Said { content: text.into(), done: true, ..Said::default() }),
    }
}

async fn a_turn_is_recorded_once<S: ChatStore>(store: &S) {
    insert(store, &[chat("a", "ada", "sky", "hello", 1)]).await;
    let turn = turn("a", "r", "because of marmalade");

    for _ in 0..2 {
        assert!(store.record(&turn).await.expect("recorded"));
    }

    let chat = store.chat(&owner("ada"), &id("a")).await.expect("read").expect("there");
    let messages = chat.body["history"]["messages"].as_object().expect("messages");
    assert_eq!(messages.len(), 3);
    assert_eq!(messages["r"]["content"], "because of marmalade");
    assert_eq!(chat.updated_at, at(50));
    let query = ChatQuery { text: Some("marmalade".into()), ..all("ada") };
    assert_eq!(ids(store, query).await, ["a"]);
    assert!(!store.record(&self::turn("gone", "r", "")).await.expect("asked"));
}

async fn a_chat_grows_no_further_than_it_may<S: ChatStore>(store: &S) {
    insert(store, &[chat("a", "ada", "small", "", 1)]).await;
    let much = "x".repeat(super::MOST_CHAT_BYTES);

    let merge = ChatChange::Merge(object(json!({"title": "large", "much": much})));
    let merged = store.change_chat(&owner("ada"), &id("a"), merge, at(2)).await.expect("asked");
    let recorded = store.record(&turn("a", "r", &much)).await.expect("asked");

    assert_eq!((merged, recorded), (Changed::TooLarge, false));
    let chat = store.chat(&owner("ada"), &id("a")).await.expect("read").expect("there");
    assert_eq!(chat, self::chat("a", "ada", "small", "", 1));
}

async fn folders_form_a_tree<S: ChatStore>(store: &S) {
    for made in [
        folder("a", "ada", None, 1),
        folder("b", "ada", Some("a"), 2),
        folder("c", "ada", Some("b"), 3),
        folder("e", "eve", Some("a"), 4),
    ] {
        store.insert_folder(&made).await.expect("inserted");
    }
    let ada = owner("ada");
    let moved = async |what: &str, to: Option<&str>| {
        let change = FolderChange { parent: Some(to.map(id)), ..FolderChange::default() };
        store.change_folder(&ada, &id(what), change, at(9)).await.expect("asked")
    };

    let folders = store.folders(&ada).await.expect("listed");
    assert_eq!(
        folders,
        [folder("a", "ada", None, 1), folder("b", "ada", Some("a"), 2), folder("c", "ada", Some("b"), 3)]
    );
    assert_eq!(store.folders(&owner("eve")).await.expect("listed")[0].parent, None, "not hers");
    for (what, to) in [("a", "a"), ("a", "c"), ("a", "e"), ("a", "gone"), ("gone", "a")] {
        assert_eq!(moved(what, Some(to)).await, None, "{what} into {to}");
    }
    assert_eq!(moved("c", None).await.expect("moved").parent, None);
    assert_eq!(moved("a", Some("c")).await.expect("moved").parent, Some(id("c")));

    let all = FolderChange {
        name: Some("new".into()),
        data: Some(Map::new()),
        meta: Some(object(json!({"icon": "x"}))),
        parent: None,
        expanded: Some(false),
    };
    let changed = store.change_folder(&ada, &id("b"), all, at(9)).await.expect("asked").expect("changed");
    let expected = Folder {
        name: "new".into(),
        data: Some(Map::new()),
        meta: Some(object(json!({"icon": "x"}))),
        expanded: false,
        updated_at: at(9),
        ..folder("b", "ada", Some("a"), 2)
    };
    assert_eq!(changed, expected);
    assert!(store.folders(&ada).await.expect("listed").contains(&expected));
}

async fn a_folder_goes_with_or_without_its_chats<S: ChatStore>(store: &S) {
    for made in [folder("a", "ada", None, 1), folder("b", "ada", Some("a"), 2), folder("c", "ada", None, 3)] {
        store.insert_folder(&made).await.expect("inserted");
    }
    let inside =
        |id: &str, folder: &str| Chat { folder: Some(self::id(folder)), ..chat(id, "ada", "", "", 1) };
    insert(store, &[inside("x", "b"), inside("y", "c"), chat("z", "ada", "", "", 1)]).await;
    let ada = owner("ada");

    assert!(store.delete_folder(&ada, &id("a"), true).await.expect("deleted"));
    assert!(store.delete_folder(&ada, &id("c"), false).await.expect("deleted"));

    assert_eq!(store.folders(&ada).await.expect("listed"), []);
    assert_eq!(ids(store, ChatQuery { folder: InFolder::None, ..all("ada") }).await, ["y", "z"]);
}

async fn who_departs_leaves_nothing<S: ChatStore>(store: &S) {
    let ada = owner("ada");
    store.insert_folder(&folder("f", "ada", None, 1)).await.expect("inserted");
    insert(
        store,
        &[Chat { folder: Some(id("f")), ..chat("a", "ada", "", "", 1) }, chat("e", "eve", "", "", 1)],
    )
    .await;
    change(store, "a", ChatChange::Share(id("s"))).await;

    for _ in 0..2 {
        store.depart_from_chats(&ada, None).await.expect("departed");
    }

    assert_eq!(ids(store, all("ada")).await, [""; 0]);
    assert_eq!(store.folders(&ada).await.expect("listed"), []);
    assert_eq!(store.shared_chat(&id("s")).await.expect("asked"), None);
    assert!(!store.record(&turn("a", "r", "late")).await.expect("asked"));
    assert_eq!(ids(store, all("eve")).await, ["e"]);
    let late = store.insert_chats(&[chat("b", "ada", "", "", 2)]).await;
    assert!(matches!(late, Err(StoreError::Departed(_))), "{late:?}");
    let late = store.insert_folder(&folder("g", "ada", None, 2)).await;
    assert!(matches!(late, Err(StoreError::Departed(_))), "{late:?}");
    let unwilling = store.depart_from_chats(&owner("eve"), Some(&ada)).await;
    assert!(matches!(unwilling, Err(StoreError::Departed(_))), "{unwilling:?}");
}

async fn an_heir_gets_everything<S: ChatStore>(store: &S) {
    let (ada, eve) = (owner("ada"), owner("eve"));
    store.insert_folder(&folder("f", "ada", None, 1)).await.expect("inserted");
    let tags = vec![tag("x")];
    insert(store, &[Chat { folder: Some(id("f")), tags, ..chat("a", "ada", "sky", "", 1) }]).await;

    store.depart_from_chats(&ada, Some(&eve)).await.expect("departed");

    assert!(
        store.record(&turn("a", "r", "late")).await.expect("recorded"),
        "an answer under way still comes"
    );
    assert_eq!(ids(store, all("ada")).await, [""; 0]);
    let text = Some("sky".into());
    let query = ChatQuery { folder: InFolder::This(id("f")), tag: Some("x".into()), text, ..all("eve") };
    assert_eq!(ids(store, query).await, ["a"]);
    assert_eq!(store.folders(&eve).await.expect("listed").len(), 1);
}
