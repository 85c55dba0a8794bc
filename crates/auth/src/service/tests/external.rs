use super::*;
use crate::{ExternalPerson, ExternalPolicy, ExternalRole, TrustedPerson};

fn person(name: &str) -> ExternalPerson {
    ExternalPerson {
        provider: "oidc".into(),
        subject: format!("subject of {name}"),
        email: format!("{name}@example.org"),
        email_verified: true,
        name: Some(name.to_owned()),
        picture: None,
        role: ExternalRole::Unmanaged,
        groups: None,
    }
}

fn trusted(name: &str) -> TrustedPerson {
    TrustedPerson { email: format!("{name}@example.org"), name: None, role: None, groups: None }
}

/// Newcomers are let in.
fn open() -> ExternalPolicy {
    ExternalPolicy { sign_up: true, ..ExternalPolicy::default() }
}

fn names(texts: &[&str]) -> Option<Vec<String>> {
    Some(texts.iter().map(|&text| text.to_owned()).collect())
}

/// The names of the groups somebody is in.
fn groups_of(auth: &Auth, user: &UserId) -> Vec<String> {
    let groups = auth.groups();
    groups.iter().filter(|group| group.members.contains(user)).map(|group| group.name.clone()).collect()
}

#[tokio::test]
async fn a_newcomer_gets_an_account_that_no_password_opens() {
    let world = World::new();
    let (auth, ..) = world.populated().await;

    let session = auth.sign_in_external(person("eve"), &open()).await.unwrap();

    assert_eq!((session.account.email.as_str(), session.account.role), ("eve@example.org", Role::Pending));
    assert!(auth.authenticate(session.token.expose()).is_ok());
    for password in ["", "!", "eve"] {
        let answer = auth.sign_in("eve@example.org", &password.into()).await;
        assert!(matches!(answer, Err(Error::WrongCredentials)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_newcomer_is_not_let_in_unless_that_is_allowed() {
    let world = World::new();
    let (auth, ..) = world.populated().await;

    let answer = auth.sign_in_external(person("eve"), &ExternalPolicy::default()).await;

    assert!(matches!(answer, Err(Error::SignupClosed)), "{answer:?}");
    assert_eq!(auth.accounts().len(), 2);
}

#[tokio::test]
async fn whoever_comes_first_is_admin_and_closes_sign_up() {
    let world = World::new();
    let auth = world.open().await;

    let first = auth.sign_in_external(person("ada"), &open()).await.unwrap();
    let second = auth.sign_in_external(person("eve"), &open()).await.unwrap();

    assert_eq!((first.account.role, second.account.role), (Role::Admin, Role::Pending));
    assert!(!auth.settings().enable_signup);
}

#[tokio::test]
async fn of_many_who_come_first_at_once_one_is_admin() {
    let world = World::new();
    let auth = world.open().await;

    let mut sign_ins = tokio::task::JoinSet::new();
    for number in 0..20 {
        let auth = auth.clone();
        sign_ins.spawn(async move { auth.sign_in_external(person(&format!("eve{number}")), &open()).await });
    }
    for outcome in sign_ins.join_all().await {
        outcome.unwrap();
    }

    let admins = auth.accounts().into_iter().filter(|account| account.role == Role::Admin).count();
    assert_eq!((admins, auth.accounts().len()), (1, 20));
}

#[tokio::test]
async fn a_person_is_known_by_the_subject_whatever_the_address() {
    let world = World::new();
    let (auth, ..) = world.populated().await;
    let before = auth.sign_in_external(person("eve"), &open()).await.unwrap();
    let moved = ExternalPerson { email: "eve@elsewhere.org".into(), ..person("eve") };

    let again = world.open().await.sign_in_external(moved, &ExternalPolicy::default()).await.unwrap();

    assert_eq!(again.account.id, before.account.id);
    assert_eq!(again.account.email, "eve@example.org");
}

#[tokio::test]
async fn an_address_opens_an_account_if_that_is_allowed_and_it_is_verified() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let merging = ExternalPolicy { merge_by_email: true, ..open() };
    let unverified = ExternalPerson { email_verified: false, ..person("user") };

    let not_allowed = auth.sign_in_external(person("user"), &open()).await;
    let not_verified = auth.sign_in_external(unverified.clone(), &merging).await;
    let merged = auth.sign_in_external(person("user"), &merging).await.unwrap();
    let afterwards = auth.sign_in_external(unverified, &ExternalPolicy::default()).await.unwrap();

    assert!(matches!(not_allowed, Err(Error::EmailTaken)), "{not_allowed:?}");
    assert!(matches!(not_verified, Err(Error::EmailTaken)), "{not_verified:?}");
    assert_eq!(merged.account.id, user.account.id);
    assert_eq!(afterwards.account.id, user.account.id);
    assert!(auth.sign_in("user@example.org", &PASSWORD.into()).await.is_ok(), "the password stays");
}

#[tokio::test]
async fn the_identity_of_a_deleted_account_opens_nothing() {
    let world = World::new();
    let (auth, ..) = world.populated().await;
    let before = auth.sign_in_external(person("eve"), &open()).await.unwrap();

    auth.delete_account(&before.account.id).await.unwrap();

    let answer = auth.sign_in_external(person("eve"), &ExternalPolicy::default()).await;
    assert!(matches!(answer, Err(Error::SignupClosed)), "{answer:?}");
    let again = auth.sign_in_external(person("eve"), &open()).await.unwrap();
    assert_ne!(again.account.id, before.account.id);
}

#[tokio::test]
async fn a_role_follows_the_provider_but_the_last_admin_stays() {
    let world = World::new();
    let auth = world.open().await;
    let ada = auth.sign_in_external(person("ada"), &open()).await.unwrap();
    let as_role = async |name: &str, role| {
        let person = ExternalPerson { role, ..person(name) };
        auth.sign_in_external(person, &open()).await.unwrap().account.role
    };

    assert_eq!(as_role("ada", ExternalRole::Is(Role::User)).await, Role::Admin);
    assert_eq!(as_role("ada", ExternalRole::Default).await, Role::Admin);
    assert_eq!(as_role("eve", ExternalRole::Is(Role::User)).await, Role::User);
    assert_eq!(as_role("eve", ExternalRole::Unmanaged).await, Role::User);
    assert_eq!(as_role("eve", ExternalRole::Is(Role::Admin)).await, Role::Admin);
    assert_eq!(as_role("ada", ExternalRole::Is(Role::User)).await, Role::User);
    assert_eq!(as_role("eve", ExternalRole::Default).await, Role::Admin);
    assert_eq!(auth.account(&ada.account.id).unwrap().role, Role::User);
}

#[tokio::test]
async fn a_lesser_role_ends_the_sessions_there_were() {
    let world = World::new();
    let (auth, ..) = world.populated().await;
    let as_role = async |role| {
        let person = ExternalPerson { role: ExternalRole::Is(role), ..person("eve") };
        auth.sign_in_external(person, &open()).await.unwrap().token
    };

    let as_user = as_role(Role::User).await;
    let as_admin = as_role(Role::Admin).await;
    assert!(auth.authenticate(as_user.expose()).unwrap().is_admin());
    let as_user_again = as_role(Role::User).await;

    assert!(matches!(auth.authenticate(as_user.expose()), Err(Error::Revoked)));
    assert!(matches!(auth.authenticate(as_admin.expose()), Err(Error::Revoked)));
    assert!(auth.authenticate(as_user_again.expose()).is_ok());
}

#[tokio::test]
async fn groups_follow_the_provider_by_name() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    for name in ["ops", "staff", "it-all"] {
        auth.create_group(&admin.account.id, name, "").await.unwrap();
    }
    let policy = ExternalPolicy { kept_groups: vec!["it-*".into()], ..open() };
    let eve = auth.sign_in_external(person("eve"), &policy).await.unwrap().account.id;
    let came_with = async |groups, policy: &ExternalPolicy| {
        let person = ExternalPerson { groups, ..person("eve") };
        auth.sign_in_external(person, policy).await.unwrap();
        groups_of(&auth, &eve)
    };

    assert_eq!(came_with(names(&["ops", " staff ", "it-all", "new"]), &policy).await, ["ops", "staff"]);
    assert_eq!(came_with(None, &policy).await, ["ops", "staff"]);
    assert_eq!(came_with(names(&["staff"]), &policy).await, ["staff"]);
    assert_eq!(came_with(names(&[]), &policy).await, [""; 0]);
    let making = ExternalPolicy { create_groups: true, ..policy };
    assert_eq!(came_with(names(&["new", "new", "it-new", ""]), &making).await, ["new"]);
    assert_eq!(auth.groups().len(), 4);
    assert_eq!(auth.groups().iter().find(|group| group.name == "new").unwrap().owner, admin.account.id);
}

#[tokio::test]
async fn a_group_that_the_provider_does_not_reach_keeps_its_members() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let policy = ExternalPolicy { kept_groups: vec!["ours".into()], ..open() };
    let eve = auth.sign_in_external(person("eve"), &policy).await.unwrap().account.id;
    let group = auth.create_group(&admin.account.id, "ours", "").await.unwrap();
    let members = Some([eve.clone()].into());
    auth.update_group(&group.id, GroupChange { members, ..GroupChange::default() }).await.unwrap();

    let person = ExternalPerson { groups: names(&[]), ..person("eve") };
    auth.sign_in_external(person, &policy).await.unwrap();

    assert_eq!(groups_of(&auth, &eve), ["ours"]);
}

#[tokio::test]
async fn a_proxy_lets_people_in_by_their_address() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    auth.create_group(&admin.account.id, "staff", "").await.unwrap();
    let upper = TrustedPerson { email: " USER@example.org".into(), ..trusted("user") };
    let eve = TrustedPerson {
        name: Some("Eve\n of Example".into()),
        role: Some(Role::User),
        groups: names(&["staff", "nowhere"]),
        ..trusted("eve")
    };

    let known = auth.sign_in_trusted(upper).await.unwrap();
    let newcomer = auth.sign_in_trusted(eve).await.unwrap();

    assert_eq!(known.account.id, user.account.id);
    assert_eq!((newcomer.account.name.as_str(), newcomer.account.role), ("Eve of Example", Role::User));
    assert_eq!(groups_of(&auth, &newcomer.account.id), ["staff"]);
    assert_eq!(auth.groups().len(), 1);
}

