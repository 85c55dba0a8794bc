//! The chat router: resolve, augment, route, stream.

mod cached;
mod dialects;
mod preview;
mod tooled;

use std::sync::Arc;

use breezeway_core::{ChatId, Live, Principal};
use breezeway_registry::{ChatReply, ConnectionKind, FrameStream, Registry, Route, UpstreamReply};
use breezeway_usage::Meter;
use breezeway_wire::{ChatRequest, SystemPosition, openai};
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::time::timeout;
use tracing::debug;

pub use self::dialects::Spoken;
use self::dialects::{Homes, Silent};
use crate::{
    CacheConfig, CacheUse, ContextItem, ContextSource, Error, Freshness, LinkPolicy, Result, Source,
    cache::Cache,
    citation::sources_json,
    context::attached_items,
    metered::{Metered, errand},
    own::{Own, check_messages, conversation_of},
    params, prompt, queries,
    review::Review,
    stream::AnswerStream,
    tools::{ToolLimits, ToolSource},
    variables::Variables,
};

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
    /// Make links to other hosts than these harmless in answers over sources; `None` leaves all.
    pub links: Option<LinkPolicy>,
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

/// An answer, and what the cache had to do with it.
pub struct Noted<T> {
    /// The answer.
    pub answer: T,
    /// Whether it was kept from an earlier time; `None` where nothing is kept.
    pub cache: Option<CacheUse>,
}

/// The chat router. Clones share one state.
#[derive(Clone)]
pub struct ChatRouter {
    registry: Registry,
    metered: Metered,
    context: Option<Arc<dyn ContextSource>>,
    config: Live<ChatConfig>,
    silent: Silent,
    homes: Homes,
    cache: Option<Cache>,
    tools: Option<Arc<dyn ToolSource>>,
    tool_limits: ToolLimits,
}

impl ChatRouter {
    /// A router over a registry, whose calls a meter counts; without a context source, `files` are
    /// ignored.
    pub fn new(
        config: ChatConfig,
        registry: Registry,
        meter: Meter,
        context: Option<Arc<dyn ContextSource>>,
    ) -> Self {
        Self {
            registry,
            metered: Metered::new(meter),
            context,
            config: Live::new(config),
            silent: Silent::default(),
            homes: Homes::default(),
            cache: None,
            tools: None,
            tool_limits: ToolLimits::default(),
        }
    }

    /// Keep answers for those who ask the same again.
    #[must_use]
    pub fn with_cache(mut self, config: CacheConfig) -> Self {
        self.cache = Cache::new(config, self.registry.clock().clone());
        self
    }

    /// Work for ever: answers whose clients have left are read to their ends, where the connection
    /// wants that (`on_abort`). Without this they are closed, and estimated.
    pub async fn run(&self) {
        self.metered.run().await;
    }

    /// Go by other settings from now on. Answers under way keep to what was in force when they began.
    pub fn set_config(&self, config: ChatConfig) {
        self.config.store(config);
    }

    /// Whether a request can be asked at all: its model is there for the caller, and its messages are a list.
    ///
    /// # Errors
    /// `NoSuchModel`, `BadMessages`.
    pub fn check(&self, principal: &Principal, request: &ChatRequest) -> Result<()> {
        self.registry.resolve(principal, request.model().ok_or(Error::NoSuchModel)?)?;
        check_messages(request)
    }

    /// Answer a request: fields that are this server's own (`files`, `params`, `chat_id`, …) are
    /// consumed, all others reach the upstream. The answer is made anew.
    pub async fn complete(&self, principal: &Principal, request: ChatRequest) -> Result<Answer> {
        Ok(self.complete_noting(principal, request, Freshness::NoStore).await?.answer)
    }

    /// As [`ChatRouter::complete`], but a kept answer will do if `freshness` says so.
    pub async fn complete_noting(
        &self,
        principal: &Principal,
        mut request: ChatRequest,
        freshness: Freshness,
    ) -> Result<Noted<Answer>> {
        let route = self.registry.resolve(principal, request.model().ok_or(Error::NoSuchModel)?)?;
        check_messages(&request)?;
        let own = Own::take(&mut request);
        let items = items_for(&route, &own);
        // What a library says may be something else next time, even if it says nothing now.
        let freshness = if items.is_empty() { freshness } else { Freshness::NoStore };
        let (searched, given): (Vec<_>, _) =
            items.into_iter().partition(|item| own.knowledge_tool && item.is_searched());
        // Before the system prompts go in: those are not what somebody wants to know.
        // What few requests need is boxed, here and below: the futures of all others stay small, and
        // they are moved several times on their way through the layers.
        let sources = match given.is_empty() {
            true => Vec::new(),
            false => Box::pin(self.sources(principal, &route, &request, given)).await?,
        };

        self.answer_along(principal, Arc::new(route), request, &own, searched, &sources, freshness).await
    }

