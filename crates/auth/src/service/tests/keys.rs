use breezeway_core::{Amount, Budget, KeyRules, Limits, Period};

use super::*;
use crate::{KeyChange, NewKey};

#[tokio::test]
async fn a_key_acts_as_its_owner_and_can_be_shown_again() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    allow_keys(&auth).await;
    let who = principal(&auth, &user);

    let key = auth.create_api_key(&who).await.unwrap();

    for auth in [&auth, &world.open().await] {
        let keyed = auth.authenticate(key.expose()).unwrap();
        assert_eq!(keyed.user, who.user);
        assert!(matches!(keyed.credential, Credential::ApiKey(_)));
        assert_eq!(auth.api_key(&who).await.unwrap(), key);
    }
}

#[tokio::test]
async fn a_new_key_replaces_the_old_one_and_a_deleted_one_is_gone() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    allow_keys(&auth).await;
    let (who, other) = (principal(&auth, &user), principal(&auth, &admin));
    let kept = auth.create_api_key(&other).await.unwrap();
    let first = auth.create_api_key(&who).await.unwrap();

    let second = auth.create_api_key(&who).await.unwrap();
    assert!(matches!(auth.authenticate(first.expose()), Err(Error::UnknownCredential)));
    assert!(auth.authenticate(second.expose()).is_ok());
    auth.delete_api_key(&who).await.unwrap();

    assert!(matches!(auth.authenticate(second.expose()), Err(Error::UnknownCredential)));
    assert!(matches!(auth.api_key(&who).await, Err(Error::NoKey)));
    assert!(auth.authenticate(kept.expose()).is_ok());
    auth.delete_api_key(&who).await.unwrap();
}

#[tokio::test]
async fn a_key_of_an_earlier_secret_works_and_cannot_be_shown() {
    let mut world = World::new();
    let (auth, admin, _) = world.populated().await;
    let who = principal(&auth, &admin);
    let key = auth.create_api_key(&who).await.unwrap();

    world.config.secret = "another".into();
    let auth = world.open().await;
    assert!(auth.authenticate(key.expose()).is_ok());
    assert!(matches!(auth.api_key(&who).await, Err(Error::KeySealed)));

    world.config.previous_secrets = vec!["secret".into()];
    let auth = world.open().await;
    assert_eq!(auth.api_key(&who).await.unwrap(), key);

    // Sealed anew, it is shown without the previous secret too.
    assert_eq!(auth.reseal_api_keys().await.unwrap(), 1);
    assert_eq!(auth.reseal_api_keys().await.unwrap(), 0);
    world.config.previous_secrets.clear();
    let auth = world.open().await;
    assert_eq!(auth.api_key(&who).await.unwrap(), key);
    assert!(auth.authenticate(key.expose()).is_ok());
}

#[tokio::test]
async fn keys_can_be_switched_off_for_everybody_and_per_account() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    let (admin, who) = (principal(&auth, &admin), principal(&auth, &user));
    assert!(matches!(auth.create_api_key(&who).await, Err(Error::KeysNotAllowed)));
    let admin_key = auth.create_api_key(&admin).await.unwrap();
    allow_keys(&auth).await;
    let key = auth.create_api_key(&who).await.unwrap();

    change_settings(&auth, |settings| settings.permissions = Value::Null).await;
    assert!(matches!(auth.authenticate(key.expose()), Err(Error::ApiKeysOff)));
    assert!(auth.authenticate(admin_key.expose()).is_ok());
    change_settings(&auth, |settings| settings.enable_api_keys = false).await;

    assert!(matches!(auth.authenticate(admin_key.expose()), Err(Error::ApiKeysOff)));
    assert!(matches!(auth.create_api_key(&admin).await, Err(Error::KeysNotAllowed)));
}

#[tokio::test]
async fn a_key_is_no_person() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let key = auth.create_api_key(&principal(&auth, &admin)).await.unwrap();
    let keyed = auth.authenticate(key.expose()).unwrap();

    assert!(matches!(auth.renew(&keyed, None), Err(Error::HumanRequired)));
    assert!(matches!(
        auth.change_password(&keyed, &PASSWORD.into(), &"new".into()).await,
        Err(Error::HumanRequired)
    ));
    auth.sign_out(&keyed).await.unwrap();
    assert!(auth.authenticate(key.expose()).is_ok());
}

#[tokio::test]
async fn a_restricted_key_reaches_the_listed_paths_and_what_is_below_them() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let person = principal(&auth, &admin);
    let key = auth.create_api_key(&person).await.unwrap();
    let keyed = auth.authenticate(key.expose()).unwrap();
    let check = |path: &str, expected: bool| {
        assert_eq!(auth.allows_path(&keyed, path).is_ok(), expected, "{path}");
        assert!(auth.allows_path(&person, path).is_ok(), "{path}");
    };

    check("/api/anything", true);
    change_settings(&auth, |settings| {
        settings.restrict_api_key_endpoints = true;
        settings.api_keys_allowed_endpoints =
            vec!["/api/models".into(), " /api/v1/files/ ".into(), "".into(), "/".into()];
    })
    .await;

    check("/api/models", true);
    check("/api/models/base", true);
    check("/api/v1/files", true);
    check("/api/v1/files/1", true);
    check("/api/modelsand", false);
    check("/api", false);
    check("/", false);
    check("", false);
}

