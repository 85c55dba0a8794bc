use breezeway_core::{ApiKeyId, Credential, KeyRules, Role};
use breezeway_registry::UpstreamError;
use breezeway_wire::Frame;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    writing::{ATTEMPTS, PAUSE},
    *,
};
use crate::{Answer, Error, history::MemoryChats};

#[tokio::test]
async fn chats_in_memory_keep_the_contract() {
    crate::history::conformance::chat_store(async || MemoryChats::default()).await;
}

fn principal(rules: Option<KeyRules>) -> Principal {
    Principal {
        user: "ada".parse().unwrap(),
        role: Role::User,
        name: "Ada".into(),
        email: "ada@example.org".into(),
        groups: [].into(),
        credential: Credential::ApiKey(ApiKeyId::mint()),
        rules: rules.map(Arc::new),
    }
}

/// Saved chats with one that is empty, and its id.
async fn saved(store: impl ChatStore) -> (SavedChats, ChatId) {
    let saved = SavedChats::new(Arc::new(store), Clock::fixed(UnixTime::from_seconds(7)));
    let chat = saved.create(&principal(None), NewChat::default()).await.unwrap();
    (saved, chat.id)
}

fn request() -> Map<String, Value> {
    let body = json!({"model": "gpt", "id": "r", "messages": [{"role": "user", "content": "why?"}]});
    body.as_object().unwrap().clone()
}

async fn begun(saved: &SavedChats, chat: &ChatId) -> Draft {
    saved.begin(&principal(None), chat.as_str(), &request()).await.unwrap()
}

/// The answer as it is kept now.
async fn kept(saved: &SavedChats, chat: &ChatId) -> Value {
    let chat = saved.chat(&principal(None), chat).await.unwrap();
    let answer = &chat.body["history"]["messages"]["r"];
    json!([answer["content"], answer["done"], answer["error"]["content"]])
}

fn delta(text: &str) -> Result<Frame, UpstreamError> {
    Ok(Frame::json(&json!({"choices": [{"delta": {"content": text}}]})))
}

#[tokio::test]
async fn what_was_answered_is_kept_however_it_ended() {
    let (saved, chat) = saved(MemoryChats::default()).await;
    let check = async |frames: Vec<Result<Frame, UpstreamError>>, taken: usize, expected: Value| {
        let answer = Answer::Stream(Box::pin(stream::iter(frames)));
        let Answer::Stream(frames) = begun(&saved, &chat).await.watch(answer) else { panic!("a stream") };
        frames.take(taken).collect::<Vec<_>>().await;
        assert_eq!(kept(&saved, &chat).await, expected);
    };
    let broken = || Err(UpstreamError::Broken("cable".into()));

    check(vec![delta("so"), delta("!"), Ok(Frame::done())], 9, json!(["so!", true, null])).await;
    check(vec![delta("so"), delta("!")], 9, json!(["so!", true, null])).await;
    check(vec![delta("so"), delta("!")], 1, json!(["so", false, null])).await;
    check(vec![delta("so")], 0, json!(["", false, null])).await;
    check(vec![delta("so"), broken()], 9, json!(["so", true, "the upstream broke off: cable"])).await;

    let whole = json!({"choices": [{"message": {"content": "whole"}}]}).to_string();
    begun(&saved, &chat).await.watch(Answer::Whole(whole.into()));
    assert_eq!(kept(&saved, &chat).await, json!(["whole", true, null]));
    begun(&saved, &chat).await.refuse(&Error::NoSuchModel);
    assert_eq!(kept(&saved, &chat).await, json!(["whole", true, null]), "a refused request is none");
    begun(&saved, &chat).await.refuse(&Error::Upstream(UpstreamError::Unsupported("chat")));
    assert_eq!(kept(&saved, &chat).await, json!(["", true, "the upstream has no chat"]));
    drop(begun(&saved, &chat).await);
    assert_eq!(kept(&saved, &chat).await, json!(["", false, null]));
}

#[tokio::test]
async fn an_answer_can_be_read_as_soon_as_its_end_mark_is_out() {
    let (saved, chat) = saved(MemoryChats::default()).await;
    let answer = Answer::Stream(Box::pin(stream::iter([delta("so"), Ok(Frame::done())])));
    let Answer::Stream(mut frames) = begun(&saved, &chat).await.watch(answer) else { panic!("a stream") };

    while !frames.next().await.unwrap().unwrap().is_done() {}

    assert_eq!(kept(&saved, &chat).await, json!(["so", true, null]));
}

#[tokio::test]
async fn turns_are_refused_where_there_is_no_room_for_their_answers() {
    let (saved, chat) = saved(MemoryChats::default()).await;
    let mut drafts = Vec::new();
    for _ in 0..MOST_TURNS {
        drafts.push(begun(&saved, &chat).await);
    }

    let refused = saved.begin(&principal(None), chat.as_str(), &request()).await;
    assert!(matches!(refused, Err(SavedError::Busy)));

    drafts.pop();
    let refused = saved.begin(&principal(None), chat.as_str(), &request()).await;
    assert!(matches!(refused, Err(SavedError::Busy)), "it waits to be written");
    saved.flush().await.unwrap();
    assert!(saved.begin(&principal(None), chat.as_str(), &request()).await.is_ok());
}

#[tokio::test]
async fn keys_that_know_certain_collections_or_change_nothing_write_no_chats() {
    let (saved, chat) = saved(MemoryChats::default()).await;
    let begin = async |rules: KeyRules| saved.begin(&principal(Some(rules)), chat.as_str(), &request()).await;

    let narrow = KeyRules { collections: Some(Vec::new()), ..KeyRules::default() };
    assert!(matches!(begin(narrow.clone()).await, Err(SavedError::KeyNarrowed)));
    assert!(matches!(saved.chat(&principal(Some(narrow)), &chat).await, Err(SavedError::KeyNarrowed)));
    let silent = KeyRules { read_only: true, ..KeyRules::default() };
    assert!(matches!(begin(silent.clone()).await, Err(SavedError::ReadOnlyKey)));
    assert!(saved.chat(&principal(Some(silent)), &chat).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_is_written_later() {
    let store = MemoryChats::default();
    store.refuse_next(20, || StoreError::Overloaded);
    let (saved, chat) = saved(store).await;
    drop(begun(&saved, &chat).await);
    assert!(saved.flush().await.is_err());

    let written = async {
        while !saved.waiting().is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = saved.run() => {}
        () = written => {}
    }

    assert_eq!(kept(&saved, &chat).await, json!(["", false, null]));
}

#[tokio::test]
async fn a_turn_that_can_never_be_written_stands_in_nobodys_way() {
    let store = MemoryChats::default();
    store.refuse_next(ATTEMPTS, || StoreError::failed("record", "no"));
    let (saved, chat) = saved(store).await;
    drop(begun(&saved, &chat).await);
    let whole = json!({"choices": [{"message": {"content": "second"}}]}).to_string();
    begun(&saved, &chat).await.watch(Answer::Whole(whole.into()));

    for _ in 1..ATTEMPTS {
        assert!(saved.flush().await.is_err());
    }
    saved.flush().await.unwrap();

    assert_eq!(kept(&saved, &chat).await, json!(["second", true, null]));
}
