use super::*;

#[tokio::test]
async fn the_first_account_is_admin_and_closes_sign_up() {
    let world = World::new();
    let auth = world.open().await;
    assert!(auth.is_empty());

    let session = auth.sign_up(new("Ada")).await.unwrap();

    assert_eq!(session.account.role, Role::Admin);
    assert_eq!(session.account.email, "ada@example.org");
    assert_eq!(session.expires_at, Some(START.plus(Duration::from_secs(28 * 86_400))));
    assert!(matches!(auth.sign_up(new("eve")).await, Err(Error::SignupClosed)));
    assert!(matches!(world.open().await.sign_up(new("eve")).await, Err(Error::SignupClosed)));
}

#[tokio::test]
async fn the_first_account_may_sign_up_although_sign_up_is_off() {
    let mut world = World::new();
    world.config.settings.enable_signup = false;

    assert_eq!(world.open().await.sign_up(new("ada")).await.unwrap().account.role, Role::Admin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the test wants simultaneous callers")]
async fn a_hundred_simultaneous_sign_ups_make_one_admin() {
    let world = World::new();
    let auth = world.open().await;

    let callers: Vec<_> = (0..100)
        .map(|number| {
            let auth = auth.clone();
            tokio::spawn(async move { auth.sign_up(new(&format!("n{number}"))).await })
        })
        .collect();
    let mut made = 0;
    for caller in callers {
        match caller.await.unwrap() {
            Ok(session) => {
                assert_eq!(session.account.role, Role::Admin);
                made += 1;
            }
            Err(failure) => assert!(matches!(failure, Error::SignupClosed), "{failure}"),
        }
    }

    assert_eq!(made, 1);
    assert_eq!(auth.accounts().len(), 1);
    assert_eq!(world.store.accounts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_admin_opens_sign_up_again_and_chooses_the_role() {
    let world = World::new();
    let (auth, ..) = world.populated().await;
    change_settings(&auth, |settings| settings.enable_signup = true).await;

    let pending = auth.sign_up(new("bob")).await.unwrap();
    change_settings(&auth, |settings| settings.default_user_role = "user".into()).await;
    let user = auth.sign_up(NewAccount { role: Role::Admin, ..new("carol") }).await.unwrap();

    assert_eq!(pending.account.role, Role::Pending);
    assert_eq!(user.account.role, Role::User);
    assert!(matches!(auth.sign_up(new("BOB")).await, Err(Error::EmailTaken)));
}

#[tokio::test]
async fn sign_in_takes_the_right_password_in_any_case_of_the_address() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;

    let session = auth.sign_in(" USER@Example.org", &PASSWORD.into()).await.unwrap();

    assert_eq!(session.account.id, user.account.id);
    for (email, password) in [
        ("user@example.org", "wrong"),
        ("user@example.org", ""),
        ("stranger@example.org", PASSWORD),
        ("user@example.org", &"x".repeat(100_000)),
    ] {
        assert!(matches!(auth.sign_in(email, &password.into()).await, Err(Error::WrongCredentials)));
    }
}

#[tokio::test]
async fn fifteen_wrong_passwords_block_the_address_and_no_other() {
    let world = World::new();
    let (auth, ..) = world.populated().await;
    for _ in 0..50 {
        auth.sign_in("user@example.org", &PASSWORD.into()).await.expect("being right does not count");
    }
    for _ in 0..15 {
        assert!(matches!(auth.sign_in("user@example.org", &"no".into()).await, Err(Error::WrongCredentials)));
    }

    assert!(matches!(auth.sign_in("User@example.org", &PASSWORD.into()).await, Err(Error::Throttled(_))));
    assert!(auth.sign_in("admin@example.org", &PASSWORD.into()).await.is_ok());
    world.advance(Duration::from_secs(180));
    assert!(auth.sign_in("user@example.org", &PASSWORD.into()).await.is_ok());
}

#[tokio::test]
async fn a_session_lasts_as_long_as_the_settings_say() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    change_settings(&auth, |settings| settings.jwt_expires_in = "1h30m".into()).await;
    let short = auth.sign_in("user@example.org", &PASSWORD.into()).await.unwrap();
    change_settings(&auth, |settings| settings.jwt_expires_in = "-1".into()).await;
    let endless = auth.renew(&principal(&auth, &admin), None).unwrap();

    world.advance(Duration::from_secs(5399));
    assert!(auth.authenticate(short.token.expose()).is_ok());
    world.advance(Duration::from_secs(1));
    assert!(matches!(auth.authenticate(short.token.expose()), Err(Error::InvalidToken)));
    world.advance(Duration::from_secs(1_000_000_000));
    assert_eq!(endless.expires_at, None);
    assert!(auth.authenticate(endless.token.expose()).is_ok());
}

#[tokio::test]
async fn signing_out_ends_one_session_also_after_a_restart() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let renewed = auth.renew(&principal(&auth, &user), None).unwrap();
    let elsewhere = auth.sign_in("user@example.org", &PASSWORD.into()).await.unwrap();

    auth.sign_out(&principal(&auth, &user)).await.unwrap();

    for auth in [auth, world.open().await] {
        assert!(matches!(auth.authenticate(user.token.expose()), Err(Error::Revoked)));
        assert!(matches!(auth.authenticate(renewed.token.expose()), Err(Error::Revoked)));
        assert!(auth.authenticate(elsewhere.token.expose()).is_ok());
    }
}

#[tokio::test]
async fn signing_out_without_end_costs_the_other_sessions_and_nobody_elses() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;

    for _ in 0..crate::revoked::MOST {
        auth.0.revoked.insert(breezeway_core::SessionId::mint(), user.account.id.clone(), START);
    }
    let last = auth.sign_in("user@example.org", &PASSWORD.into()).await.unwrap();

    auth.sign_out(&principal(&auth, &last)).await.unwrap();

    assert!(matches!(auth.authenticate(user.token.expose()), Err(Error::Revoked)));
    assert!(auth.authenticate(admin.token.expose()).is_ok());
    assert!(auth.sign_in("user@example.org", &PASSWORD.into()).await.is_ok());
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let who = principal(&auth, &user);

    assert!(matches!(
        auth.change_password(&who, &"wrong".into(), &"new".into()).await,
        Err(Error::WrongPassword)
    ));
    let long = "x".repeat(73).into();
    assert!(matches!(auth.change_password(&who, &PASSWORD.into(), &long).await, Err(Error::PasswordTooLong)));
    assert!(auth.authenticate(user.token.expose()).is_ok());
    auth.change_password(&who, &PASSWORD.into(), &"new".into()).await.unwrap();

    for auth in [&auth, &world.open().await] {
        assert!(matches!(auth.authenticate(user.token.expose()), Err(Error::Revoked)));
        assert!(matches!(
            auth.sign_in("user@example.org", &PASSWORD.into()).await,
            Err(Error::WrongCredentials)
        ));
        assert!(auth.sign_in("user@example.org", &"new".into()).await.is_ok());
    }
}

