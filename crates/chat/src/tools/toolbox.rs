//! All tools of one request, by the names that the model is shown.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use breezeway_wire::ChatRequest;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::{KnowledgeTool, Tool, ToolFailure, ToolFunction, ToolLimits, calls::Call, names, results};
use crate::{Source, prompt};

/// Most functions that a model is shown, ours and the caller's: OpenAI's bound.
const MOST_FUNCTIONS: usize = 128;

/// The tools of one request.
pub(crate) struct Toolbox {
    pub(super) limits: ToolLimits,
    tools: Vec<(String, Kind)>,
    /// Names of the functions that the caller runs.
    theirs: HashSet<String>,
    /// What has been found for the answer so far. Places in it are the numbers of citations.
    sources: Mutex<Vec<Source>>,
}

enum Kind {
    Foreign(Box<dyn Tool>),
    Knowledge(Box<KnowledgeTool>),
}

/// A call that was run.
pub(super) struct Done {
    pub(super) name: String,
    pub(super) has_failed: bool,
    /// The message that answers it.
    pub(super) message: Value,
}

impl Toolbox {
    /// The tools for a request, which has the caller's own in it already.
    pub(crate) fn new(
        limits: ToolLimits,
        request: &ChatRequest,
        foreign: Vec<Box<dyn Tool>>,
        knowledge: Option<KnowledgeTool>,
        sources: Vec<Source>,
    ) -> Self {
        let theirs = names_in(request);
        let room = MOST_FUNCTIONS.saturating_sub(theirs.len());
        let kinds = knowledge
            .map(|tool| Kind::Knowledge(Box::new(tool)))
            .into_iter()
            .chain(foreign.into_iter().map(Kind::Foreign));
        let mut tools: Vec<(String, Kind)> = Vec::new();
        for kind in kinds {
            if tools.len() == room {
                warn!("More tools than a model may be shown: only the first {room} are");
                break;
            }
            let is_taken = |name: &str| theirs.contains(name) || tools.iter().any(|(known, _)| known == name);
            let name = names::allowed(&kind.function().name, is_taken);
            tools.push((name, kind));
        }
        Self { limits, tools, theirs, sources: Mutex::new(sources) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Show the functions to the model. `tools` that are no list are the upstream's to judge.
    pub(super) fn offer(&self, request: &mut ChatRequest) {
        let shown = |(name, kind): &(String, Kind)| {
            let ToolFunction { description, parameters, .. } = kind.function();
            let function = json!({"name": name, "description": description, "parameters": parameters});
            json!({"type": "function", "function": function})
        };
        let tools = request.as_map_mut().entry("tools").or_insert(Value::Null);
        if tools.is_null() {
            *tools = Value::Array(Vec::new());
        }
        if let Value::Array(tools) = tools {
            tools.extend(self.tools.iter().map(shown));
        }
    }

    /// Whether a function is for us to run. One that nobody has is too: somebody has to tell the model.
    pub(super) fn owns(&self, name: &str) -> bool {
        !self.theirs.contains(name)
    }

    /// What has been found so far.
    pub(crate) fn sources(&self) -> Vec<Source> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Run calls, some at a time; what they gave is in their order.
    pub(super) async fn run(&self, calls: Vec<Call>, until: Instant) -> Vec<Done> {
        let runs = calls.into_iter().enumerate().map(|(place, call)| self.run_one(place, call, until));
        stream::iter(runs).buffered(self.limits.at_once.max(1)).collect().await
    }

    async fn run_one(&self, place: usize, mut call: Call, until: Instant) -> Done {
        let (name, id) = (call.name().to_owned(), call.id());
        // What the model made up is repeated to it as far as it is a name.
        let shown = names::allowed(&name, |_| false);
        let outcome = match call.arguments() {
            _ if place >= self.limits.calls => {
                Err(format!("no more than {} calls are run at once; call it again", self.limits.calls))
            }
            Err(why) => Err(why),
            Ok(arguments) => timeout_at(until, self.call(&name, arguments))
                .await
                .unwrap_or_else(|_| Err("there was no time left for it".into())),
        };
        let has_failed = outcome.is_err();
        debug!(tool.name = %shown, has_failed, "Ran the tool `{shown}`");
        let content = match outcome {
            Ok(text) => results::shown(&shown, &text, self.limits.result_bytes),
            Err(why) => results::failed(&shown, &why, self.limits.result_bytes),
        };
        let message = json!({"role": "tool", "tool_call_id": id, "content": content});
        Done { name: shown, has_failed, message }
    }

    async fn call(&self, name: &str, arguments: Map<String, Value>) -> Result<String, String> {
        let Some((_, kind)) = self.tools.iter().find(|(known, _)| known == name) else {
            return Err("there is no such tool".into());
        };
        match kind {
            Kind::Foreign(tool) => tool.call(arguments).await.map_err(|ToolFailure(why)| why),
            Kind::Knowledge(tool) => {
                let found = tool.call(&arguments).await.map_err(|ToolFailure(why)| why)?;
                Ok(self.numbered(found))
            }
        }
    }

    /// Put sources behind those there are, and write them with the numbers they have there.
    fn numbered(&self, found: Vec<Source>) -> String {
        if found.is_empty() {
            return "Nothing was found.".into();
        }
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let first = sources.len();
        sources.extend(found);
        prompt::context_from(&sources, first)
    }
}

impl Kind {
    fn function(&self) -> &ToolFunction {
        match self {
            Self::Foreign(tool) => tool.function(),
            Self::Knowledge(tool) => tool.function(),
        }
    }
}

fn names_in(request: &ChatRequest) -> HashSet<String> {
    let list = |field: &str| request.as_map().get(field).and_then(Value::as_array).into_iter().flatten();
    let modern = list("tools").filter_map(|tool| tool["function"]["name"].as_str());
    modern.chain(list("functions").filter_map(|tool| tool["name"].as_str())).map(str::to_owned).collect()
}
