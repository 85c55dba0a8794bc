use std::{collections::BTreeSet, future, sync::mpsc};

use breezeway_auth::{Account, AccountStore, ApiKeyRecord, Group, KeyHash, PasswordHash, SealedKey};
use breezeway_core::{
    ApiKeyId, Classify, ErrorKind, GroupId, KeyRules, Lane, LaneConfig, Role, SettingsStore, StoreError,
    UnixTime, UserId,
};
use breezeway_store::{Store, StoreConfig};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::support::{TempStore, at, lane, open};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn account(name: &str) -> Account {
    Account {
        id: UserId::mint(),
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        role: Role::User,
        profile_image_url: "/user.png".to_owned(),
        profile: object(json!({ "bio": "likes trams", "z": 1, "a": [null, 2.5] })),
        password: PasswordHash("$argon2id$…".to_owned()),
        session_stamp: "stamp".to_owned(),
        last_active_at: at(1),
        created_at: at(1),
        updated_at: at(1),
    }
}

fn key(owner: &UserId, number: u8) -> ApiKeyRecord {
    ApiKeyRecord {
        id: ApiKeyId::mint(),
        owner: owner.clone(),
        name: None,
        hash: KeyHash([number; 32]),
        sealed: Some(SealedKey(vec![number, 0, 255])),
        ending: "beef".to_owned(),
        rules: KeyRules::default(),
        expires_at: None,
        created_at: at(i64::from(number)),
        last_used_at: None,
    }
}

fn group(members: impl IntoIterator<Item = UserId>) -> Group {
    Group {
        id: GroupId::mint(),
        owner: UserId::mint(),
        name: "drivers".to_owned(),
        description: String::new(),
        permissions: Some(json!({ "workspace": { "knowledge": true } })),
        data: None,
        meta: Some(object(json!({ "colour": "red" }))),
        members: members.into_iter().collect(),
        created_at: at(1),
        updated_at: at(2),
    }
}

/// `Account` is not comparable, because it holds a password hash; its `Debug` hides that alone.
fn same(left: &Account, right: &Account) -> bool {
    format!("{left:?}") == format!("{right:?}") && left.password == right.password
}

async fn accounts(store: &Store) -> Vec<Account> {
    store.accounts().await.expect("read")
}

#[tokio::test]
async fn an_account_reads_back_as_inserted_and_as_saved() {
    let temp = TempStore::new().await;
    let mut ada = account("ada");

    assert!(temp.store.insert_account(&ada, false).await.expect("inserted"));
    assert!(same(&accounts(&temp.store).await[0], &ada));
    ada.role = Role::Admin;
    ada.profile = object(json!({}));
    ada.session_stamp = "another".to_owned();
    ada.last_active_at = at(9);
    temp.store.save_account(&ada).await.expect("saved");

    assert!(same(&accounts(&temp.store).await[0], &ada));
}

#[tokio::test]
async fn only_one_of_many_simultaneous_first_accounts_is_the_first() {
    let temp = TempStore::new().await;
    let strangers: Vec<_> = (0..8).map(|number| account(&format!("stranger{number}"))).collect();

    let mut tasks = tokio::task::JoinSet::new();
    for stranger in strangers {
        let store = temp.store.clone();
        tasks.spawn(async move { store.insert_account(&stranger, true).await.expect("asked") });
    }
    let inserted = tasks.join_all().await.into_iter().filter(|inserted| *inserted).count();

    assert_eq!(inserted, 1);
    assert_eq!(accounts(&temp.store).await.len(), 1);
}

#[tokio::test]
async fn a_second_account_with_an_address_is_refused_and_changes_nothing() {
    let temp = TempStore::new().await;
    let (ada, mut eve) = (account("ada"), account("eve"));
    temp.store.insert_account(&ada, false).await.expect("inserted");
    temp.store.insert_account(&eve, false).await.expect("inserted");

    let inserted = temp.store.insert_account(&Account { id: UserId::mint(), ..ada.clone() }, false).await;
    eve.email.clone_from(&ada.email);
    eve.name = "mallory".to_owned();
    let saved = temp.store.save_account(&eve).await;

    assert!(matches!(inserted, Err(StoreError::Taken("email"))), "{inserted:?}");
    assert!(matches!(saved, Err(StoreError::Taken("email"))), "{saved:?}");
    let stored = accounts(&temp.store).await;
    assert!(stored.len() == 2 && stored.iter().any(|account| account.name == "eve"));
}

#[tokio::test]
async fn deleting_an_account_takes_its_keys_and_memberships_along() {
    let temp = TempStore::new().await;
    let (ada, eve) = (account("ada"), account("eve"));
    for account in [&ada, &eve] {
        temp.store.insert_account(account, false).await.expect("inserted");
    }
    temp.store.replace_api_key(&ada.id, Some(&key(&ada.id, 1))).await.expect("written");
    let eves = key(&eve.id, 2);
    temp.store.replace_api_key(&eve.id, Some(&eves)).await.expect("written");
    temp.store.save_group(&group([ada.id.clone(), eve.id.clone()])).await.expect("saved");

    temp.store.delete_account(&ada.id).await.expect("deleted");
    temp.store.delete_account(&ada.id).await.expect("deleting what is not there is no error");

    assert_eq!(temp.store.api_keys().await.expect("read"), [eves]);
    assert_eq!(temp.store.groups().await.expect("read")[0].members, BTreeSet::from([eve.id]));
    assert_eq!(temp.store.check().await.expect("checked"), [""; 0]);
}

