//! Opening: everything is read once.

use std::sync::{Arc, Mutex};

use breezeway_core::{Clock, Lane, LaneConfig, Live, Role, SettingsStore, StoreError, UnixTime, UserId};

use super::{Auth, AuthConfig, Identities, REVOKED, SETTINGS, Shared, Uses};
use crate::{
    Account, AccountStore, AuthSettings, Error, PasswordHash, Profile, Result, account::DEFAULT_IMAGE,
    directory::Directory, password::Hasher, revoked::Revoked, seal::Sealer, service::accounts::new_stamp,
    session::Tokens, throttle::Throttle,
};

/// One thread gives changes an order; a queue this long is several seconds of commits.
const WRITES: LaneConfig = LaneConfig { threads: 1, queue: 512 };

impl Auth {
    /// Read everything and be ready to answer. `lane` is where passwords are hashed.
    ///
    /// # Errors
    /// If the secret is empty, a setting makes no sense, single-user mode does not fit the accounts
    /// that exist, or the store cannot be read.
    pub async fn open(
        config: AuthConfig,
        store: Arc<dyn AccountStore>,
        settings_store: Arc<dyn SettingsStore>,
        lane: Lane,
        clock: Clock,
    ) -> Result<Self> {
        if config.secret.is_empty() || config.previous_secrets.iter().any(|secret| secret.is_empty()) {
            return Err(Error::EmptySecret);
        }
        let first_settings = config.settings.checked()?;
        let settings = if config.persistent_settings {
            stored_settings(&*settings_store, first_settings).await?
        } else {
            first_settings
        };
        let lifetime = settings.session_lifetime()?;
        let revoked = match settings_store.setting(REVOKED).await? {
            Some(text) => Revoked::parse(&text, clock.now())
                .ok_or_else(|| unreadable("list of ended sessions", "no such list"))?,
            None => Revoked::new(lifetime),
        };
        revoked.allow(lifetime);
        settings_store.put_setting(REVOKED, &revoked.to_text()).await?;
        let directory = read_directory(&*store).await?;
        let identities = Identities::default();
        for identity in store.identities().await? {
            identities.put(identity);
        }
        let removals = store.removals().await?.into_iter().map(|removal| (removal.account.clone(), removal));
        let removals = Mutex::new(removals.collect());
        let single_user = if config.single_user {
            Some(single_user(&directory, &*store, clock.now()).await?)
        } else {
            None
        };
        Ok(Self(Arc::new(Shared {
            tokens: Tokens::new(&config.secret, &config.previous_secrets),
            sealer: Sealer::new(&config.secret, &config.previous_secrets)?,
            hasher: Hasher::new(config.password, lane).await?,
            password_rule: config.password_rule,
            throttle: Throttle::new(),
            settings: Live::new(settings),
            uses: Uses::default(),
            identities,
            removals,
            writes: Lane::new("accounts", WRITES),
            persistent_settings: config.persistent_settings,
            store,
            settings_store,
            clock,
            directory,
            revoked,
            single_user,
        })))
    }
}

/// What an admin has stored, else `first`, which is stored then.
async fn stored_settings(store: &dyn SettingsStore, first: AuthSettings) -> Result<AuthSettings> {
    match store.setting(SETTINGS).await? {
        Some(text) => serde_json::from_str::<AuthSettings>(&text)
            .map_err(|failure| unreadable("settings of accounts", failure))?
            .checked(),
        None => {
            let text = serde_json::to_string(&first)
                .map_err(|failure| StoreError::failed("write the settings of accounts", failure))?;
            store.put_setting(SETTINGS, &text).await?;
            Ok(first)
        }
    }
}

async fn read_directory(store: &dyn AccountStore) -> Result<Directory> {
    let directory = Directory::default();
    for account in store.accounts().await? {
        directory.put_account(account);
    }
    for group in store.groups().await? {
        directory.put_group(group);
    }
    for key in store.api_keys().await? {
        directory.put_key(&key);
    }
    Ok(directory)
}

/// The one account of single-user mode, made if there is none.
///
/// A server that several people have used must not be thrown open by a setting, so more than one
/// account is an error, as it is in Open WebUI.
async fn single_user(directory: &Directory, store: &dyn AccountStore, now: UnixTime) -> Result<UserId> {
    if directory.len() == 0 {
        let account = Account {
            id: UserId::mint(),
            email: "admin@localhost".into(),
            name: "User".into(),
            role: Role::Admin,
            profile_image_url: DEFAULT_IMAGE.into(),
            profile: Profile::new(),
            password: PasswordHash::unusable(),
            session_stamp: new_stamp(),
            last_active_at: now,
            created_at: now,
            updated_at: now,
        };
        if store.insert_account(&account, true).await? {
            directory.put_account(account);
        }
    }
    match directory.accounts().as_slice() {
        [only] if only.role == Role::Admin => Ok(only.id.clone()),
        accounts => Err(Error::SingleUser { accounts: accounts.len() }),
    }
}

fn unreadable(what: &'static str, why: impl ToString) -> Error {
    StoreError::Unreadable { what, value: why.to_string() }.into()
}
