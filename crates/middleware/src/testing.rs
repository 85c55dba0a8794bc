//! What several tests of this crate need.

use std::{
    io,
    sync::{Arc, Mutex},
};

use breezeway_auth::{Auth, AuthConfig, AuthSettings, MemoryAccounts, NewAccount, PasswordParams, Session};
use breezeway_core::{Clock, Lane, LaneConfig, MemorySettings, Role};
use breezeway_usage::{MemoryLedger, Meter, PriceTable, UsageConfig};
use tracing::{Level, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

/// The log lines of this thread while it lives.
pub(crate) struct Log {
    text: Lines,
    _until_dropped: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> Self {
        let text = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_ansi(false)
            .with_writer(text.clone())
            .finish();
        Self { text, _until_dropped: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let text = self.text.0.lock().unwrap();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// An empty service of accounts.
pub(crate) async fn auth(single_user: bool) -> Auth {
    let config = AuthConfig {
        secret: "secret".into(),
        previous_secrets: Vec::new(),
        password: PasswordParams { memory_kib: 8, passes: 1 },
        password_rule: None,
        settings: AuthSettings::default(),
        persistent_settings: false,
        single_user,
    };
    let lane = Lane::new("hash", LaneConfig { threads: 1, queue: 8 });
    let (accounts, settings) = (Arc::new(MemoryAccounts::default()), Arc::new(MemorySettings::default()));
    Auth::open(config, accounts, settings, lane, Clock::system()).await.unwrap()
}

/// The session of a new account; the first is an admin.
pub(crate) async fn sign_up(auth: &Auth, name: &str) -> Session {
    let new = NewAccount {
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        password: "password".into(),
        role: Role::User,
        profile_image_url: None,
    };
    if auth.is_empty() { auth.sign_up(new).await.unwrap() } else { auth.add_account(new).await.unwrap() }
}

/// A meter that keeps what it counts in memory.
pub(crate) async fn meter() -> Meter {
    let ledger = Arc::new(MemoryLedger::default());
    let meter = Meter::open(UsageConfig::default(), ledger, PriceTable::empty(), Clock::system()).await;
    meter.expect("an empty ledger can be read")
}
