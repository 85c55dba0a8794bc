//! Answers for which tools are run here.

use std::sync::Arc;

use breezeway_core::Principal;
use breezeway_registry::Route;
use breezeway_wire::ChatRequest;
use serde_json::Value;
use tracing::debug;

use super::{Answer, ChatRouter, finish};
use crate::{
    ContextItem, Result, Source, ToolLimits, ToolSource,
    own::Own,
    tools::{KnowledgeTool, Loop, Toolbox, tool_ids},
};

impl ChatRouter {
    /// Run tools that requests and models name. Without a source, `tool_ids` are ignored.
    #[must_use]
    pub fn with_tools(mut self, source: Arc<dyn ToolSource>, limits: ToolLimits) -> Self {
        self.tools = Some(source);
        self.tool_limits = limits;
        self
    }

    /// The tools for a request; `None` if there are none of ours.
    pub(super) async fn toolbox(
        &self,
        principal: &Principal,
        route: &Route,
        request: &ChatRequest,
        own: &Own,
        searched: Vec<ContextItem>,
        sources: &[Source],
    ) -> Result<Option<Toolbox>> {
        let mut tools = Vec::new();
        if let Some(source) = &self.tools {
            if !own.tool_ids.is_empty() {
                tools = source.tools(principal, &own.tool_ids).await?;
            }
            for id in attached_ids(route, own) {
                // The caller did not ask for these, so they must not cost them their answer.
                match source.tools(principal, std::slice::from_ref(&id)).await {
                    Ok(more) => tools.extend(more),
                    Err(error) => debug!(%error, "A tool of a model is left out"),
                }
            }
        }
        let knowledge = self.knowledge_tool(principal, own, searched).await?;
        if tools.is_empty() && knowledge.is_none() {
            return Ok(None);
        }
        let toolbox = Toolbox::new(self.tool_limits, request, tools, knowledge, sources.to_vec());
        Ok((!toolbox.is_empty()).then_some(toolbox))
    }

    /// A search of the items that were named, or of all collections if none were.
    async fn knowledge_tool(
        &self,
        principal: &Principal,
        own: &Own,
        mut items: Vec<ContextItem>,
    ) -> Result<Option<KnowledgeTool>> {
        let Some(context) = self.context.as_ref().filter(|_| own.knowledge_tool) else { return Ok(None) };
        if items.is_empty() {
            items = context.collections(principal).await?;
        }
        let tool = |items| KnowledgeTool::new(context.clone(), principal.clone(), items);
        Ok((!items.is_empty()).then(|| tool(items)))
    }

    /// Send a finished request and run what the model calls, until it has answered.
    pub(super) async fn answer_with_tools(
        &self,
        principal: &Principal,
        route: &Route,
        own: &Own,
        mut request: ChatRequest,
        toolbox: Toolbox,
    ) -> Result<Answer> {
        finish(route, &mut request);
        let is_stream = request.is_stream();
        let sources = toolbox.sources();
        let looped =
            Loop::new(self.metered.clone(), principal, route, own.conversation.clone(), request, toolbox);
        if !is_stream {
            let (body, sources) = looped.whole().await?;
            return Ok(Answer::Whole(self.with_sources(body, &sources)));
        }
        let frames = looped.stream(self.registry.clock().now().seconds()).await?;
        Ok(Answer::Stream(self.behind_sources(route, &sources, frames, self.review(None))))
    }
}

/// Tools that the model's custom layer brings and the request does not name itself.
fn attached_ids(route: &Route, own: &Own) -> Vec<String> {
    let meta = route.overlay.as_ref().map(|overlay| &overlay.meta);
    let mut ids = tool_ids(meta.and_then(|meta| meta.get("toolIds")).unwrap_or(&Value::Null));
    ids.retain(|id| !own.tool_ids.contains(id));
    ids
}
