use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use breezeway_core::{GroupId, LaneConfig, MemorySettings};

use super::*;
use crate::{AccountChange, ApiKeyRecord, GroupChange, MemoryAccounts, NewAccount};

mod access;
mod accounts;
mod alike;
mod external;
mod keys;
mod permissions;
mod sessions;

const START: UnixTime = UnixTime::from_seconds(1_700_000_000);
const PASSWORD: &str = "correct horse";

/// A service that can be opened again over the same data.
struct World {
    store: Arc<dyn AccountStore>,
    settings: MemorySettings,
    clock: Clock,
    config: AuthConfig,
}

impl World {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryAccounts::default()),
            settings: MemorySettings::default(),
            clock: Clock::fixed(START),
            config: AuthConfig {
                secret: "secret".into(),
                previous_secrets: Vec::new(),
                password: PasswordParams { memory_kib: 8, passes: 1 },
                password_rule: None,
                settings: AuthSettings::default(),
                persistent_settings: true,
                single_user: false,
            },
        }
    }

    async fn try_open(&self) -> Result<Auth> {
        let lane = Lane::new("hash", LaneConfig { threads: 2, queue: 256 });
        let settings = Arc::new(self.settings.clone());
        Auth::open(self.config.clone(), self.store.clone(), settings, lane, self.clock.clone()).await
    }

    async fn open(&self) -> Auth {
        self.try_open().await.expect("the world is sound")
    }

    /// Open, with an admin and a plain user.
    async fn populated(&self) -> (Auth, Session, Session) {
        let auth = self.open().await;
        let admin = auth.sign_up(new("admin")).await.expect("the first may always sign up");
        let user = auth.add_account(new("user")).await.expect("the address is free");
        (auth, admin, user)
    }

    fn advance(&self, by: Duration) {
        self.clock.set(self.clock.now().plus(by));
    }
}

fn new(name: &str) -> NewAccount {
    NewAccount {
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        password: PASSWORD.into(),
        role: Role::User,
        profile_image_url: None,
    }
}

fn principal(auth: &Auth, session: &Session) -> Principal {
    auth.authenticate(session.token.expose()).expect("the session is alive")
}

/// Settings with one thing changed.
async fn change_settings(auth: &Auth, change: impl FnOnce(&mut AuthSettings)) {
    let mut settings = AuthSettings::clone(&auth.settings());
    change(&mut settings);
    auth.update_settings(settings).await.expect("the settings make sense");
}

/// Let plain users make keys.
async fn allow_keys(auth: &Auth) {
    change_settings(auth, |settings| {
        let mut permissions = Permissions::from_tree(&settings.permissions);
        permissions.set("features.api_keys", true);
        settings.permissions = permissions.into_tree();
    })
    .await;
}