    /// Answer a request at a route, or at the next behind it if that fails before its first byte.
    #[expect(clippy::too_many_arguments, reason = "what has been found out about one request")]
    async fn answer_along(
        &self,
        principal: &Principal,
        mut route: Arc<Route>,
        mut request: ChatRequest,
        own: &Own,
        mut searched: Vec<ContextItem>,
        sources: &[Source],
        freshness: Freshness,
    ) -> Result<Noted<Answer>> {
        loop {
            // Kept only where there is somewhere else to go.
            let kept = route.fallback.clone().map(|next| (next, request.clone(), searched.clone()));
            let answer = self.answer_at(principal, &route, request, own, searched, sources, freshness).await;
            match (answer, kept) {
                (Err(Error::Upstream(error)), Some((next, again, items))) if error.may_go_elsewhere() => {
                    debug!(model.id = %route.model.id, %error, "Going on to `{}`", next.model.id);
                    (route, request, searched) = (next, again, items);
                }
                (answer, _) => return answer,
            }
        }
    }

    /// Answer a request at one route, with what its model adds to it.
    #[expect(clippy::too_many_arguments, reason = "what has been found out about one request")]
    async fn answer_at(
        &self,
        principal: &Principal,
        route: &Route,
        mut request: ChatRequest,
        own: &Own,
        searched: Vec<ContextItem>,
        sources: &[Source],
        freshness: Freshness,
    ) -> Result<Noted<Answer>> {
        let layer = route.overlay.as_ref().map(|overlay| &overlay.params);
        self.apply(principal, route, &mut request, own, layer);
        if !sources.is_empty() {
            let config = self.config.load();
            prompt::augment(&mut request, sources, &config.rag_template, config.rag_in_system);
        }
        if let Some(toolbox) = self.toolbox(principal, route, &request, own, searched, sources).await? {
            let answer = Box::pin(self.answer_with_tools(principal, route, own, request, toolbox)).await?;
            return Ok(Noted { answer, cache: None });
        }
        let conversation = own.conversation.as_deref();
        self.answer_noting(principal, route, conversation, request, sources, freshness).await
    }

    /// Answer a request at an OpenAI-compatible connection as it is: no custom models, no context.
    /// A model that is not for this caller is one that does not exist.
    pub async fn relay(&self, principal: &Principal, request: ChatRequest) -> Result<Answer> {
        Ok(self.relay_noting(principal, request, Freshness::NoStore).await?.answer)
    }

    /// As [`ChatRouter::relay`], but a kept answer will do if `freshness` says so.
    pub async fn relay_noting(
        &self,
        principal: &Principal,
        mut request: ChatRequest,
        freshness: Freshness,
    ) -> Result<Noted<Answer>> {
        let model = request.model().ok_or(Error::NoSuchModel)?;
        let route = self.registry.resolve_at(principal, ConnectionKind::OpenAi, model)?;
        check_messages(&request)?;
        let own = Own { tool_ids: Vec::new(), knowledge_tool: false, ..Own::take(&mut request) };
        self.answer_along(principal, Arc::new(route), request, &own, Vec::new(), &[], freshness).await
    }

    /// Answer a request for embeddings, in OpenAI's dialect.
    pub async fn embed(&self, principal: &Principal, request: Map<String, Value>) -> Result<Bytes> {
        Ok(self.embed_noting(principal, request, Freshness::NoStore).await?.answer)
    }

    /// Pass a request on to a path of the OpenAI-compatible connection that has its model.
    pub async fn pass(
        &self,
        principal: &Principal,
        path: &str,
        mut request: Map<String, Value>,
    ) -> Result<UpstreamReply> {
        let route = self.registry.resolve_at(principal, ConnectionKind::OpenAi, model_of(&request)?)?;
        request.insert("model".into(), route.upstream_model.as_str().into());
        let errand = errand(principal, conversation_of(&request));
        self.metered.relay(principal, &route, &errand, path, request).await
    }

    /// Fill in parameters and system prompts: the request's own `params`, then those of the model's
    /// custom layer.
    fn apply(
        &self,
        principal: &Principal,
        route: &Route,
        request: &mut ChatRequest,
        own: &Own,
        layer: Option<&Map<String, Value>>,
    ) {
        let sets: Vec<_> = [Some(&own.params), layer].into_iter().flatten().collect();
        params::fill(request, route.connection.kind, &sets);
        let variables = Variables { principal, now: self.registry.clock().now(), sent: &own.variables };
        // Each goes before what is there, so the model's own layer ends up in front.
        for system in sets.iter().filter_map(|set| params::system_of(set)) {
            request.add_to_system(&variables.fill(system), SystemPosition::Before);
        }
    }

    /// What the items have to say.
    async fn sources(
        &self,
        principal: &Principal,
        route: &Route,
        request: &ChatRequest,
        mut items: Vec<ContextItem>,
    ) -> Result<Vec<Source>> {
        let Some(context) = &self.context else { return Ok(Vec::new()) };
        // Without messages there is no place to put a source.
        if items.is_empty() || request.messages().is_empty() {
            return Ok(Vec::new());
        }
        let questions = self.questions(principal, route, request, &items).await;
        if questions.is_empty() {
            items.retain(|item| !item.is_searched());
        }
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let mut sources = context.context(principal, &items, &questions).await?;
        sources.retain(|source| !source.passages.is_empty() || !source.left_out.is_empty());
        debug!(items = items.len(), sources = sources.len(), "Searched {} items for context", items.len());
        Ok(sources)
    }

