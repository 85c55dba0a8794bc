mod access;
mod aliases;
mod asked;
mod fleets;
mod overlays;
mod refreshing;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use breezeway_core::{Credential, GroupId, Role, UnixTime, UserId};
use serde_json::Map;

use super::*;
use crate::{MemoryModels, NewOverlay, ScriptedUpstream};

/// A registry whose upstreams are found by the URL of their connection.
pub(super) struct Bench {
    pub(super) registry: Registry,
    pub(super) store: MemoryModels,
    pub(super) clock: Clock,
    pub(super) connects: Arc<AtomicUsize>,
}

pub(super) async fn bench(
    upstreams: &[(Connection, &ScriptedUpstream)],
    overlays: &[Overlay],
    change: impl FnOnce(&mut RegistryConfig),
) -> Bench {
    let mut config = RegistryConfig {
        refresh_every: Duration::from_secs(1),
        catalog_timeout: Duration::from_secs(10),
        open_to_all: false,
        order: Vec::new(),
        aliases: Vec::new(),
        fleet: FleetConfig { seed: Some(1), ..FleetConfig::default() },
    };
    change(&mut config);
    let store = MemoryModels::default();
    store.save_overlays(overlays).await.unwrap();
    let by_url: BTreeMap<String, ScriptedUpstream> = upstreams
        .iter()
        .map(|(connection, upstream)| (connection.url.clone(), (*upstream).clone()))
        .collect();
    let connects = Arc::new(AtomicUsize::new(0));
    let counted = connects.clone();
    let connector: Connector = Arc::new(move |connection: &Connection| {
        counted.fetch_add(1, Ordering::SeqCst);
        match by_url.get(&connection.url) {
            Some(upstream) => Ok(Arc::new(upstream.clone())),
            None => Err(Error::BadConnection { url: connection.url.clone(), why: "nobody is there".into() }),
        }
    });
    let connections = upstreams.iter().map(|(connection, _)| connection.clone()).collect();
    let clock = Clock::fixed(UnixTime::from_seconds(1_800_000_000));
    let registry =
        Registry::open(config, connections, Arc::new(store.clone()), connector, clock.clone()).await.unwrap();
    Bench { registry, store, clock, connects }
}

pub(super) fn openai(index: usize) -> Connection {
    Connection::new(ConnectionKind::OpenAi, index, format!("http://openai-{index}.test"))
}

pub(super) fn ollama(index: usize) -> Connection {
    Connection::new(ConnectionKind::Ollama, index, format!("http://ollama-{index}.test"))
}

pub(super) fn principal(role: Role, name: &str, groups: &[GroupId]) -> Principal {
    Principal {
        user: user(name),
        role,
        name: name.into(),
        email: format!("{name}@example.org").into(),
        groups: groups.into(),
        credential: Credential::Local,
        rules: None,
    }
}

pub(super) fn admin() -> Principal {
    principal(Role::Admin, "admin", &[])
}

pub(super) fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub(super) fn id(text: &str) -> ModelId {
    text.parse().unwrap()
}

pub(super) fn new_overlay(text: &str, base: Option<&str>) -> NewOverlay {
    NewOverlay {
        id: id(text),
        base: base.map(id),
        name: text.to_owned(),
        params: Map::new(),
        meta: Map::new(),
        grants: None,
        active: true,
    }
}

pub(super) fn listed(registry: &Registry, principal: &Principal) -> Vec<String> {
    registry.models(principal).iter().map(|model| model.id.to_string()).collect()
}
