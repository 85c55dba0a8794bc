//! What admitting a call costs: who it is, what it may, what is left, and writing down what it took.
//!
//! ```text
//! cargo run --release -p breezeway-middleware --example admission -- [ACCOUNTS]
//! ```
//!
//! Makes accounts with one key each (100,000 unless told otherwise), puts the layers for credentials and
//! rates around a service that does nothing but reserve and settle a call, and prints one JSON object of
//! nanoseconds of one thread for each request. `bare` is the same request through no layer at all.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::{convert::Infallible, error::Error, sync::Arc, time::Instant};

use breezeway_auth::{
    Account, AccountStore, ApiKeyRecord, Auth, AuthConfig, AuthSettings, KeyHash, MemoryAccounts,
    PasswordHash, PasswordParams, Permissions,
};
use breezeway_core::{
    Amount, ApiKeyId, Budget, Clock, KeyRules, Lane, LaneConfig, Limits, MemorySettings, Period, Principal,
    Role, UnixTime, UserId,
};
use breezeway_middleware::{CredentialsLayer, RatesLayer};
use breezeway_usage::{Call, MemoryLedger, Meter, Operation, Outcome, PriceTable, Tokens, UsageConfig};
use http::{HeaderValue, Request, Response, header};
use tower::{Layer, Service};

/// The allocator that the binary is shipped with.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
const REQUESTS: usize = 200_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let accounts: usize = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let store = MemoryAccounts::default();
    for number in 0..accounts {
        add(&store, number).await?;
    }
    let auth = Auth::open(
        config(),
        Arc::new(store),
        Arc::new(MemorySettings::default()),
        Lane::new("hash", LaneConfig { threads: 1, queue: 8 }),
        Clock::fixed(NOW),
    )
    .await?;
    let ledger = Arc::new(MemoryLedger::default());
    let meter = Meter::open(UsageConfig::default(), ledger, PriceTable::empty(), Clock::fixed(NOW)).await?;

    let bare = measure(accounts, 0, Bare).await;
    let metered = RatesLayer::new(meter.clone()).layer(Metered { meter: meter.clone() });
    let admitted = CredentialsLayer::new(auth, "x-api-key")?.layer(metered);
    // Every other account's key has limits of every kind.
    let plain = measure(accounts, 0, admitted.clone()).await;
    // A budget is written down ahead of its use, so the meter has to run.
    let limited = tokio::select! {
        limited = measure(accounts, 1, admitted) => limited,
        never = meter.run() => match never {},
    };
    meter.flush().await?;
    println!(
        "{{\"accounts\": {accounts}, \"bare_ns\": {bare}, \"key_ns\": {plain}, \"limited_key_ns\": {limited}}}"
    );
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

async fn add(store: &MemoryAccounts, number: usize) -> Result<(), Box<dyn Error>> {
    let account = Account {
        id: UserId::mint(),
        email: format!("somebody.{number}@example.org"),
        name: format!("Somebody Number {number}"),
        role: Role::User,
        profile_image_url: "/user.png".into(),
        profile: serde_json::Map::new(),
        password: PasswordHash::unusable(),
        session_stamp: UserId::mint().to_string(),
        last_active_at: NOW,
        created_at: NOW,
        updated_at: NOW,
    };
    store.insert_account(&account, false).await?;
    let limits = Limits {
        requests_per_minute: Some(u32::MAX),
        tokens_per_minute: Some(u32::MAX),
        budget: Some(Budget { amount: Amount::Tokens(1 << 50), period: Period::Month }),
    };
    let is_limited = number % 2 == 1;
    let record = ApiKeyRecord {
        id: ApiKeyId::mint(),
        owner: account.id,
        name: Some("program".into()),
        hash: KeyHash::of(&key(number)),
        sealed: None,
        ending: "0000".into(),
        rules: KeyRules {
            limits: if is_limited { limits } else { Limits::default() },
            ..KeyRules::default()
        },
        expires_at: None,
        created_at: NOW,
        last_used_at: Some(NOW),
    };
    store.insert_api_key(&record).await?;
    Ok(())
}

fn key(number: usize) -> String {
    format!("sk-{number:032x}")
}

/// Nanoseconds of a request: the quickest of five rounds, over the keys of a thousand accounts whose
/// numbers are even (`odd` 0) or odd (`odd` 1), so that caches of the processor do not hold them all.
async fn measure<S>(accounts: usize, odd: usize, mut service: S) -> u128
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let step = (accounts / 1000).max(2) & !1;
    let credentials: Vec<HeaderValue> = (odd..accounts)
        .step_by(step)
        .filter_map(|number| HeaderValue::from_str(&format!("Bearer {}", key(number))).ok())
        .collect();
    let mut best = u128::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        for credential in credentials.iter().cycle().take(REQUESTS) {
            let mut request = Request::new(());
            *request.uri_mut() = http::Uri::from_static("/api/chat/completions");
            *request.method_mut() = http::Method::POST;
            request.headers_mut().insert(header::AUTHORIZATION, credential.clone());
            let answer = service.call(request).await.unwrap_or_else(|never| match never {});
            assert!(answer.status().is_success(), "every request is admitted");
        }
        best = best.min(begun.elapsed().as_nanos() / REQUESTS as u128);
    }
    best
}

/// Answers without looking.
struct Bare;

impl Service<Request<()>> for Bare {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(Response::new(())))
    }
}

/// Reserves and settles a call, as the chat router does around an upstream.
#[derive(Clone)]
struct Metered {
    meter: Meter,
}

impl Service<Request<()>> for Metered {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let meter = self.meter.clone();
        Box::pin(async move {
            let mut answer = Response::new(());
            let admitted = match request.extensions().get::<Principal>() {
                Some(principal) => settled(&meter, principal).await.is_ok(),
                None => false,
            };
            if !admitted {
                *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
            }
            Ok(answer)
        })
    }
}

async fn settled(meter: &Meter, principal: &Principal) -> Result<(), breezeway_usage::Refusal> {
    let call = Call {
        operation: Operation::Chat,
        model: "model".into(),
        upstream: Some("openai/0".into()),
        estimated_input: 12,
        max_output: Some(16),
    };
    let mut reservation = meter.reserve(principal, call).await?;
    reservation.first_token();
    reservation.settle(Tokens { input: 12, output: 8, cached: 0 }, Outcome::Completed);
    Ok(())
}
