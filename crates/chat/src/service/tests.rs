mod augmenting;
mod caching;
mod hostile;
mod metering;
mod routing;
mod tooling;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use breezeway_core::{Clock, Credential, Role, UnixTime};
use breezeway_registry::{
    Connection, MemoryModels, ModelStore, Overlay, RegistryConfig, ScriptedUpstream, UpstreamError,
};
use breezeway_usage::{MemoryLedger, PriceTable, UsageConfig};
use breezeway_wire::Frame;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::{ContextError, ItemKind, SourcePassage};

const CLOUD: &str = "http://cloud.test";
const LOCAL: &str = "http://local.test";

/// A router between scripted upstreams and a scripted library.
struct Bench {
    router: ChatRouter,
    /// Speaks OpenAI's dialect and serves `gpt` and `task`.
    cloud: ScriptedUpstream,
    /// Speaks Ollama's and serves `llama3.2:latest`.
    local: ScriptedUpstream,
    library: Arc<Library>,
    meter: Meter,
}

/// Knows the texts of some files and collections, and remembers what it was asked.
#[derive(Default)]
struct Library {
    asked: Mutex<Vec<Vec<String>>>,
    is_broken: std::sync::atomic::AtomicBool,
}

impl Library {
    fn asked(&self) -> Vec<Vec<String>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl ContextSource for Library {
    async fn context(
        &self,
        _: &Principal,
        items: &[ContextItem],
        questions: &[String],
    ) -> Result<Vec<Source>, ContextError> {
        if self.is_broken.load(std::sync::atomic::Ordering::SeqCst) {
            let source = "the index is gone".into();
            return Err(ContextError { kind: breezeway_core::ErrorKind::Overloaded, source });
        }
        self.asked.lock().unwrap().push(questions.to_vec());
        let passages = |item: &ContextItem| match &item.kind {
            ItemKind::File(id) if id.as_str() == "bell" => {
                vec![passage(item, "bell.txt", "It weighs 1733 kilos.")]
            }
            ItemKind::Collection(id) if id.as_str() == "tower" => vec![
                passage(item, "balloon.txt", "Balloons start at dusk."),
                passage(item, "bell.txt", "It weighs 1733 kilos."),
            ],
            ItemKind::Text(text) => vec![SourcePassage {
                text: text.clone(),
                metadata: Map::from_iter(item.name.clone().map(|name| ("name".into(), name.into()))),
                score: None,
            }],
            _ => Vec::new(),
        };
        let sources = items.iter().map(|item| Source {
            item: item.clone(),
            passages: passages(item),
            over_budget: 0,
            left_out: Vec::new(),
        });
        Ok(sources.filter(|source| !source.passages.is_empty()).collect())
    }
}

fn passage(item: &ContextItem, name: &str, text: &str) -> SourcePassage {
    let metadata = [("source".to_owned(), name.into()), ("name".to_owned(), name.into())];
    SourcePassage {
        text: text.to_owned(),
        metadata: Map::from_iter(metadata),
        score: (!item.full).then_some(0.884),
    }
}

async fn bench(overlays: Vec<Overlay>, change: impl FnOnce(&mut ChatConfig)) -> Bench {
    let mut config = ChatConfig {
        rag_template: "<<[context]>>".into(),
        rag_in_system: false,
        links: None,
        query_generation: QueryGeneration::Auto,
        task_model: None,
    };
    change(&mut config);
    let (cloud, local) =
        (ScriptedUpstream::serving(["gpt", "task"]), ScriptedUpstream::serving(["llama3.2:latest"]));
    let store = MemoryModels::default();
    store.save_overlays(&overlays).await.unwrap();
    let upstreams = [cloud.clone(), local.clone()];
    let registry = Registry::open(
        RegistryConfig {
            refresh_every: Duration::from_secs(1),
            catalog_timeout: Duration::from_secs(10),
            open_to_all: false,
            order: Vec::new(),
            aliases: Vec::new(),
            fleet: Default::default(),
        },
        vec![
            Connection { prefix: Some("c".into()), ..Connection::new(ConnectionKind::OpenAi, 0, CLOUD) },
            Connection::new(ConnectionKind::Ollama, 0, LOCAL),
        ],
        Arc::new(store),
        Arc::new(move |connection: &Connection| {
            let [cloud, local] = &upstreams;
            Ok(Arc::new(if connection.url == CLOUD { cloud.clone() } else { local.clone() }))
        }),
        Clock::fixed(UnixTime::from_seconds(1_709_208_000)),
    )
    .await
    .unwrap();
    registry.refresh(false).await;
    let library = Arc::new(Library::default());
    let ledger = Arc::new(MemoryLedger::default());
    let meter = Meter::open(UsageConfig::default(), ledger, PriceTable::empty(), registry.clock().clone());
    let meter = meter.await.unwrap();
    let router = ChatRouter::new(config, registry, meter.clone(), Some(library.clone()));
    Bench { router, cloud, local, library, meter }
}

fn principal(role: Role) -> Principal {
    Principal {
        user: "ada".parse().unwrap(),
        role,
        name: "Ada".into(),
        email: "ada@example.org".into(),
        groups: Arc::new([]),
        credential: Credential::Local,
        rules: None,
    }
}

fn custom(id: &str, base: &str, params: Value, meta: Value) -> Overlay {
    Overlay {
        id: id.parse().unwrap(),
        owner: "admin".parse().unwrap(),
        base: Some(base.parse().unwrap()),
        name: id.to_owned(),
        params: params.as_object().unwrap().clone(),
        meta: meta.as_object().unwrap().clone(),
        grants: Default::default(),
        active: true,
        created_at: UnixTime::default(),
        updated_at: UnixTime::default(),
    }
}

impl Bench {
    async fn complete(&self, request: Value) -> Result<Answer> {
        self.router.complete(&principal(Role::Admin), ChatRequest::try_from(request).unwrap()).await
    }

    /// The text of the whole answer, frame by frame.
    async fn text(&self, request: Value) -> String {
        text_of(self.complete(request).await.unwrap()).await
    }
}

async fn text_of(answer: Answer) -> String {
    let mut text = String::new();
    match answer {
        Answer::Whole(body) => text.push_str(std::str::from_utf8(&body).unwrap()),
        Answer::Stream(mut frames) => {
            while let Some(frame) = frames.next().await {
                match frame {
                    Ok(frame) => text.push_str(std::str::from_utf8(&frame.raw).unwrap()),
                    Err(error) => text.push_str(&format!("error: {error}\n")),
                }
            }
        }
    }
    text
}

/// The last request an upstream got, as text.
fn last(upstream: &ScriptedUpstream) -> String {
    let request = upstream.requests().pop().expect("the upstream was asked");
    serde_json::to_string_pretty(request.as_map()).unwrap()
}

fn says(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

fn chunk(text: &str) -> Frame {
    Frame::json(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}

fn broken() -> UpstreamError {
    UpstreamError::Broken("it hung up".into())
}