#[tokio::test]
async fn the_use_of_a_key_is_written_by_a_flush() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let key = auth.create_api_key(&principal(&auth, &admin)).await.unwrap();
    world.advance(Duration::from_secs(100));
    auth.authenticate(key.expose()).unwrap();

    auth.flush().await.unwrap();

    let used = world.store.api_keys().await.unwrap()[0].last_used_at;
    assert_eq!(used, Some(START.plus(Duration::from_secs(100))));
}

#[tokio::test]
async fn no_secret_appears_in_a_debug_text() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let key = auth.create_api_key(&principal(&auth, &admin)).await.unwrap();
    let records = world.store.api_keys().await.unwrap();

    let text = format!("{:?} {:?} {records:?} {key:?}", admin, world.config);

    assert!(!text.contains("argon2id"), "{text}");
    assert!(!text.contains("sk-"), "{text}");
    assert!(!text.contains("eyJ"), "{text}");
    assert!(!text.contains("\"secret\""), "{text}");
}

/// A key that is narrowed in one way.
fn narrowed(rules: KeyRules) -> NewKey {
    NewKey { name: "ci".into(), rules, ..NewKey::default() }
}

#[tokio::test]
async fn named_keys_stand_beside_the_unnamed_one() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let who = principal(&auth, &admin);
    let unnamed = auth.create_api_key(&who).await.unwrap();
    let (first, first_key) = auth.create_named_key(&who, narrowed(KeyRules::default())).await.unwrap();
    let (_, second_key) = auth.create_named_key(&who, narrowed(KeyRules::default())).await.unwrap();

    for auth in [&auth, &world.open().await] {
        for key in [&unnamed, &first_key, &second_key] {
            let keyed = auth.authenticate(key.expose()).unwrap();
            assert_eq!(keyed.user, who.user);
            assert!(keyed.rules.is_none());
        }
        assert_eq!(auth.api_keys(&who).await.unwrap().len(), 3);
    }
    auth.create_api_key(&who).await.unwrap();
    auth.delete_api_key(&who).await.unwrap();
    auth.revoke_api_key(&who, &first.id).await.unwrap();

    assert!(auth.authenticate(unnamed.expose()).is_err());
    assert!(auth.authenticate(first_key.expose()).is_err());
    assert!(auth.authenticate(second_key.expose()).is_ok());
    assert!(matches!(auth.revoke_api_key(&who, &first.id).await, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn a_key_that_has_ended_is_like_one_that_never_was() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let end = START.plus(Duration::from_secs(60));
    let new = NewKey { name: "short".into(), expires_at: Some(end), ..NewKey::default() };
    let (record, key) = auth.create_named_key(&principal(&auth, &admin), new).await.unwrap();
    world.advance(Duration::from_secs(59));
    assert!(auth.authenticate(key.expose()).is_ok());
    auth.flush().await.unwrap();

    world.advance(Duration::from_secs(1));

    for auth in [&auth, &world.open().await] {
        assert!(matches!(auth.authenticate(key.expose()), Err(Error::UnknownCredential)));
    }
    auth.flush().await.unwrap();
    let used = auth.api_key_by_id(&principal(&auth, &admin), &record.id).await.unwrap().last_used_at;
    assert_eq!(used, Some(START.plus(Duration::from_secs(59))));
}

#[tokio::test]
async fn a_narrowed_key_cannot_free_itself() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let who = principal(&auth, &admin);
    let limits = Limits { requests_per_minute: Some(1), ..Limits::default() };
    let later = Some(START.plus(Duration::from_secs(60)));
    let plain = KeyRules::default();
    for new in [
        narrowed(KeyRules { read_only: true, ..plain.clone() }),
        narrowed(KeyRules { endpoints: Some(vec!["/api".into()]), ..plain.clone() }),
        narrowed(KeyRules { models: Some(Vec::new()), ..plain.clone() }),
        narrowed(KeyRules { collections: Some(Vec::new()), ..plain.clone() }),
        narrowed(KeyRules { limits, ..plain }),
        NewKey { name: "short".into(), expires_at: later, ..NewKey::default() },
    ] {
        let (record, key) = auth.create_named_key(&who, new.clone()).await.unwrap();
        let keyed = auth.authenticate(key.expose()).unwrap();
        let id = &record.id;

        let refusals = [
            auth.create_api_key(&keyed).await.err(),
            auth.api_key(&keyed).await.err(),
            auth.delete_api_key(&keyed).await.err(),
            auth.create_named_key(&keyed, NewKey { name: "wide".into(), ..NewKey::default() }).await.err(),
            auth.api_keys(&keyed).await.err(),
            auth.all_api_keys(&keyed, None, 0, 10).await.err(),
            auth.api_key_by_id(&keyed, id).await.err(),
            auth.update_api_key(&keyed, id, KeyChange::default()).await.err(),
            auth.revoke_api_key(&keyed, id).await.err(),
        ];

        for refusal in refusals {
            assert!(matches!(refusal, Some(Error::NarrowedKey)), "{new:?}: {refusal:?}");
        }
    }
}

