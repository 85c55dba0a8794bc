use async_trait::async_trait;
use breezeway_core::{ApiKeyId, StoreError};
use tokio::sync::Notify;

use super::*;
use crate::ExternalIdentity;

#[tokio::test]
async fn the_last_admin_can_be_neither_demoted_nor_deleted() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    let (admin, user) = (admin.account.id, user.account.id);
    let role = |role| AccountChange { role: Some(role), ..AccountChange::default() };

    assert!(matches!(auth.update_account(&admin, role(Role::User)).await, Err(Error::LastAdmin)));
    assert!(matches!(auth.update_account(&admin, role(Role::Pending)).await, Err(Error::LastAdmin)));
    assert!(matches!(auth.delete_account(&admin).await, Err(Error::LastAdmin)));
    assert!(auth.update_account(&admin, role(Role::Admin)).await.is_ok());
    auth.update_account(&user, role(Role::Admin)).await.unwrap();
    assert!(auth.delete_account(&admin).await.unwrap());
    assert!(matches!(auth.delete_account(&user).await, Err(Error::LastAdmin)));
}

#[tokio::test]
async fn a_change_is_in_force_at_once_and_after_a_restart() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let profile = serde_json::json!({"bio": "reads"});
    let change = AccountChange {
        email: Some("New@Example.org".into()),
        name: Some("New".into()),
        role: Some(Role::Admin),
        profile_image_url: Some("/new.png".into()),
        profile: profile.as_object().cloned(),
        password: None,
    };

    auth.update_account(&user.account.id, change).await.unwrap();

    for auth in [&auth, &world.open().await] {
        let who = principal(auth, &user);
        assert_eq!((&*who.name, &*who.email, who.role), ("New", "new@example.org", Role::Admin));
        let account = auth.account(&user.account.id).unwrap();
        assert_eq!(account.profile["bio"], "reads");
        assert_eq!(account.profile_image_url, "/new.png");
        assert!(auth.sign_in("new@example.org", &PASSWORD.into()).await.is_ok());
        assert!(auth.sign_in("user@example.org", &PASSWORD.into()).await.is_err());
    }
}

#[tokio::test]
async fn a_password_set_by_an_admin_ends_the_sessions() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let password = |text: &str| AccountChange { password: Some(text.into()), ..AccountChange::default() };

    assert!(matches!(
        auth.update_account(&user.account.id, password(&"x".repeat(73))).await,
        Err(Error::PasswordTooLong)
    ));
    auth.update_account(&user.account.id, password("new")).await.unwrap();

    assert!(matches!(auth.authenticate(user.token.expose()), Err(Error::Revoked)));
    assert!(auth.sign_in("user@example.org", &"new".into()).await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    let email = |text: &str| AccountChange { email: Some(text.into()), ..AccountChange::default() };

    assert!(matches!(auth.add_account(new("user")).await, Err(Error::EmailTaken)));
    let odd = NewAccount { email: "not-an-address".into(), ..new("x") };
    assert!(matches!(auth.add_account(odd).await, Err(Error::InvalidEmail)));
    let long = NewAccount { password: "x".repeat(73).into(), ..new("x") };
    assert!(matches!(auth.add_account(long).await, Err(Error::PasswordTooLong)));
    assert!(matches!(
        auth.update_account(&user.account.id, email(&admin.account.email)).await,
        Err(Error::EmailTaken)
    ));
    assert!(matches!(
        auth.update_account(&user.account.id, email("nowhere")).await,
        Err(Error::InvalidEmail)
    ));
    assert!(matches!(
        auth.update_account(&UserId::mint(), AccountChange::default()).await,
        Err(Error::NoSuchAccount(_))
    ));
    assert_eq!(auth.accounts().len(), 2);
}

#[tokio::test]
async fn deleting_an_account_twice_tells_the_difference() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;

    assert!(auth.delete_account(&user.account.id).await.unwrap());
    assert!(!auth.delete_account(&user.account.id).await.unwrap());

    assert!(auth.account(&user.account.id).is_none());
    assert!(auth.add_account(new("user")).await.is_ok());
}

#[tokio::test]
async fn an_admin_from_the_configuration_is_made_once() {
    let world = World::new();
    let auth = world.open().await;

    assert!(auth.ensure_admin(new("ops")).await.unwrap());
    assert!(!auth.ensure_admin(new("more")).await.unwrap());

    assert_eq!(auth.accounts().len(), 1);
    assert!(auth.sign_in("ops@example.org", &PASSWORD.into()).await.unwrap().account.role == Role::Admin);
    assert!(matches!(auth.sign_up(new("eve")).await, Err(Error::SignupClosed)));
}

#[tokio::test]
async fn activity_is_noted_roughly_and_written_by_a_flush() {
    let world = World::new();
    let (auth, _, user) = world.populated().await;
    let seen = async || {
        let accounts = world.store.accounts().await.unwrap();
        accounts.into_iter().find(|account| account.id == user.account.id).unwrap().last_active_at
    };
    world.advance(Duration::from_secs(59));
    principal(&auth, &user);
    auth.flush().await.unwrap();
    assert_eq!(seen().await, START);
    world.advance(Duration::from_secs(1));
    principal(&auth, &user);
    assert_eq!(seen().await, START);

    auth.flush().await.unwrap();

    let minute = START.plus(Duration::from_secs(60));
    assert_eq!(seen().await, minute);
    assert_eq!(auth.account(&user.account.id).unwrap().last_active_at, minute);
}

