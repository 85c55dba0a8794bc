//! The library as a tool: the model searches when it wants to, instead of being given passages.

use std::sync::Arc;

use breezeway_core::Principal;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::{ToolFailure, ToolFunction};
use crate::{ContextItem, ContextSource, ItemKind, Source};

/// The longest question, in characters.
const MAX_QUERY: usize = 1000;

/// Names that the description lists; the model may use others too.
const MOST_NAMES: usize = 50;

/// The longest name that is shown, in characters: names are other people's text.
const MAX_NAME: usize = 100;

/// Searches what the caller may read of some items.
pub(crate) struct KnowledgeTool {
    context: Arc<dyn ContextSource>,
    principal: Principal,
    items: Vec<ContextItem>,
    function: ToolFunction,
}

impl KnowledgeTool {
    /// A tool over `items`.
    pub(crate) fn new(
        context: Arc<dyn ContextSource>,
        principal: Principal,
        items: Vec<ContextItem>,
    ) -> Self {
        let function = function_over(&items);
        Self { context, principal, items, function }
    }

    pub(super) fn function(&self) -> &ToolFunction {
        &self.function
    }

    pub(super) async fn call(&self, arguments: &Map<String, Value>) -> Result<Vec<Source>, ToolFailure> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::trim);
        let query: String = text("query").unwrap_or_default().chars().take(MAX_QUERY).collect();
        if query.is_empty() {
            return Err(ToolFailure("the argument `query` is missing".into()));
        }
        let items = match text("collection").filter(|name| !name.is_empty()) {
            None => self.items.clone(),
            Some(wanted) => self.items.iter().filter(|item| is_called(item, wanted)).cloned().collect(),
        };
        if items.is_empty() {
            return Err(ToolFailure("there is no collection of this name".into()));
        }
        self.context.context(&self.principal, &items, &[query]).await.map_err(|error| {
            warn!(kind = ?error.kind, "A search for a model failed");
            ToolFailure("the search is not possible at the moment".into())
        })
    }
}

/// Whether an item has this name or id.
fn is_called(item: &ContextItem, wanted: &str) -> bool {
    let id = match &item.kind {
        ItemKind::File(id) => id.as_str(),
        ItemKind::Collection(id) => id.as_str(),
        ItemKind::Text(_) => return false,
    };
    id == wanted || item.name.as_deref().is_some_and(|name| name.to_lowercase() == wanted.to_lowercase())
}

fn function_over(items: &[ContextItem]) -> ToolFunction {
    let plain = |name: &str| -> String {
        name.chars()
            .take(MAX_NAME)
            .map(|sign| if sign.is_control() || sign == '"' { ' ' } else { sign })
            .collect()
    };
    let names: Vec<String> = items
        .iter()
        .filter_map(|item| item.name.as_deref())
        .take(MOST_NAMES)
        .map(|name| format!("\"{}\"", plain(name)))
        .collect();
    let named = if names.is_empty() { String::new() } else { format!(" There are: {}.", names.join(", ")) };
    let parameters = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for, in words that make sense by themselves."},
            "collection": {"type": "string", "description": "Search only the collection or file of this name."},
        },
        "required": ["query"],
    });
    ToolFunction {
        name: "search_knowledge".into(),
        description: format!(
            "Search the documents that the user has made available. Returns the passages that fit best; \
             mark what you take from one with its id in square brackets, as in [1].{named}"
        ),
        parameters: parameters.as_object().cloned().unwrap_or_default(),
    }
}