    /// What to search for: nothing where nothing has to be searched.
    async fn questions(
        &self,
        principal: &Principal,
        route: &Route,
        request: &ChatRequest,
        items: &[ContextItem],
    ) -> Vec<String> {
        if !items.iter().any(ContextItem::is_searched) {
            return Vec::new();
        }
        let config = self.config.load();
        let asks = match config.query_generation {
            QueryGeneration::Auto => queries::has_earlier_turns(request),
            QueryGeneration::Always => true,
            QueryGeneration::Never => false,
        };
        if asks {
            // A task model that is gone or not for this caller must not cost them their answer.
            let task = config.task_model.as_deref();
            let task = task.and_then(|model| self.registry.resolve(principal, model).ok());
            if let Some(queries) = self.queries(principal, task.as_ref().unwrap_or(route), request).await {
                return queries;
            }
        }
        request.last_user_text().filter(|text| !text.trim().is_empty()).into_iter().collect()
    }

    /// Ask a model what to search for; `None` if it has no good answer in time.
    async fn queries(
        &self,
        principal: &Principal,
        route: &Route,
        request: &ChatRequest,
    ) -> Option<Vec<String>> {
        let question = queries::question(&route.upstream_model, request);
        let asked = timeout(queries::PATIENCE, self.metered.chat(principal, route, None, question)).await;
        match asked {
            Ok(Ok(ChatReply::Whole(body))) => queries::answered(&body),
            Ok(Ok(ChatReply::Stream(_))) => None,
            Ok(Err(error)) => {
                debug!(model.id = %route.model.id, %error, "No search queries came from `{}`", route.model.id);
                None
            }
            Err(_) => {
                debug!(model.id = %route.model.id, "Search queries from `{}` took too long", route.model.id);
                None
            }
        }
    }

    /// Send a finished request and put the sources in front of its answer.
    async fn answer(
        &self,
        principal: &Principal,
        route: &Route,
        conversation: Option<&str>,
        mut request: ChatRequest,
        sources: &[Source],
    ) -> Result<Answer> {
        finish(route, &mut request);
        let reply = self.metered.chat(principal, route, conversation, request).await?;
        Ok(match reply {
            ChatReply::Whole(body) => Answer::Whole(self.with_sources(body, sources)),
            ChatReply::Stream(frames) => {
                let review = self.review(Some(sources));
                Answer::Stream(self.behind_sources(route, sources, frames, review))
            }
        })
    }

    /// A stream with the sources in front.
    fn behind_sources(
        &self,
        route: &Route,
        sources: &[Source],
        frames: FrameStream,
        review: Option<Review>,
    ) -> FrameStream {
        if sources.is_empty() && review.is_none() {
            return Box::pin(AnswerStream::new(None, frames, None));
        }
        let id = format!("chatcmpl-{}", ChatId::mint());
        let now = self.registry.clock().now().seconds();
        let review = review.map(|review| review.named(&id, now, &route.upstream_model));
        let frame = || openai::sources_frame(&id, now, &route.upstream_model, &sources_json(sources));
        let first = (!sources.is_empty()).then(frame);
        Box::pin(AnswerStream::new(first, frames, review))
    }
}

/// The last touches to a request.
fn finish(route: &Route, request: &mut ChatRequest) {
    request.set_model(&route.upstream_model);
    if !request.is_stream() {
        // Strict upstreams refuse it on a whole answer.
        request.as_map_mut().shift_remove("stream_options");
    } else if wants_usage(route) {
        let options = request.as_map_mut().entry("stream_options").or_insert_with(|| Map::new().into());
        if let Value::Object(options) = options {
            options.entry("include_usage").or_insert(Value::Bool(true));
        }
    }
}

/// The items of the request and of the model's custom layer.
fn items_for(route: &Route, own: &Own) -> Vec<ContextItem> {
    let attached = route.overlay.as_ref().map(|overlay| attached_items(&overlay.meta)).unwrap_or_default();
    let mut items = own.items.clone();
    for item in attached {
        if !items.iter().any(|known| known.kind == item.kind) {
            items.push(item);
        }
    }
    items
}

/// Whether the model's custom layer says that its upstream can tell the usage of a stream.
fn wants_usage(route: &Route) -> bool {
    let capabilities = route.overlay.as_ref().and_then(|overlay| overlay.meta.get("capabilities"));
    capabilities.is_some_and(|capabilities| capabilities["usage"] == true)
}

fn model_of(request: &Map<String, Value>) -> Result<&str> {
    request.get("model").and_then(Value::as_str).ok_or(Error::NoSuchModel)
}

#[cfg(test)]
mod tests;