#[tokio::test]
async fn an_account_has_one_key_or_none() {
    let temp = TempStore::new().await;
    let ada = account("ada");
    temp.store.insert_account(&ada, false).await.expect("inserted");

    temp.store.replace_api_key(&ada.id, Some(&key(&ada.id, 1))).await.expect("written");
    let second = key(&ada.id, 2);
    temp.store.replace_api_key(&ada.id, Some(&second)).await.expect("written");
    assert_eq!(temp.store.api_keys().await.expect("read"), [second]);
    temp.store.replace_api_key(&ada.id, None).await.expect("written");

    assert_eq!(temp.store.api_keys().await.expect("read"), []);
}

#[tokio::test]
async fn uses_are_noted_and_the_latest_counts() {
    let temp = TempStore::new().await;
    let ada = account("ada");
    temp.store.insert_account(&ada, false).await.expect("inserted");
    let adas = key(&ada.id, 1);
    temp.store.replace_api_key(&ada.id, Some(&adas)).await.expect("written");
    let (gone, gone_key) = (UserId::mint(), ApiKeyId::mint());

    temp.store
        .touch(&[(ada.id.clone(), at(30)), (gone, at(1))], &[(adas.id.clone(), at(31)), (gone_key, at(1))])
        .await
        .expect("those that are gone are passed over");
    temp.store.touch(&[(ada.id.clone(), at(20))], &[(adas.id, at(20))]).await.expect("noted");

    assert_eq!(accounts(&temp.store).await[0].last_active_at, at(30));
    assert_eq!(temp.store.api_keys().await.expect("read")[0].last_used_at, Some(at(31)));
}

#[tokio::test]
async fn a_group_is_replaced_whole() {
    let temp = TempStore::new().await;
    let mut drivers = group([UserId::mint(), UserId::mint()]);

    temp.store.save_group(&drivers).await.expect("saved");
    assert_eq!(temp.store.groups().await.expect("read"), [drivers.clone()]);
    drivers.members = BTreeSet::from([UserId::mint()]);
    drivers.permissions = None;
    drivers.data = Some(Map::new());
    temp.store.save_group(&drivers).await.expect("saved");
    assert_eq!(temp.store.groups().await.expect("read"), [drivers.clone()]);
    temp.store.delete_group(&drivers.id).await.expect("deleted");
    temp.store.delete_group(&drivers.id).await.expect("deleting what is not there is no error");

    assert_eq!(temp.store.groups().await.expect("read"), []);
    assert_eq!(temp.store.check().await.expect("checked"), [""; 0]);
}

#[tokio::test]
async fn a_setting_reads_back_exactly_as_written_last() {
    let temp = TempStore::new().await;
    let text = "{\"a\": 1}\r\n\0 'quoted' 日本";

    assert_eq!(temp.store.setting("auth").await.expect("read"), None);
    temp.store.put_setting("auth", "first").await.expect("written");
    temp.store.put_setting("auth", text).await.expect("written");

    assert_eq!(temp.store.setting("auth").await.expect("read").as_deref(), Some(text));
    assert_eq!(temp.store.setting("Auth").await.expect("read"), None, "names are exact");
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let temp = TempStore::new().await;
    let ada = account("ada");
    temp.store.insert_account(&ada, true).await.expect("inserted");
    temp.store.put_setting("auth", "text").await.expect("written");
    let path = temp.path();
    let _folder = temp.close();

    let store = open(&path).await;

    assert!(same(&accounts(&store).await[0], &ada));
    assert_eq!(store.setting("auth").await.expect("read").as_deref(), Some("text"));
    store.ping().await.expect("it answers");
}

#[tokio::test]
async fn a_full_lane_is_an_overloaded_store_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = Lane::new("write", LaneConfig { threads: 1, queue: 1 });
    let store = Store::open(StoreConfig::at(folder.path().join("a.db")), write.clone(), lane("read", 1))
        .await
        .expect("opened");
    let (release, held) = mpsc::channel::<()>();
    let (started, has_started) = oneshot::channel();
    let busy = write.run(move || {
        started.send(()).expect("the test waits");
        held.recv().expect("the test releases");
    });
    let waiting = write.run(|| ());
    tokio::pin!(busy, waiting);
    tokio::select! { biased; _ = &mut busy => unreachable!("it is held"), _ = has_started => {} }
    tokio::select! { biased; _ = &mut waiting => unreachable!("it waits"), () = future::ready(()) => {} }

    let refused = store.put_setting("name", "text").await.expect_err("refused");

    assert!(matches!(refused, StoreError::Overloaded));
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    store.ping().await.expect("reading has a lane of its own");
    release.send(()).expect("the lane waits");
    assert_eq!((busy.await, waiting.await), (Ok(()), Ok(())));
}

#[tokio::test]
async fn times_before_1970_and_far_ahead_are_times() {
    let temp = TempStore::new().await;
    let ada = Account {
        created_at: UnixTime::from_seconds(i64::MIN),
        updated_at: UnixTime::from_seconds(i64::MAX),
        ..account("ada")
    };

    temp.store.insert_account(&ada, false).await.expect("inserted");

    assert!(same(&accounts(&temp.store).await[0], &ada));
}