#[tokio::test]
async fn the_first_whom_a_proxy_lets_in_is_admin() {
    let world = World::new();
    let auth = world.open().await;

    let first = auth.sign_in_trusted(trusted("ada")).await.unwrap();
    let second = auth.sign_in_trusted(trusted("eve")).await.unwrap();

    assert_eq!((first.account.role, second.account.role), (Role::Admin, Role::Pending));
    assert_eq!(first.account.name, "ada@example.org");
}

#[tokio::test]
async fn the_token_says_how_somebody_signed_in() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let oauth = auth.sign_in_external(person("eve"), &open()).await.unwrap();
    let proxy = auth.sign_in_trusted(trusted("eve")).await.unwrap();

    for (session, method) in [(admin, "password"), (oauth, "oauth"), (proxy, "trusted_header")] {
        let claims = jsonwebtoken::decode::<serde_json::Value>(
            session.token.expose(),
            &jsonwebtoken::DecodingKey::from_secret(b"secret"),
            &{
                let mut validation = jsonwebtoken::Validation::default();
                validation.validate_exp = false;
                validation
            },
        );
        assert_eq!(claims.unwrap().claims["auth_method"], method);
    }
}

#[tokio::test]
async fn nobody_comes_from_elsewhere_into_single_user_mode() {
    let world = World::new();
    let world = World { config: AuthConfig { single_user: true, ..world.config.clone() }, ..world };
    let auth = world.open().await;

    assert!(matches!(auth.sign_in_external(person("eve"), &open()).await, Err(Error::Forbidden)));
    assert!(matches!(auth.sign_in_trusted(trusted("eve")).await, Err(Error::Forbidden)));
}

#[tokio::test]
async fn a_sealed_note_opens_for_its_purpose_until_it_ends() {
    let world = World::new();
    let auth = world.open().await;
    let note = Secret::new("one\ntwo");

    let sealed = auth.seal_note("travel", &note, Duration::from_secs(60)).unwrap();

    assert_eq!(auth.open_note("travel", &sealed), Some(note));
    assert_eq!(auth.open_note("other", &sealed), None);
    assert_eq!(auth.open_note("travel", &sealed[1..]), None);
    world.advance(Duration::from_secs(60));
    assert_eq!(auth.open_note("travel", &sealed), None);
}

#[tokio::test]
async fn odd_people_are_refused() {
    let world = World::new();
    let (auth, ..) = world.populated().await;

    for person in [
        ExternalPerson { subject: String::new(), ..person("eve") },
        ExternalPerson { subject: "x".repeat(256), ..person("eve") },
        ExternalPerson { email: "nowhere".into(), ..person("eve") },
        ExternalPerson { email: String::new(), ..person("eve") },
    ] {
        assert!(auth.sign_in_external(person, &open()).await.is_err());
    }
    assert_eq!(auth.accounts().len(), 2);
}
