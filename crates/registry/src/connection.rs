//! Connections: configured upstream endpoints.

use std::{collections::BTreeMap, time::Duration};

use breezeway_core::Secret;
use serde_json::{Map, Value};

use crate::Routing;

/// Which API an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionKind {
    /// OpenAI's, at `{url}/chat/completions`, `{url}/models`, …
    OpenAi,
    /// Ollama's, at `{url}/api/chat`, `{url}/api/tags`, …
    Ollama,
}

/// A configured upstream endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Which API it speaks.
    pub kind: ConnectionKind,
    /// Its place among the connections of its kind: `urlIdx` and `/ollama/…/{index}` of the API.
    pub index: usize,
    /// Its base URL, without a slash at the end.
    pub url: String,
    /// Its key, sent as a bearer token.
    pub key: Option<Secret>,
    /// Whether it is used at all.
    pub enabled: bool,
    /// Put with a dot in front of the ids of its models.
    pub prefix: Option<String>,
    /// The only models to offer. OpenAI connections with such a list are not asked for theirs.
    pub model_ids: Vec<String>,
    /// `tags` shown on each of its models.
    pub tags: Vec<Value>,
    /// `external` or `local`, as shown on its models; `None` for the default of its kind.
    pub connection_type: Option<String>,
    /// `provider`, as shown on its models.
    pub provider: String,
    /// Headers added to every request.
    pub headers: BTreeMap<String, Secret>,
    /// The rest of its configuration, kept for clients.
    pub other: Map<String, Value>,
    /// Longest wait for a whole answer, if there is a limit.
    pub timeout: Option<Duration>,
    /// Longest wait between two pieces of a stream, if there is a limit.
    pub idle_timeout: Option<Duration>,
    /// Its place in fleets.
    pub routing: Routing,
}

impl Connection {
    /// An enabled connection without a key, a prefix, a list or a limit.
    pub fn new(kind: ConnectionKind, index: usize, url: impl Into<String>) -> Self {
        Self {
            kind,
            index,
            url: url.into(),
            key: None,
            enabled: true,
            prefix: None,
            model_ids: Vec::new(),
            tags: Vec::new(),
            connection_type: None,
            provider: String::new(),
            headers: BTreeMap::new(),
            other: Map::new(),
            timeout: None,
            idle_timeout: None,
            routing: Routing::default(),
        }
    }

    /// What clients call a model of its: with its prefix in front.
    pub fn listed(&self, model: &str) -> String {
        match self.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => format!("{prefix}.{model}"),
            None => model.to_owned(),
        }
    }

    /// Its name in accounts of usage: `openai/0`.
    pub fn label(&self) -> String {
        let kind = match self.kind {
            ConnectionKind::OpenAi => "openai",
            ConnectionKind::Ollama => "ollama",
        };
        format!("{kind}/{}", self.index)
    }

    /// Whether the rest of an answer is read when its client has left, so that the upstream can say
    /// what it took: `"on_abort": "drain-and-bill"` in its configuration. Otherwise the upstream's
    /// connection is closed at once and the usage estimated (`cancel-and-estimate`).
    pub fn drains_aborted(&self) -> bool {
        self.other.get("on_abort").is_some_and(|policy| policy == "drain-and-bill")
    }
}