#[tokio::test]
async fn fields_of_a_key_that_make_no_sense_are_named() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let who = principal(&auth, &admin);
    let refused = async |change: fn(&mut NewKey)| {
        let mut new = narrowed(KeyRules::default());
        change(&mut new);
        match auth.create_named_key(&who, new).await {
            Err(Error::InvalidKey { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };

    assert_eq!(refused(|new| new.name = "  ".into()).await, "name");
    assert_eq!(refused(|new| new.name = "x".repeat(101)).await, "name");
    assert_eq!(refused(|new| new.name = "a\nb".into()).await, "name");
    assert_eq!(refused(|new| new.expires_at = Some(START)).await, "expires_at");
    for odd in ["", "/", "//", "api/models"] {
        let mut new = narrowed(KeyRules::default());
        new.rules.endpoints = Some(vec![odd.into()]);
        let answer = auth.create_named_key(&who, new).await;
        assert!(matches!(answer, Err(Error::InvalidKey { field: "allowed_endpoints", .. })), "{odd:?}");
    }
    let many = |new: &mut NewKey| new.rules.models = Some(vec!["m".into(); 201]);
    assert_eq!(refused(many).await, "allowed_models");
    let long = |new: &mut NewKey| new.rules.collections = Some(vec!["c".repeat(513)]);
    assert_eq!(refused(long).await, "allowed_collections");
    let none = |new: &mut NewKey| new.rules.limits.requests_per_minute = Some(0);
    assert_eq!(refused(none).await, "requests_per_minute");
    let none = |new: &mut NewKey| new.rules.limits.tokens_per_minute = Some(0);
    assert_eq!(refused(none).await, "tokens_per_minute");
    let none = |new: &mut NewKey| {
        let budget = Budget { amount: Amount::MicroUnits(0), period: Period::Day };
        new.rules.limits.budget = Some(budget);
    };
    assert_eq!(refused(none).await, "budget");
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_keys() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let who = principal(&auth, &admin);
    for _ in 0..100 {
        auth.create_named_key(&who, narrowed(KeyRules::default())).await.unwrap();
    }

    let more = auth.create_named_key(&who, narrowed(KeyRules::default())).await;

    assert!(matches!(more, Err(Error::TooManyKeys(100))));
    let first = auth.api_keys(&who).await.unwrap().swap_remove(0);
    auth.revoke_api_key(&who, &first.id).await.unwrap();
    auth.create_named_key(&who, narrowed(KeyRules::default())).await.unwrap();
}

#[tokio::test]
async fn a_change_of_a_key_is_in_force_at_once_and_after_a_restart() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    let (who, other) = (principal(&auth, &admin), principal(&auth, &user));
    let (record, key) = auth.create_named_key(&who, narrowed(KeyRules::default())).await.unwrap();
    let change = KeyChange {
        name: Some("build".into()),
        models: Some(Some(vec!["m".into()])),
        read_only: Some(true),
        ..KeyChange::default()
    };

    auth.update_api_key(&who, &record.id, change).await.unwrap();

    for auth in [&auth, &world.open().await] {
        let rules = auth.authenticate(key.expose()).unwrap().rules.unwrap();
        assert!(rules.read_only && rules.allows_model("m") && !rules.allows_model("n"));
    }
    let wide = KeyChange { models: Some(None), read_only: Some(false), ..KeyChange::default() };
    let wide = auth.update_api_key(&who, &record.id, wide).await.unwrap();
    assert_eq!(wide.name.as_deref(), Some("build"));
    assert!(auth.authenticate(key.expose()).unwrap().rules.is_none());
    allow_keys(&auth).await;
    let foreign = auth.update_api_key(&other, &record.id, KeyChange::default()).await;
    assert!(matches!(foreign, Err(Error::NoSuchKey)));
}

#[tokio::test]
async fn admins_see_and_revoke_the_keys_of_others_and_nobody_else_does() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    allow_keys(&auth).await;
    let (admin, user) = (principal(&auth, &admin), principal(&auth, &user));
    let (own, own_key) = auth.create_named_key(&admin, narrowed(KeyRules::default())).await.unwrap();
    let (foreign, foreign_key) = auth.create_named_key(&user, narrowed(KeyRules::default())).await.unwrap();

    let all = auth.all_api_keys(&admin, None, 0, 10).await.unwrap();
    let of_user = auth.all_api_keys(&admin, Some(&user.user), 0, 10).await.unwrap();

    assert_eq!(all.len(), 2);
    assert_eq!(of_user, std::slice::from_ref(&foreign));
    assert!(matches!(auth.all_api_keys(&user, None, 0, 10).await, Err(Error::Forbidden)));
    assert!(matches!(auth.revoke_api_key(&user, &own.id).await, Err(Error::NoSuchKey)));
    auth.revoke_api_key(&admin, &foreign.id).await.unwrap();
    assert!(auth.authenticate(foreign_key.expose()).is_err());
    assert!(auth.authenticate(own_key.expose()).is_ok());
}
