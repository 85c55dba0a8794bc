//! The contract of the port, sentence by sentence.
//!
//! An implementation runs [`account_store`] in a test of its own, with a function that makes a fresh,
//! empty store for each check.

mod audit;

use std::collections::BTreeSet;

use breezeway_core::{
    Amount, ApiKeyId, Budget, GroupId, KeyRules, Limits, Period, Role, StoreError, UnixTime, UserId,
};
use serde_json::json;

use crate::{
    Account, AccountStore, ApiKeyRecord, ExternalIdentity, Group, KeyHash, PasswordHash, Removal, SealedKey,
};

pub use self::audit::audit_store;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const LATER: UnixTime = UnixTime::from_seconds(1_700_000_060);

/// Check everything that [`AccountStore`] promises.
///
/// # Panics
/// If a promise is not kept.
pub async fn account_store<S: AccountStore>(fresh: impl AsyncFn() -> S) {
    a_fresh_store_is_empty(&fresh().await).await;
    an_account_reads_back_as_inserted(&fresh().await).await;
    only_the_first_is_inserted_if_that_is_asked(&fresh().await).await;
    of_simultaneous_first_accounts_one_wins(&fresh().await).await;
    an_address_belongs_to_one_account(&fresh().await).await;
    saving_writes_every_field(&fresh().await).await;
    deleting_an_account_takes_its_key_and_memberships(&fresh().await).await;
    a_removal_begins_with_its_account_and_ends_with_it(&fresh().await).await;
    a_key_replaces_the_one_before(&fresh().await).await;
    named_keys_stand_beside_the_unnamed_one(&fresh().await).await;
    a_named_key_is_changed_and_deleted(&fresh().await).await;
    keys_are_listed_in_the_order_they_were_made(&fresh().await).await;
    keys_are_sealed_anew(&fresh().await).await;
    uses_are_noted_and_strangers_ignored(&fresh().await).await;
    an_identity_comes_with_its_account_and_goes_with_it(&fresh().await).await;
    an_identity_belongs_to_whom_it_was_linked_last(&fresh().await).await;
    a_group_reads_back_as_saved(&fresh().await).await;
    saving_a_group_again_replaces_its_members(&fresh().await).await;
}

