//! What the provider says about itself: its endpoints and its keys.
//!
//! Fetched when it is first needed and kept for a while, so that a provider that is down keeps nobody
//! from anything but signing in through it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use breezeway_auth::ProviderError;
use breezeway_core::{Clock, UnixTime};
use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
use serde::de::DeserializeOwned;

use crate::http::Http;

/// How long the document and the keys are good.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// How long nothing is asked again: after a failure, and of keys that have just been fetched. The routes
/// that ask are open to strangers, and the provider must not feel each of them.
const PAUSE: Duration = Duration::from_secs(10);

/// The document and the keys, as they were at one moment.
pub(crate) struct Known {
    pub(crate) metadata: CoreProviderMetadata,
    pub(crate) keys: CoreJsonWebKeySet,
    fetched_at: UnixTime,
}

/// The provider's word about itself, kept.
pub(crate) struct Discovery {
    url: String,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Option<Arc<Known>>,
    failed: Option<(UnixTime, String)>,
}

impl Discovery {
    pub(crate) fn new(url: String, clock: Clock) -> Self {
        Self { url, clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known; asked for if that is nothing, or old. What is old is better than nothing.
    pub(crate) async fn known(&self, http: &Http) -> Result<Arc<Known>, ProviderError> {
        let now = self.clock.now();
        let old = {
            let state = self.state();
            if let Some(known) = state.known.as_ref().filter(|known| now.since(known.fetched_at) < KEPT) {
                return Ok(known.clone());
            }
            if let Some((at, why)) = state.failed.as_ref().filter(|(at, _)| now.since(*at) < PAUSE) {
                let asked = now.since(*at).as_secs();
                return state.known.clone().ok_or_else(|| {
                    ProviderError::Unavailable(format!("{why} ({asked} s ago, it is not asked again yet)"))
                });
            }
            state.known.clone()
        };
        match (self.fetch(http).await, old) {
            (Err(_), Some(old)) => Ok(old),
            (fetched, _) => fetched,
        }
    }

    /// What is known after a token came whose key is not among `seen`: the provider has new keys, or
    /// somebody pretends.
    pub(crate) async fn newer_than(&self, seen: &Known, http: &Http) -> Result<Arc<Known>, ProviderError> {
        let now = self.clock.now();
        let known = self.state().known.clone();
        if let Some(known) = known.filter(|known| known.fetched_at > seen.fetched_at) {
            return Ok(known);
        }
        if now.since(seen.fetched_at) < PAUSE {
            return Err(ProviderError::Untrusted("it is signed with a key that is not published".into()));
        }
        self.fetch(http).await
    }

    /// Ask, and remember the answer or that there was none.
    async fn fetch(&self, http: &Http) -> Result<Arc<Known>, ProviderError> {
        let fetched = self.ask(http).await.map(Arc::new);
        let mut state = self.state();
        match fetched {
            Ok(known) => {
                *state = State { known: Some(known.clone()), failed: None };
                Ok(known)
            }
            Err(why) => {
                tracing::warn!(error = %why, "The sign-in provider cannot be asked: {why}");
                state.failed = Some((self.clock.now(), why.clone()));
                Err(ProviderError::Unavailable(why))
            }
        }
    }

    async fn ask(&self, http: &Http) -> Result<Known, String> {
        let metadata: CoreProviderMetadata = document(http, &self.url).await?;
        let keys = document(http, metadata.jwks_uri().as_str()).await?;
        Ok(Known { metadata, keys, fetched_at: self.clock.now() })
    }
}

async fn document<T: DeserializeOwned>(http: &Http, url: &str) -> Result<T, String> {
    let body = http.get(url, None).await.map_err(|why| format!("`{url}`: {why}"))?;
    serde_json::from_slice(&body).map_err(|why| format!("`{url}` is no such document: {why}"))
}
