use super::*;

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
        assert_eq!(auth.api_key(&who).unwrap(), key);
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
    assert!(matches!(auth.api_key(&who), Err(Error::NoKey)));
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
    assert!(matches!(auth.api_key(&who), Err(Error::KeySealed)));

    world.config.previous_secrets = vec!["secret".into()];
    assert_eq!(world.open().await.api_key(&who).unwrap(), key);
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

    assert!(matches!(auth.renew(&keyed), Err(Error::HumanRequired)));
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
