//! The port to whatever finds context for a question.

use std::{error::Error as StdError, fmt};

use async_trait::async_trait;
use breezeway_core::{CollectionId, ErrorKind, FileId, Principal};
use serde_json::{Map, Value};

/// One entry of a request's `files`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContextItem {
    /// What it is.
    pub kind: ItemKind,
    /// Its `name`, if the request gives one.
    pub name: Option<String>,
    /// Whether the whole text is wanted instead of the best passages (`"context":"full"`).
    pub full: bool,
    /// The entry as it was sent; the answer's `source` repeats it.
    pub sent: Map<String, Value>,
}

/// What a request's `files` can name.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// An uploaded file.
    File(FileId),
    /// A collection.
    Collection(CollectionId),
    /// The text itself, without searching.
    Text(String),
}

/// What one item gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The item.
    pub item: ContextItem,
    /// Its passages, best first; never empty.
    pub passages: Vec<SourcePassage>,
}

/// A passage for the model and the answer's `sources`.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePassage {
    /// The text.
    pub text: String,
    /// `metadata` of the answer: `file_id`, `name`, `source`, `page`, … in this order.
    pub metadata: Map<String, Value>,
    /// How well it fits, 0 to 1; `None` where nothing was compared.
    pub score: Option<f32>,
}

/// Why no context could be found. The chat goes on without it only if the source says so by
/// answering an empty list.
#[derive(Debug)]
pub struct ContextError {
    /// How a caller should read it.
    pub kind: ErrorKind,
    /// The cause.
    pub source: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the context could not be searched")
    }
}

impl StdError for ContextError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Finds context.
///
/// # Contract
/// - items the caller may not read, or that do not exist, give nothing and are no error;
/// - all searched items compete in one ranking: there are at most as many passages in all as the
///   source's own limit allows, not as many for each item;
/// - sources come in the order of the items; an item without a passage has no source.
#[async_trait]
pub trait ContextSource: Send + Sync + 'static {
    /// The passages of `items` that answer `questions` (one or several wordings).
    async fn context(
        &self,
        principal: &Principal,
        items: &[ContextItem],
        questions: &[String],
    ) -> Result<Vec<Source>, ContextError>;
}
