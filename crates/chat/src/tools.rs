//! Tools that this server runs itself, so that a caller without a browser has them too.
//!
//! The model is shown their functions beside the caller's own. What it calls of ours is run here and
//! it is asked again with the results, within bounds; what it calls of the caller's goes back to the
//! caller, as without any tools of ours.

mod calls;
mod knowledge;
mod looped;
mod names;
mod results;
mod toolbox;
mod turn;
mod usage;

use std::time::Duration;

use async_trait::async_trait;
use breezeway_core::{Classify, ErrorKind, Principal};
use serde_json::{Map, Value};

pub(crate) use self::{knowledge::KnowledgeTool, looped::Loop, toolbox::Toolbox};

/// A function as a model is shown it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolFunction {
    /// What its server calls it. Models are shown a name that their dialect allows.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments, an object.
    pub parameters: Map<String, Value>,
}

/// Why a call of a tool gave nothing. The text is read by the model: it holds no secret and no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolFailure(pub String);

/// Why tools cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolsError {
    /// There are none of this id, or not for this caller.
    #[error("tool `{0}` was not found")]
    NoSuchTool(String),
    /// Their server does not say what they are.
    #[error("tool `{0}` cannot be used at the moment")]
    Unavailable(String),
}

impl Classify for ToolsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchTool(_) => ErrorKind::Invalid,
            Self::Unavailable(_) => ErrorKind::Upstream,
        }
    }
}

/// A tool, for the time of one request.
///
/// # Contract
/// - a call whose future is dropped is given up at once;
/// - a call ends by itself within a bounded time, with a bounded text.
#[async_trait]
pub trait Tool: Send + Sync + 'static {
    /// What it does and takes.
    fn function(&self) -> &ToolFunction;

    /// Call it.
    async fn call(&self, arguments: Map<String, Value>) -> Result<String, ToolFailure>;
}

/// Knows tools by the ids that requests name.
///
/// # Contract
/// - the tools of one id are next to each other, in the order of the ids;
/// - an id that is not for this caller is one that does not exist.
#[async_trait]
pub trait ToolSource: Send + Sync + 'static {
    /// The tools behind `ids`.
    async fn tools(&self, principal: &Principal, ids: &[String]) -> Result<Vec<Box<dyn Tool>>, ToolsError>;
}

/// How far a request may go with tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolLimits {
    /// How often the model is asked again with results.
    pub rounds: usize,
    /// Until when another round may begin, from the beginning of the request.
    pub total: Duration,
    /// Calls of one answer that are run; further ones are refused.
    pub calls: usize,
    /// Calls of one answer that are run at the same time.
    pub at_once: usize,
    /// Most bytes of a result that a model is shown.
    pub result_bytes: usize,
}

impl Default for ToolLimits {
    fn default() -> Self {
        Self { rounds: 8, total: Duration::from_secs(300), calls: 16, at_once: 4, result_bytes: 64 << 10 }
    }
}

/// Most ids of one request; further ones are left out.
const MOST_IDS: usize = 32;

/// The tools that a request's `tool_ids` name, each once.
pub(crate) fn tool_ids(value: &Value) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if ids.len() < MOST_IDS && !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}
