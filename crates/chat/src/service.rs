//! The chat router: resolve, augment, route, stream.

use std::sync::Arc;

use breezeway_core::Principal;
use breezeway_registry::{FrameStream, Registry};
use breezeway_wire::ChatRequest;
use bytes::Bytes;

use crate::{ContextSource, Result};

/// When a model is asked for search queries before the context is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryGeneration {
    /// When the conversation has earlier turns, which the last message alone may not make sense without.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never: the last message is the query.
    Never,
}

/// What the router needs to know.
#[derive(Clone, Debug)]
pub struct ChatConfig {
    /// The template around the context; empty means the default.
    pub rag_template: String,
    /// Put the context into the system message instead of the last user message.
    pub rag_in_system: bool,
    /// When to ask for queries.
    pub query_generation: QueryGeneration,
    /// Which model to ask for queries; `None` for the one that answers.
    pub task_model: Option<String>,
}

/// An answer in OpenAI's dialect.
pub enum Answer {
    /// One JSON object, `sources` first if there are any.
    Whole(Bytes),
    /// Frames: `sources` first if there are any. An error in it ends it; the API says so in the
    /// caller's dialect. Dropping it closes the upstream's connection.
    Stream(FrameStream),
}

/// The chat router. Clones share one state.
#[derive(Clone)]
pub struct ChatRouter {
    registry: Registry,
    context: Option<Arc<dyn ContextSource>>,
    config: Arc<ChatConfig>,
}

#[expect(clippy::todo, unused_variables, reason = "skeleton")]
impl ChatRouter {
    /// A router over a registry; without a context source, `files` are ignored.
    pub fn new(config: ChatConfig, registry: Registry, context: Option<Arc<dyn ContextSource>>) -> Self {
        Self { registry, context, config: Arc::new(config) }
    }

    /// Answer a request: fields that are this server's own (`files`, `params`, `chat_id`, …) are
    /// consumed, all others reach the upstream.
    pub async fn complete(&self, principal: &Principal, request: ChatRequest) -> Result<Answer> {
        todo!()
    }

    /// Answer a request at an OpenAI-compatible connection as it is: no custom models, no context.
    pub async fn relay(&self, principal: &Principal, request: ChatRequest) -> Result<Answer> {
        todo!()
    }
}