#[tokio::test]
async fn settings_survive_a_restart_only_where_that_is_wanted() {
    let mut world = World::new();
    let auth = world.open().await;
    change_settings(&auth, |settings| settings.default_user_role = "user".into()).await;
    assert_eq!(world.open().await.settings().default_user_role, "user");

    world.config.persistent_settings = false;
    let auth = world.open().await;
    assert_eq!(auth.settings().default_user_role, "pending");
    change_settings(&auth, |settings| settings.default_user_role = "admin".into()).await;
    assert_eq!(auth.settings().default_user_role, "admin");

    world.config.persistent_settings = true;
    assert_eq!(world.open().await.settings().default_user_role, "user");
}

#[tokio::test]
async fn settings_that_make_no_sense_change_nothing() {
    let world = World::new();
    let auth = world.open().await;
    let odd = AuthSettings { jwt_expires_in: "soon".into(), ..AuthSettings::default() };

    let answer = auth.update_settings(odd).await;

    assert!(matches!(answer, Err(Error::InvalidSetting { name: "JWT_EXPIRES_IN", .. })));
    assert_eq!(auth.settings().jwt_expires_in, "4w");
}

/// A store that stops before it deletes a key until it is told to go on.
struct Held {
    inner: MemoryAccounts,
    reached: Notify,
    go_on: Notify,
    finished: AtomicBool,
}

#[async_trait]
impl AccountStore for Held {
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.inner.accounts().await
    }
    async fn insert_account(&self, account: &Account, only_if_first: bool) -> Result<bool, StoreError> {
        self.inner.insert_account(account, only_if_first).await
    }
    async fn insert_external_account(
        &self,
        account: &Account,
        identity: &ExternalIdentity,
        only_if_first: bool,
    ) -> Result<bool, StoreError> {
        self.inner.insert_external_account(account, identity, only_if_first).await
    }
    async fn link_identity(&self, identity: &ExternalIdentity) -> Result<(), StoreError> {
        self.inner.link_identity(identity).await
    }
    async fn identities(&self) -> Result<Vec<ExternalIdentity>, StoreError> {
        self.inner.identities().await
    }
    async fn save_account(&self, account: &Account) -> Result<(), StoreError> {
        self.inner.save_account(account).await
    }
    async fn begin_removal(&self, account: &Account, removal: &Removal) -> Result<(), StoreError> {
        self.inner.begin_removal(account, removal).await
    }
    async fn removals(&self) -> Result<Vec<Removal>, StoreError> {
        self.inner.removals().await
    }
    async fn delete_account(&self, id: &UserId) -> Result<(), StoreError> {
        self.inner.delete_account(id).await
    }
    async fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, StoreError> {
        self.inner.api_keys().await
    }
    async fn replace_api_key(&self, owner: &UserId, key: Option<&ApiKeyRecord>) -> Result<(), StoreError> {
        if key.is_none() {
            self.reached.notify_one();
            self.go_on.notified().await;
        }
        self.inner.replace_api_key(owner, key).await?;
        self.finished.store(key.is_none(), Ordering::SeqCst);
        Ok(())
    }
    async fn api_keys_of(
        &self,
        owner: Option<&UserId>,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<ApiKeyRecord>, StoreError> {
        self.inner.api_keys_of(owner, offset, limit).await
    }
    async fn insert_api_key(&self, key: &ApiKeyRecord) -> Result<(), StoreError> {
        self.inner.insert_api_key(key).await
    }
    async fn update_api_key(&self, key: &ApiKeyRecord) -> Result<bool, StoreError> {
        self.inner.update_api_key(key).await
    }
    async fn delete_api_key(&self, id: &ApiKeyId) -> Result<bool, StoreError> {
        self.inner.delete_api_key(id).await
    }
    async fn reseal_api_keys(&self, keys: &[ApiKeyRecord]) -> Result<(), StoreError> {
        self.inner.reseal_api_keys(keys).await
    }
    async fn touch(
        &self,
        accounts: &[(UserId, UnixTime)],
        keys: &[(ApiKeyId, UnixTime)],
    ) -> Result<(), StoreError> {
        self.inner.touch(accounts, keys).await
    }
    async fn groups(&self) -> Result<Vec<Group>, StoreError> {
        self.inner.groups().await
    }
    async fn save_group(&self, group: &Group) -> Result<(), StoreError> {
        self.inner.save_group(group).await
    }
    async fn delete_group(&self, id: &GroupId) -> Result<(), StoreError> {
        self.inner.delete_group(id).await
    }
}

#[tokio::test]
async fn a_change_is_finished_although_its_caller_has_left() {
    let held = Arc::new(Held {
        inner: MemoryAccounts::default(),
        reached: Notify::new(),
        go_on: Notify::new(),
        finished: AtomicBool::new(false),
    });
    let world = World { store: held.clone(), ..World::new() };
    let auth = world.open().await;
    let admin = auth.sign_up(new("ada")).await.unwrap();
    let who = principal(&auth, &admin);
    let key = auth.create_api_key(&who).await.unwrap();

    tokio::select! {
        biased;
        _ = auth.delete_api_key(&who) => panic!("the store holds it up"),
        () = held.reached.notified() => {}
    }
    held.go_on.notify_one();
    // Changes go one after another, so the next one waits for the abandoned one.
    auth.flush().await.unwrap();

    assert!(held.finished.load(Ordering::SeqCst));
    assert!(matches!(auth.authenticate(key.expose()), Err(Error::UnknownCredential)));
}
