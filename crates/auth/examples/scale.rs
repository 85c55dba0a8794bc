//! What accounts and keys cost: memory for each, and time for each question.
//!
//! ```text
//! cargo run --release -p breezeway-auth --example scale -- [ACCOUNTS]
//! ```
//!
//! Makes accounts with one key each (100,000 unless told otherwise) in a store in memory, opens the
//! service over it, and prints what the service itself holds on the heap, what the process has become,
//! and how long it takes to tell who a key or a session is.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use breezeway_auth::{
    Account, AccountStore, ApiKeyRecord, Auth, AuthConfig, AuthSettings, KeyHash, MemoryAccounts,
    PasswordHash, PasswordParams, Permissions,
};
use breezeway_core::{
    ApiKeyId, Clock, Credential, KeyRules, Lane, LaneConfig, MemorySettings, Principal, Role, UnixTime,
    UserId,
};

/// The system's allocator, counting what it has given out.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it came; only a number is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let accounts = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let store = MemoryAccounts::default();
    fill(&store, accounts).await?;
    let before = (LIVE.load(Ordering::Relaxed), resident());

    let auth = Auth::open(
        config(),
        Arc::new(store.clone()),
        Arc::new(MemorySettings::default()),
        Lane::new("hash", LaneConfig { threads: 1, queue: 8 }),
        Clock::fixed(NOW),
    )
    .await?;

    let after = (LIVE.load(Ordering::Relaxed), resident());
    // Ids of accounts are shared with the store here, and with nobody where it is a database.
    let shared = accounts * (2 * size_of::<usize>() + UserId::mint().as_str().len());
    let held = after.0.saturating_sub(before.0) + shared;
    println!("accounts and keys        {accounts} each");
    println!("heap of the service      {:.1} MiB, {} bytes for each", mib(held), held / accounts);
    println!("resident before, after   {:.1} MiB, {:.1} MiB (with the store)", mib(before.1), mib(after.1));

    let keys: Vec<String> = (0..accounts).step_by(accounts.div_ceil(1000)).map(key).collect();
    let sessions = keys.iter().map(|key| session(&auth, key)).collect::<Result<Vec<_>, _>>()?;
    measure("a key", &keys, |key| auth.authenticate(key).is_ok());
    measure("an unknown key", &keys, |key| auth.authenticate(&format!("{key}x")).is_err());
    measure("a session", &sessions, |token| auth.authenticate(token).is_ok());
    Ok(())
}

fn config() -> AuthConfig {
    let mut permissions = Permissions::default();
    permissions.set("features.api_keys", true);
    AuthConfig {
        secret: "a long random text".into(),
        previous_secrets: Vec::new(),
        password: PasswordParams { memory_kib: 8, passes: 1 },
        password_rule: None,
        settings: AuthSettings { permissions: permissions.into_tree(), ..AuthSettings::default() },
        persistent_settings: false,
        single_user: false,
    }
}

fn key(number: usize) -> String {
    format!("sk-{number:032x}")
}

async fn fill(store: &MemoryAccounts, accounts: usize) -> Result<(), Box<dyn std::error::Error>> {
    // As long as those that argon2 writes.
    let (salt, hash) = ("c2FsdHNhbHRzYWx0c2FsdA", "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g");
    let hash = format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}");
    for number in 0..accounts {
        let account = Account {
            id: UserId::mint(),
            email: format!("somebody.{number}@example.org"),
            name: format!("Somebody Number {number}"),
            role: Role::User,
            profile_image_url: "/user.png".into(),
            profile: serde_json::Map::new(),
            password: PasswordHash(hash.clone()),
            session_stamp: UserId::mint().to_string(),
            last_active_at: NOW,
            created_at: NOW,
            updated_at: NOW,
        };
        store.insert_account(&account, false).await?;
        let record = ApiKeyRecord {
            id: ApiKeyId::mint(),
            owner: account.id,
            name: Some("program".into()),
            hash: KeyHash::of(&key(number)),
            sealed: None,
            ending: "0000".into(),
            rules: KeyRules::default(),
            expires_at: None,
            created_at: NOW,
            last_used_at: Some(NOW),
        };
        store.insert_api_key(&record).await?;
    }
    Ok(())
}

/// A session of a key's owner.
fn session(auth: &Auth, key: &str) -> Result<String, breezeway_auth::Error> {
    let owner = Principal { credential: Credential::Local, ..auth.authenticate(key)? };
    Ok(auth.renew(&owner, None)?.token.expose().to_owned())
}

fn measure(what: &str, credentials: &[String], ask: impl Fn(&str) -> bool) {
    const ROUNDS: usize = 200;
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        for credential in credentials {
            assert!(ask(credential), "the answer is always the same");
        }
    }
    let asked = u128::try_from(ROUNDS * credentials.len()).unwrap_or(u128::MAX);
    println!("{what:<24} {} ns", begun.elapsed().as_nanos() / asked);
}

/// The memory of this process in bytes; zero where nobody says.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}

#[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
fn mib(bytes: usize) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