#[tokio::test]
async fn the_old_password_cannot_be_guessed_from_a_session() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let who = principal(&auth, &user);
    for _ in 0..15 {
        assert!(matches!(
            auth.change_password(&who, &"no".into(), &"new".into()).await,
            Err(Error::WrongPassword)
        ));
    }

    let answer = auth.change_password(&who, &PASSWORD.into(), &"new".into()).await;

    assert!(matches!(answer, Err(Error::Throttled(_))));
    assert!(auth.sign_in("user@example.org", &PASSWORD.into()).await.is_ok());
}

#[tokio::test]
async fn what_is_no_credential_is_told_apart() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let refusal = |credential: &str| auth.authenticate(credential).unwrap_err();

    assert!(matches!(refusal(""), Error::NoCredential));
    assert!(matches!(refusal("nonsense"), Error::InvalidToken));
    assert!(matches!(refusal("a.b.c"), Error::InvalidToken));
    assert!(matches!(refusal(&"a".repeat(1_000_000)), Error::InvalidToken));
    assert!(matches!(refusal(&format!("sk-{}", "0".repeat(32))), Error::UnknownCredential));
    assert!(matches!(refusal(&format!("sk-{}", "0".repeat(1_000_000))), Error::UnknownCredential));
    assert!(matches!(auth.anonymous(), Err(Error::NoCredential)));
    auth.delete_account(&user.account.id).await.unwrap();
    assert!(matches!(refusal(user.token.expose()), Error::UnknownCredential));
}

#[tokio::test]
async fn a_token_outlives_a_change_of_the_secret_only_if_the_old_one_is_kept() {
    let mut world = World::new();
    let (_, _, user) = world.populated().await;

    world.config.secret = "another".into();
    assert!(matches!(world.open().await.authenticate(user.token.expose()), Err(Error::InvalidToken)));
    world.config.previous_secrets = vec!["secret".into()];
    assert!(world.open().await.authenticate(user.token.expose()).is_ok());
    world.config.secret = "".into();
    assert!(matches!(world.try_open().await, Err(Error::EmptySecret)));
}

#[tokio::test]
async fn in_single_user_mode_nobody_signs_in() {
    let mut world = World::new();
    world.config.single_user = true;

    let auth = world.open().await;

    let who = auth.anonymous().unwrap();
    assert!(who.is_admin());
    assert_eq!(&*who.email, "admin@localhost");
    let session = auth.sign_in_single_user().await.unwrap();
    assert_eq!(principal(&auth, &session).user, who.user);
    assert!(matches!(auth.sign_up(new("eve")).await, Err(Error::SignupClosed)));
    assert!(matches!(auth.add_account(new("eve")).await, Err(Error::Forbidden)));
    assert_eq!(world.open().await.anonymous().unwrap().user, who.user);
}

#[tokio::test]
async fn single_user_mode_is_refused_where_several_people_are() {
    let mut world = World::new();
    let (auth, ..) = world.populated().await;
    assert!(matches!(auth.sign_in_single_user().await, Err(Error::Forbidden)));
    world.config.single_user = true;

    assert!(matches!(world.try_open().await, Err(Error::SingleUser { accounts: 2 })));
}