fn account(name: &str) -> Account {
    Account {
        id: UserId::mint(),
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        role: Role::User,
        profile_image_url: "/user.png".into(),
        profile: serde_json::Map::new(),
        password: PasswordHash("$argon2id$x".into()),
        session_stamp: format!("stamp of {name}"),
        last_active_at: NOW,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn key(owner: &UserId, byte: u8) -> ApiKeyRecord {
    ApiKeyRecord {
        id: ApiKeyId::mint(),
        owner: owner.clone(),
        name: None,
        hash: KeyHash([byte; 32]),
        sealed: Some(SealedKey(vec![0, byte, 255])),
        ending: "beef".into(),
        rules: KeyRules::default(),
        expires_at: None,
        created_at: NOW,
        last_used_at: None,
    }
}

/// A named key with every rule there is.
fn named(owner: &UserId, byte: u8, name: &str) -> ApiKeyRecord {
    let budget = Budget { amount: Amount::MicroUnits(2_500_000), period: Period::Month };
    let limits =
        Limits { requests_per_minute: Some(60), tokens_per_minute: Some(u32::MAX), budget: Some(budget) };
    ApiKeyRecord {
        name: Some(name.to_owned()),
        sealed: None,
        rules: KeyRules {
            endpoints: Some(vec!["/api/models".into()]),
            models: Some(vec!["llama3.2:latest".into(), "zoë \" '".into()]),
            collections: Some(Vec::new()),
            read_only: true,
            limits,
        },
        expires_at: Some(LATER),
        ..key(owner, byte)
    }
}

fn group(owner: &UserId, members: &[&UserId]) -> Group {
    Group {
        id: GroupId::mint(),
        owner: owner.clone(),
        name: "Readers".into(),
        description: "Who reads".into(),
        permissions: None,
        data: None,
        meta: None,
        members: members.iter().map(|&member| member.clone()).collect(),
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn inserted<S: AccountStore>(store: &S, name: &str) -> Account {
    let account = account(name);
    assert!(store.insert_account(&account, false).await.expect("the address is free"));
    account
}

/// Accounts have no equality of their own, since nothing but these checks would ask for it.
fn assert_same(found: &Account, expected: &Account) {
    assert_eq!(found.id, expected.id);
    assert_eq!(found.email, expected.email);
    assert_eq!(found.name, expected.name);
    assert_eq!(found.role, expected.role);
    assert_eq!(found.profile_image_url, expected.profile_image_url);
    assert_eq!(found.profile, expected.profile);
    assert!(found.password == expected.password, "the password hash reads back");
    assert_eq!(found.session_stamp, expected.session_stamp);
    assert_eq!(found.last_active_at, expected.last_active_at);
    assert_eq!(found.created_at, expected.created_at);
    assert_eq!(found.updated_at, expected.updated_at);
}

async fn a_fresh_store_is_empty<S: AccountStore>(store: &S) {
    assert!(store.accounts().await.expect("readable").is_empty());
    assert!(store.api_keys().await.expect("readable").is_empty());
    assert!(store.groups().await.expect("readable").is_empty());
}

async fn an_account_reads_back_as_inserted<S: AccountStore>(store: &S) {
    let mut account = account("zoë 'o''neil\" \u{1F30A}");
    account.role = Role::Pending;
    account.profile =
        json!({"bio": "héllo\u{0}", "status": {"emoji": null}}).as_object().expect("an object").clone();

    assert!(store.insert_account(&account, false).await.expect("the address is free"));

    let found = store.accounts().await.expect("readable");
    assert_eq!(found.len(), 1);
    assert_same(&found[0], &account);
}

async fn only_the_first_is_inserted_if_that_is_asked<S: AccountStore>(store: &S) {
    assert!(store.insert_account(&account("first"), true).await.expect("inserted"));
    assert!(!store.insert_account(&account("second"), true).await.expect("answered"));
    assert!(store.insert_account(&account("third"), false).await.expect("inserted"));

    let mut names: Vec<_> =
        store.accounts().await.expect("readable").into_iter().map(|found| found.name).collect();
    names.sort();
    assert_eq!(names, ["first", "third"]);
}

async fn of_simultaneous_first_accounts_one_wins<S: AccountStore>(store: &S) {
    let [one, two, three, four] = ["one", "two", "three", "four"].map(account);

    let answers = tokio::join!(
        store.insert_account(&one, true),
        store.insert_account(&two, true),
        store.insert_account(&three, true),
        store.insert_account(&four, true),
    );

    let answers = [answers.0, answers.1, answers.2, answers.3].map(|answer| answer.expect("answered"));
    assert_eq!(answers.iter().filter(|&&won| won).count(), 1);
    assert_eq!(store.accounts().await.expect("readable").len(), 1);
}

async fn an_address_belongs_to_one_account<S: AccountStore>(store: &S) {
    let (ada, bob) = (inserted(store, "ada").await, inserted(store, "bob").await);

    let second = store.insert_account(&account("ada"), false).await;
    let renamed = store.save_account(&Account { email: ada.email.clone(), ..bob.clone() }).await;
    let unchanged = store.save_account(&ada).await;

    assert!(matches!(second, Err(StoreError::Taken("email"))), "{second:?}");
    assert!(matches!(renamed, Err(StoreError::Taken("email"))), "{renamed:?}");
    assert!(unchanged.is_ok());
    let found = store.accounts().await.expect("readable");
    assert_same(found.iter().find(|found| found.id == bob.id).expect("bob is there"), &bob);
}

async fn saving_writes_every_field<S: AccountStore>(store: &S) {
    let before = inserted(store, "ada").await;
    let other = inserted(store, "bob").await;
    let after = Account {
        id: before.id.clone(),
        email: "lovelace@example.org".into(),
        name: "Lovelace".into(),
        role: Role::Admin,
        profile_image_url: "/ada.png".into(),
        profile: json!({"gender": "female"}).as_object().expect("an object").clone(),
        password: PasswordHash("$argon2id$y".into()),
        session_stamp: "another".into(),
        last_active_at: LATER,
        created_at: LATER,
        updated_at: LATER,
    };

    store.save_account(&after).await.expect("saved");

    let found = store.accounts().await.expect("readable");
    assert_eq!(found.len(), 2);
    assert_same(found.iter().find(|found| found.id == after.id).expect("ada is there"), &after);
    assert_same(found.iter().find(|found| found.id == other.id).expect("bob is there"), &other);
}

async fn deleting_an_account_takes_its_key_and_memberships<S: AccountStore>(store: &S) {
    let (ada, bob) = (inserted(store, "ada").await, inserted(store, "bob").await);
    let (ada_key, bob_key) = (key(&ada.id, 1), key(&bob.id, 2));
    store.replace_api_key(&ada.id, Some(&ada_key)).await.expect("saved");
    store.replace_api_key(&bob.id, Some(&bob_key)).await.expect("saved");
    let readers = group(&bob.id, &[&ada.id, &bob.id]);
    store.save_group(&readers).await.expect("saved");

    store.delete_account(&ada.id).await.expect("deleted");
    store.delete_account(&ada.id).await.expect("deleting again is no error");

    assert_eq!(store.accounts().await.expect("readable").len(), 1);
    assert_eq!(store.api_keys().await.expect("readable"), [bob_key]);
    assert_eq!(store.groups().await.expect("readable")[0].members, BTreeSet::from([bob.id.clone()]));
    assert!(store.insert_account(&account("ada"), false).await.expect("the address is free again"));
}

async fn a_removal_begins_with_its_account_and_ends_with_it<S: AccountStore>(store: &S) {
    let (ada, bob) = (inserted(store, "ada").await, inserted(store, "bob").await);
    let stopped = Account { role: Role::Pending, session_stamp: "other".into(), ..ada.clone() };
    let removal = Removal { account: ada.id.clone(), heir: Some(bob.id.clone()), by: bob.id.clone() };
    assert_eq!(store.removals().await.expect("readable"), []);

    store.begin_removal(&stopped, &removal).await.expect("begun");
    assert_eq!(store.removals().await.expect("readable"), std::slice::from_ref(&removal));
    let accounts = store.accounts().await.expect("readable");
    assert_same(accounts.iter().find(|found| found.id == ada.id).expect("ada is there"), &stopped);

    let removal = Removal { heir: None, ..removal };
    store.begin_removal(&stopped, &removal).await.expect("begun again");
    assert_eq!(store.removals().await.expect("readable"), [removal]);

    store.delete_account(&ada.id).await.expect("deleted");
    assert_eq!(store.removals().await.expect("readable"), []);
}

async fn a_key_replaces_the_one_before<S: AccountStore>(store: &S) {
    let ada = inserted(store, "ada").await;
    let (first, second) = (key(&ada.id, 1), key(&ada.id, 2));

    store.replace_api_key(&ada.id, Some(&first)).await.expect("saved");
    assert_eq!(store.api_keys().await.expect("readable"), [first]);
    store.replace_api_key(&ada.id, Some(&second)).await.expect("saved");
    assert_eq!(store.api_keys().await.expect("readable"), [second]);
    store.replace_api_key(&ada.id, None).await.expect("deleted");
    assert_eq!(store.api_keys().await.expect("readable"), []);
    store.replace_api_key(&ada.id, None).await.expect("deleting again is no error");
}

async fn named_keys_stand_beside_the_unnamed_one<S: AccountStore>(store: &S) {
    let ada = inserted(store, "ada").await;
    let (first, second) = (named(&ada.id, 1, "ci"), named(&ada.id, 2, "ci"));
    let unnamed = key(&ada.id, 3);

    store.insert_api_key(&first).await.expect("inserted");
    store.replace_api_key(&ada.id, Some(&unnamed)).await.expect("saved");
    store.insert_api_key(&second).await.expect("a name may be given twice");
    store.replace_api_key(&ada.id, None).await.expect("deleted");

    let found = store.api_keys().await.expect("readable");
    assert_eq!(found.len(), 2);
    assert!(found.contains(&first) && found.contains(&second), "{found:?}");
    store.delete_account(&ada.id).await.expect("deleted");
    assert_eq!(store.api_keys().await.expect("readable"), []);
}

async fn a_named_key_is_changed_and_deleted<S: AccountStore>(store: &S) {
    let ada = inserted(store, "ada").await;
    let (before, other) = (named(&ada.id, 1, "ci"), named(&ada.id, 2, "laptop"));
    store.insert_api_key(&before).await.expect("inserted");
    store.insert_api_key(&other).await.expect("inserted");

    let budget = Budget { amount: Amount::Tokens(u64::from(u32::MAX) + 1), period: Period::Day };
    let limits = Limits { budget: Some(budget), ..Limits::default() };
    let after = ApiKeyRecord {
        name: Some("build".into()),
        rules: KeyRules { limits, ..KeyRules::default() },
        expires_at: None,
        ..before
    };
    assert!(store.update_api_key(&after).await.expect("saved"));
    assert!(!store.update_api_key(&named(&ada.id, 3, "unknown")).await.expect("answered"));
    assert!(store.delete_api_key(&other.id).await.expect("deleted"));
    assert!(!store.delete_api_key(&other.id).await.expect("answered"));

    assert_eq!(store.api_keys().await.expect("readable"), [after]);
}

async fn keys_are_listed_in_the_order_they_were_made<S: AccountStore>(store: &S) {
    let (ada, bob) = (inserted(store, "ada").await, inserted(store, "bob").await);
    let mut keys = Vec::new();
    for (byte, owner) in [(3, &ada), (2, &bob), (1, &ada)] {
        let made = UnixTime::from_seconds(NOW.seconds() + i64::from(byte));
        let key = ApiKeyRecord { created_at: made, ..named(&owner.id, byte, "key") };
        store.insert_api_key(&key).await.expect("inserted");
        keys.push(key);
    }
    let [third, second, first] = <[_; 3]>::try_from(keys).expect("three were made");

    let list = async |owner, offset, limit| store.api_keys_of(owner, offset, limit).await.expect("readable");

    assert_eq!(list(None, 0, 10).await, [first.clone(), second.clone(), third.clone()]);
    assert_eq!(list(None, 1, 1).await, [second]);
    assert_eq!(list(Some(&ada.id), 0, 10).await, [first, third.clone()]);
    assert_eq!(list(Some(&ada.id), 1, u64::MAX).await, [third]);
    assert_eq!(list(Some(&UserId::mint()), 0, 10).await, []);
}

async fn keys_are_sealed_anew<S: AccountStore>(store: &S) {
    let ada = inserted(store, "ada").await;
    let key = key(&ada.id, 1);
    store.replace_api_key(&ada.id, Some(&key)).await.expect("saved");

    let sealed = ApiKeyRecord { sealed: Some(SealedKey(vec![7])), ending: "cafe".into(), ..key };
    let unknown = ApiKeyRecord { id: ApiKeyId::mint(), ..sealed.clone() };
    store.reseal_api_keys(&[sealed.clone(), unknown]).await.expect("saved");

    assert_eq!(store.api_keys().await.expect("readable"), [sealed]);
}

async fn uses_are_noted_and_strangers_ignored<S: AccountStore>(store: &S) {
    let (ada, bob) = (inserted(store, "ada").await, inserted(store, "bob").await);
    let key = key(&ada.id, 1);
    store.replace_api_key(&ada.id, Some(&key)).await.expect("saved");

    store
        .touch(
            &[(ada.id.clone(), LATER), (UserId::mint(), LATER)],
            &[(key.id.clone(), LATER), (ApiKeyId::mint(), LATER)],
        )
        .await
        .expect("noted");
    store.touch(&[], &[]).await.expect("nothing to note is no error");

    let found = store.accounts().await.expect("readable");
    assert_eq!(found.len(), 2);
    assert_same(
        found.iter().find(|found| found.id == ada.id).expect("ada is there"),
        &Account { last_active_at: LATER, ..ada },
    );
    assert_same(found.iter().find(|found| found.id == bob.id).expect("bob is there"), &bob);
    assert_eq!(
        store.api_keys().await.expect("readable"),
        [ApiKeyRecord { last_used_at: Some(LATER), ..key }]
    );
}

fn identity(owner: &UserId, subject: &str) -> ExternalIdentity {
    ExternalIdentity {
        provider: "oidc".into(),
        subject: subject.to_owned(),
        owner: owner.clone(),
        linked_at: NOW,
    }
}

async fn an_identity_comes_with_its_account_and_goes_with_it<S: AccountStore>(store: &S) {
    let (ada, bob, eve) = (account("ada"), account("bob"), account("ada"));
    let [ada_identity, bob_identity, eve_identity] =
        [(&ada, "1"), (&bob, "2"), (&eve, "3")].map(|(account, subject)| identity(&account.id, subject));

    assert!(store.insert_external_account(&ada, &ada_identity, true).await.expect("inserted"));
    assert!(!store.insert_external_account(&bob, &bob_identity, true).await.expect("answered"));
    let second = store.insert_external_account(&eve, &eve_identity, false).await;
    assert!(matches!(second, Err(StoreError::Taken("email"))), "{second:?}");
    assert_eq!(store.identities().await.expect("readable"), std::slice::from_ref(&ada_identity));
    assert!(store.insert_external_account(&bob, &bob_identity, false).await.expect("inserted"));

    store.delete_account(&ada.id).await.expect("deleted");

    assert_eq!(store.identities().await.expect("readable"), [bob_identity]);
}

async fn an_identity_belongs_to_whom_it_was_linked_last<S: AccountStore>(store: &S) {
    let (ada, bob) = (inserted(store, "ada").await, inserted(store, "bob").await);
    let elsewhere = ExternalIdentity { provider: "other".into(), ..identity(&ada.id, "1") };
    store.link_identity(&identity(&ada.id, "1")).await.expect("linked");
    store.link_identity(&elsewhere).await.expect("linked");

    store.link_identity(&identity(&bob.id, "1")).await.expect("linked");

    let mut found = store.identities().await.expect("readable");
    found.sort_by(|one, other| one.provider.cmp(&other.provider));
    assert_eq!(found, [identity(&bob.id, "1"), elsewhere]);
}

async fn a_group_reads_back_as_saved<S: AccountStore>(store: &S) {
    let ada = inserted(store, "ada").await;
    let plain = group(&ada.id, &[]);
    let full = Group {
        permissions: Some(json!({"workspace": {"knowledge": true}})),
        data: json!({"config": {"share": true}}).as_object().cloned(),
        meta: json!({}).as_object().cloned(),
        updated_at: LATER,
        ..group(&ada.id, &[&ada.id])
    };

    store.save_group(&plain).await.expect("saved");
    store.save_group(&full).await.expect("saved");

    let found = store.groups().await.expect("readable");
    assert_eq!(found.len(), 2);
    assert!(found.contains(&plain), "{found:?}");
    assert!(found.contains(&full), "{found:?}");
    store.delete_group(&full.id).await.expect("deleted");
    store.delete_group(&full.id).await.expect("deleting again is no error");
    assert_eq!(store.groups().await.expect("readable"), [plain]);
}

async fn saving_a_group_again_replaces_its_members<S: AccountStore>(store: &S) {
    let (ada, bob) = (inserted(store, "ada").await, inserted(store, "bob").await);
    let before = group(&ada.id, &[&ada.id]);
    store.save_group(&before).await.expect("saved");

    let after = Group { name: "Writers".into(), members: BTreeSet::from([bob.id]), ..before };
    store.save_group(&after).await.expect("saved");

    assert_eq!(store.groups().await.expect("readable"), [after]);
}
